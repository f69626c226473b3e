"""How long to wait before a program is started again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Backoff:
    """Doubles the wait with each early death and forgets them after a life that lasted.

    Attributes:
        first_seconds: the wait after a death that follows a life that lasted.
        longest_seconds: the wait never grows beyond it.
        settled_seconds: a life that lasts so long counts as a good one.
        alarming: so many early deaths in a row are worth a report.
    """

    first_seconds: float = 0.2
    longest_seconds: float = 15.0
    settled_seconds: float = 8.0
    alarming: int = 3
    early_deaths: int = 0

    def after(self, lived_seconds: float) -> float:
        """Return the wait after a life of that length."""
        if lived_seconds >= self.settled_seconds:
            self.early_deaths = 0
            return self.first_seconds
        self.early_deaths += 1
        wait: float = self.first_seconds * 2 ** min(self.early_deaths, 16)
        return min(self.longest_seconds, wait)

    @property
    def alarmed(self) -> bool:
        """Whether the program keeps dying at once."""
        return self.early_deaths >= self.alarming
