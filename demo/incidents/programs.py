"""Incidents in which a program of the stack is away."""

from __future__ import annotations

from dataclasses import dataclass

from incidents.model import IncidentError, Stack


@dataclass(frozen=True)
class ProgramDownIncident:
    """A program is stopped and stays away until the incident ends."""

    name: str
    summary: str
    alerts: tuple[str, ...]
    program: str

    def start(self, stack: Stack) -> None:
        """Stop the program."""
        self._require(stack)
        stack.stop(self.program)

    def stop(self, stack: Stack) -> None:
        """Start the program again."""
        self._require(stack)
        stack.start(self.program)

    def active(self, stack: Stack) -> bool:
        """Tell whether the program is stopped."""
        self._require(stack)
        return stack.programs()[self.program].state == "stopped"

    def _require(self, stack: Stack) -> None:
        known = stack.programs()
        if self.program not in known:
            raise IncidentError(
                f"{self.name} needs the program {self.program}, which this stack does not run; it"
                f" runs {', '.join(sorted(known))}"
            )
