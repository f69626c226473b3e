"""Incidents in which a program finds a package beside it that does not work."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from incidents.model import IncidentError, Stack


@dataclass(frozen=True)
class PackageIncident:
    """A package is put into the folder that a program runs in, and the program starts anew.

    Attributes:
        program: finds the package, because Python looks there first.
        files: their texts, by their path in that folder.
    """

    name: str
    summary: str
    alerts: tuple[str, ...]
    program: str
    files: Mapping[str, str]

    def start(self, stack: Stack) -> None:
        """Put the package there and let the program start with it."""
        if self.active(stack):
            return
        for path, text in self._paths(stack).items():
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        self._restart(stack)

    def stop(self, stack: Stack) -> None:
        """Take the package away and let the program start without it."""
        if not any(path.exists() for path in self._paths(stack)):
            return
        for path in self._paths(stack):
            shutil.rmtree(path.parent, ignore_errors=True)
        self._restart(stack)

    def active(self, stack: Stack) -> bool:
        """Tell whether the package is there."""
        return all(path.exists() for path in self._paths(stack))

    def _paths(self, stack: Stack) -> dict[Path, str]:
        folder = Path(stack.record.directory) / "programs" / self.program
        if self.program not in stack.programs():
            raise IncidentError(f"{self.name} needs {self.program}, which this stack does not run")
        return {folder / path: text for path, text in self.files.items()}

    def _restart(self, stack: Stack) -> None:
        stack.stop(self.program)
        stack.start(self.program)
