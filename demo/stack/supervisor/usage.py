"""Memory and processor time of programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Usage:
    """What a program and its children use.

    Attributes:
        rss_bytes: resident memory.
        cpu_percent: of one core, since the last measurement.
    """

    rss_bytes: int
    cpu_percent: float


class UsageMeter:
    """Measures; keeps what it must remember between two measurements."""

    def __init__(self) -> None:
        self._known: dict[int, psutil.Process] = {}

    def measure(self, pids: Mapping[str, int | None]) -> dict[str, Usage]:
        """Return the usage of each program that runs."""
        result = {}
        seen: dict[int, psutil.Process] = {}
        for name, pid in pids.items():
            if pid is None:
                continue
            family = self._family(pid)
            seen.update((process.pid, process) for process in family)
            result[name] = _sum(family)
        self._known = seen
        return result

    def _family(self, pid: int) -> list[psutil.Process]:
        try:
            parent = self._remembered(psutil.Process(pid))
            return [parent, *(self._remembered(p) for p in parent.children(recursive=True))]
        except psutil.Error:
            return []

    def _remembered(self, process: psutil.Process) -> psutil.Process:
        known = self._known.get(process.pid)
        return known if known is not None and known == process else process


def _sum(family: list[psutil.Process]) -> Usage:
    rss, cpu = 0, 0.0
    for process in family:
        try:
            rss += process.memory_info().rss
            cpu += process.cpu_percent(interval=None)
        except psutil.Error:
            continue  # It ended between being listed and being asked.
    return Usage(rss, cpu)
