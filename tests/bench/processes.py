"""Contestants as processes that take orders, each in its own locked environment."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frameworks.environments import Environment, EnvironmentUnavailable

HERE = Path(__file__).parent
PEERS = HERE / "peers"
OURS = ("bare", "midwatch")
"""Contestants that run in the workspace's own environment."""

_OF_THE_TESTER = ("OTEL_", "MIDWATCH_", "AGENT_", "LANGSMITH_", "LANGFUSE_", "PYTHON")


@dataclass(frozen=True)
class Entry:
    """A contestant with one way to treat content."""

    name: str
    content: str = "off"

    @property
    def label(self) -> str:
        """How tables and plots call it."""
        return self.name if self.name == "bare" else f"{self.name} · {self.content}"


def interpreter(name: str) -> Path:
    """The Python of a contestant's environment, which is made if it is not there.

    Raises:
        EnvironmentUnavailable: the packages can't be installed.
    """
    if name in OURS:
        return Path(sys.executable)
    environment = Environment(f"bench-{name}", PEERS / name)
    environment.make()
    return environment.python


class Process:
    """A contestant that runs and waits for orders.

    Args:
        entry: which.
        variables: more of its environment.
        seconds: how long an order may take.
    """

    def __init__(
        self, entry: Entry, variables: Mapping[str, str] | None = None, seconds: float = 90.0
    ) -> None:
        self.entry = entry
        self._seconds = seconds
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(_OF_THE_TESTER) or name == "MIDWATCH_CACHE_DIR"
        }
        self._process = subprocess.Popen(
            [str(interpreter(entry.name)), str(HERE / "contestant.py"), entry.name, entry.content],
            env={**kept, **(variables or {}), "PYTHONHASHSEED": "0"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def order(self, **order: Any) -> dict[str, Any]:
        """Give an order and wait for its answer.

        Raises:
            ContestantError: it ended instead.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        answers: list[Any] = [None]
        try:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            # It answers with a line at once, so that nothing is left in a buffer of ours.
            answers, _, _ = select.select([self._process.stdout], [], [], self._seconds)
            line = self._process.stdout.readline() if answers else ""
        except BrokenPipeError:
            line = ""
        if not line:
            self._process.kill()
            code = self._process.wait()
            what = f"ended with code {code}" if answers else f"hung for {self._seconds:.0f} s"
            raise ContestantError(
                f"{self.entry.label} {what}; to see why, run "
                f"python tests/bench/contestant.py {self.entry.name} {self.entry.content}"
            )
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End it."""
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class ContestantError(Exception):
    """A contestant ended where it should have answered."""


def available(names: list[str]) -> tuple[list[str], dict[str, str]]:
    """The contestants that can be measured here, and why each of the others can't."""
    found: list[str] = []
    missing: dict[str, str] = {}
    for name in names:
        try:
            interpreter(name)
        except EnvironmentUnavailable as problem:
            missing[name] = str(problem)
        else:
            found.append(name)
    return found, missing
