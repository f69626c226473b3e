"""Whether the service can answer, and with all it has: are model provider and appliance there?"""

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
    """The result of a check.

    Attributes:
        required: for each dependency without which no chat is answered, what is wrong with it, or
            an empty text.
        helpful: the same for those without which chats are answered, though with less.
    """

    required: Mapping[str, str]
    helpful: Mapping[str, str]

    @property
    def ready(self) -> bool:
        """Whether chats can be answered."""
        return not any(self.required.values())

    @property
    def degraded(self) -> bool:
        """Whether answers lack something."""
        return any(self.helpful.values())

    def as_json(self) -> dict[str, object]:
        """The body of the answer."""
        checks = {
            name: {"ok": not problem, "reason": problem}
            for name, problem in {**self.required, **self.helpful}.items()
        }
        return {"ready": self.ready, "degraded": self.degraded, "checks": checks}


class ReadinessCheck:
    """Asks the dependencies at the same time, and at most every 1.5 seconds."""

    def __init__(
        self,
        required: Mapping[str, Callable[[], str]],
        helpful: Mapping[str, Callable[[], str]] | None = None,
        close: Callable[[], None] | None = None,
    ) -> None:
        self._required = dict(required)
        self._helpful = dict(helpful or {})
        self._close = close
        self._lock = threading.Lock()
        self._checked_at = float("-inf")
        self._last = Readiness({}, {})

    def check(self) -> Readiness:
        """The readiness, not older than 1.5 seconds."""
        with self._lock:
            if time.monotonic() - self._checked_at > _CACHE_SECONDS:
                self._last = self._asked()
                self._checked_at = time.monotonic()
            return self._last

    def _asked(self) -> Readiness:
        probes = {**self._required, **self._helpful}
        with ThreadPoolExecutor(max_workers=len(probes)) as pool:
            running = {name: pool.submit(probe) for name, probe in probes.items()}
            problems = {name: answer.result() for name, answer in running.items()}
        return Readiness(
            {name: problems[name] for name in self._required},
            {name: problems[name] for name in self._helpful},
        )

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
        {"model_server": lambda: _probe(client, models, {"authorization": f"Bearer {key}"})},
        # Without it tools fail, which answers say: not ready would take even those answers away.
        {"appliance": lambda: _probe(client, appliance, {})},
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
