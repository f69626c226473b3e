"""Incidents in which a program of the stack gets a configuration that is wrong."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from incidents.model import IncidentError, Stack


@dataclass(frozen=True)
class ConfigurationIncident:
    """Text is added to a file that a program reads when it is told to (SIGHUP).

    Attributes:
        program: reads the file.
        file: below the folder of the program's files; made when there is none.
        text: is added at its end, and taken away again.
    """

    name: str
    summary: str
    alerts: tuple[str, ...]
    program: str
    file: str
    text: str

    def start(self, stack: Stack) -> None:
        """Add the text and let the program read it."""
        path = self._path(stack)
        before = _read(path)
        if self.text not in before:
            path.write_text(before + self.text, encoding="utf-8")
            self._reload(stack)

    def stop(self, stack: Stack) -> None:
        """Take the text away and let the program read what is left."""
        path = self._path(stack)
        now = _read(path)
        if self.text not in now:
            return
        left = now.replace(self.text, "")
        if left:
            path.write_text(left, encoding="utf-8")
        else:
            path.unlink()
        self._reload(stack)

    def active(self, stack: Stack) -> bool:
        """Tell whether the text is there."""
        return self.text in _read(self._path(stack))

    def _path(self, stack: Stack) -> Path:
        files = Path(stack.record.directory) / "programs" / self.program / "files"
        path = files / self.file
        if not path.parent.is_dir():
            raise IncidentError(
                f"{self.name} needs the configuration of {self.program}, and this stack has none"
                f" in {path.parent}"
            )
        return path

    def _reload(self, stack: Stack) -> None:
        program = stack.programs().get(self.program)
        if program is None or program.pid is None:
            raise IncidentError(f"{self.name} needs {self.program}, which does not run")
        os.kill(program.pid, signal.SIGHUP)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""
