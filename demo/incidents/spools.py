"""Incidents in which what waits for the collector can not be kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from incidents.model import IncidentError, Stack

_AWAY = ".taken-away"


@dataclass(frozen=True)
class SpoolIncident:
    """The disk of a program takes nothing, and the collector is away for a while meanwhile.

    That telemetry was lost is only known when there is a collector again that can be told: starting
    takes as long as the outage.

    Attributes:
        program: whose disk it is.
        folder: its spool, below the folder of the program's files.
        seconds: how long the collector is away.
    """

    name: str
    summary: str
    alerts: tuple[str, ...]
    program: str
    folder: str
    seconds: float
    pause: Callable[[float], None] = field(default=time.sleep, repr=False)

    def start(self, stack: Stack) -> None:
        """Let nothing be written any more, and stop the collector for a while."""
        spool = self._spool(stack)
        if self.active(stack):
            return
        if spool.exists():
            spool.rename(self._kept(spool))
        # A file where the folder should be: nothing can be written, whoever tries.
        spool.touch()
        stack.stop("collector")
        try:
            self.pause(self.seconds)
        finally:
            stack.start("collector")

    def stop(self, stack: Stack) -> None:
        """Let the disk take again what is written."""
        spool = self._spool(stack)
        if not self.active(stack):
            return
        spool.unlink()
        if self._kept(spool).exists():
            self._kept(spool).rename(spool)

    def active(self, stack: Stack) -> bool:
        """Tell whether nothing can be written."""
        return self._spool(stack).is_file()

    def _spool(self, stack: Stack) -> Path:
        spool = Path(stack.record.directory) / "programs" / self.program / self.folder
        if not spool.parent.is_dir():
            raise IncidentError(
                f"{self.name} needs the disk of {self.program}, and this stack has none in"
                f" {spool.parent}"
            )
        return spool

    @staticmethod
    def _kept(spool: Path) -> Path:
        return spool.with_name(spool.name + _AWAY)
