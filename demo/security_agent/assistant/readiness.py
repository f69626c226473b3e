"""Whether the service can do its work: are its model provider and its appliance there?"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx

from security_agent.config import AppConfig

_TIMEOUT_SECONDS = 0.8
_CACHE_SECONDS = 1.5


@dataclass(frozen=True)
class Readiness:
    """The result of a check: for each dependency what is wrong with it, or nothing."""

    problems: Mapping[str, str]

    @property
    def ready(self) -> bool:
        """Whether nothing is wrong."""
        return not any(self.problems.values())

    def as_json(self) -> dict[str, object]:
        """The body of the answer."""
        checks = {
            name: {"ok": not problem, "reason": problem} for name, problem in self.problems.items()
        }
        return {"ready": self.ready, "checks": checks}


class ReadinessCheck:
    """Asks the dependencies at the same time, and at most every 1.5 seconds."""

    def __init__(
        self, probes: Mapping[str, Callable[[], str]], close: Callable[[], None] | None = None
    ) -> None:
        self._probes = dict(probes)
        self._close = close
        self._lock = threading.Lock()
        self._checked_at = float("-inf")
        self._last = Readiness({})

    def check(self) -> Readiness:
        """The readiness, not older than 1.5 seconds."""
        with self._lock:
            if time.monotonic() - self._checked_at > _CACHE_SECONDS:
                with ThreadPoolExecutor(max_workers=len(self._probes)) as pool:
                    running = {name: pool.submit(probe) for name, probe in self._probes.items()}
                    self._last = Readiness({name: r.result() for name, r in running.items()})
                self._checked_at = time.monotonic()
            return self._last

    def close(self) -> None:
        """Give back what the probes hold."""
        if self._close is not None:
            self._close()


def dependency_check(config: AppConfig) -> ReadinessCheck:
    """The check of the model provider and the appliance that the configuration names."""
    key = os.getenv("OPENAI_API_KEY", "")
    # Made once: a client of its own for each probe would read the certificates each time.
    client = httpx.Client(timeout=_TIMEOUT_SECONDS)
    models = f"{config.model.base_url.rstrip('/')}/models"
    appliance = f"{config.appliance_url.rstrip('/')}/readyz"
    return ReadinessCheck(
        {
            "model_server": lambda: _probe(client, models, {"authorization": f"Bearer {key}"}),
            "appliance": lambda: _probe(client, appliance, {}),
        },
        client.close,
    )


def _probe(client: httpx.Client, url: str, headers: Mapping[str, str]) -> str:
    """What is wrong with a dependency, or an empty text."""
    try:
        response = client.get(url, headers=dict(headers))
        if response.is_success:
            response.json()
            return ""
    except httpx.TimeoutException:
        return f"no answer within {_TIMEOUT_SECONDS:g} seconds"
    except httpx.HTTPError as error:
        return f"can't be reached: {type(error).__name__}"
    except ValueError:
        return "answers something that is no JSON"
    return f"answers with status {response.status_code}"
