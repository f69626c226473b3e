"""Incidents in which the disk takes nothing more from a program."""

from __future__ import annotations

import resource
from dataclasses import dataclass

from incidents.model import IncidentError, Stack


@dataclass(frozen=True)
class FullDiskIncident:
    """A running program may make no file any longer: each write fails, as on a full disk.

    A limit of the process does what a full file system does, without a file system to be mounted.
    What is shorter than a file was before can still be written. Linux only.
    """

    name: str
    summary: str
    alerts: tuple[str, ...]
    program: str

    def start(self, stack: Stack) -> None:
        """Take away what is left."""
        pid, (_, greatest) = self._limits(stack)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, greatest))

    def stop(self, stack: Stack) -> None:
        """Give all back."""
        pid, (_, greatest) = self._limits(stack)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (greatest, greatest))

    def active(self, stack: Stack) -> bool:
        """Tell whether it may write nothing."""
        return self._limits(stack)[1][0] == 0

    def _limits(self, stack: Stack) -> tuple[int, tuple[int, int]]:
        program = stack.programs().get(self.program)
        if program is None or program.pid is None:
            raise IncidentError(f"{self.name} needs {self.program}, which does not run")
        try:
            return program.pid, resource.prlimit(program.pid, resource.RLIMIT_FSIZE)
        except (AttributeError, OSError) as problem:
            raise IncidentError(
                f"{self.name} limits the files of {self.program} (process {program.pid}), and this"
                f" system does not let it: {problem}"
            ) from problem
