"""Memory and processor time of programs."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import psutil

_Children = defaultdict[int, list[psutil.Process]]


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
        children = _children()
        for name, pid in pids.items():
            if pid is None:
                continue
            family = self._family(pid, children)
            seen.update((process.pid, process) for process in family)
            result[name] = _sum(family)
        self._known = seen
        return result

    def _family(self, pid: int, children: _Children) -> list[psutil.Process]:
        try:
            family = [self._remembered(psutil.Process(pid))]
        except psutil.Error:
            return []
        for process in family:  # It grows while it is walked: children of children come last.
            family += map(self._remembered, children[process.pid])
        return family

    def _remembered(self, process: psutil.Process) -> psutil.Process:
        known = self._known.get(process.pid)
        return known if known is not None and known == process else process


def _children() -> _Children:
    """Give the children of each process: one look at the machine's serves all programs."""
    found: _Children = defaultdict(list)
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):  # It has just ended.
            found[process.ppid()].append(process)
    return found


def _sum(family: list[psutil.Process]) -> Usage:
    rss, cpu = 0, 0.0
    for process in family:
        try:
            rss += process.memory_info().rss
            cpu += process.cpu_percent(interval=None)
        except psutil.Error:
            continue  # It ended between being listed and being asked.
    return Usage(rss, cpu)
