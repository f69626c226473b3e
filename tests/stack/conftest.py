"""One running stack for all tests of this folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from stack.assembly import StackOptions
from stack.client import StackClient
from stack.components import find_programs
from stack.demo.sources import Sources
from stack.demo.steps import Patience
from stack.running import running_stack

# More of what is rare in the demo's traffic, so that nothing has to be waited for.
MIX = {"guardrail_ratio": 0.15, "simulation_ratio": 0.3}


class RunningStack:
    """The stack under test, with what the tests ask of it."""

    def __init__(self, client: StackClient, sources: Sources) -> None:
        self.client = client
        self.sources = sources
        self._patience = Patience(None, lambda: False)

    def until(self, look: Callable[[], Any], seconds: float = 45.0) -> Any:
        """Return what a check returns as soon as it passes."""
        return self._patience.until(look, seconds)

    def chat(self, message: str = "What is the current protection status?") -> httpx.Response:
        """Say something to the security agent."""
        url = f"{self.client.url('security-agent')}/chat"
        return httpx.post(url, json={"message": message}, timeout=30, trust_env=False)

    def load(self, method: str, path: str, **what: Any) -> None:
        """Have the load driver play something else."""
        url = f"{self.client.url('traffic')}/control/{path}"
        httpx.request(method, url, json=what, trust_env=False).raise_for_status()

    def eventually(self, condition: Callable[[], bool], seconds: float = 30.0) -> None:
        """Wait for a condition; a program that doesn't answer makes it false."""
        deadline = time.monotonic() + seconds
        while not _holds(condition):
            assert time.monotonic() < deadline, "the condition did not come true in time"
            time.sleep(0.2)


def _holds(condition: Callable[[], bool]) -> bool:
    try:
        return condition()
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="session")
def programs() -> dict[str, Path]:
    """The programs that are not Python, built when need be."""
    return find_programs()


@pytest.fixture(scope="session")
def running(
    programs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningStack]:
    """The whole stack with traffic."""
    settings = (
        # Nobody's answer is missed after seconds, not after a quarter of an hour.
        "prometheus.thresholds.AgentToolFailureRatioHighEscalated=5",
        # What people do in the ledger is seen sooner; what agents measure comes by itself.
        "prometheus.scrapeInterval=2s",
    )
    options = StackOptions(tmp_path_factory.mktemp("stack"), settings=settings)
    with running_stack(options, programs) as (client, _):
        client.wait_ready(timeout_seconds=120)
        sources = Sources(client)
        stack = RunningStack(client, sources)
        stack.load("PUT", "mix", **MIX)
        yield stack
        sources.close()
