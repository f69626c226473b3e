"""What the process knows of its agents beyond its metrics: whose decisions held, who worked well.

These are counts by agent and bounded as the label `agent` is.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

from midwatch.registry import OVERFLOW_VALUE
from midwatch.registry.attributes import AGENT


class Tallies:
    """Counts by agent, each of how many there were and how many of them were good."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        with self._lock:
            self._decisions: dict[str, list[int]] = {}
            self._collaborations: dict[str, list[int]] = {}

    def decided(self, agent: str, correct: bool) -> None:
        """A decision of the agent has proved right or wrong."""
        self._count(self._decisions, agent, correct)

    def collaborated(self, agents: Iterable[str], succeeded: bool) -> None:
        """Agents have ended their work together."""
        for agent in dict.fromkeys(agents):
            self._count(self._collaborations, agent, succeeded)

    def decisions(self, agent: str) -> tuple[int, int]:
        """How many decisions were judged, and how many were right."""
        return self._read(self._decisions, agent)

    def collaborations(self, agent: str) -> tuple[int, int]:
        """In how many collaborations the agent took part, and how many succeeded."""
        return self._read(self._collaborations, agent)

    def _count(self, counts: dict[str, list[int]], agent: str, good: bool) -> None:
        with self._lock:
            if agent not in counts and len(counts) >= (AGENT.max_values or 0):
                agent = OVERFLOW_VALUE
            pair = counts.setdefault(agent, [0, 0])
            pair[0] += 1
            pair[1] += good

    def _read(self, counts: dict[str, list[int]], agent: str) -> tuple[int, int]:
        with self._lock:
            every, good = counts.get(agent, (0, 0))
            return every, good


TALLIES = Tallies()
"""Those of this process."""
