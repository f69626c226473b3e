"""What an incident is, and what it needs of the stack in which it happens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class IncidentError(Exception):
    """An incident cannot be caused or ended; the text says why and what to do."""


class TooEarlyError(IncidentError):
    """It is not the time for an incident yet; later it is."""


class AbsentError(IncidentError):
    """The stack runs without a program that an incident needs; neither is at fault."""


class ProgramState(Protocol):
    """What an incident asks of a program's status."""

    @property
    def state(self) -> str:
        """The state as the supervisor names it."""

    @property
    def pid(self) -> int | None:
        """Its process, None while it has none."""

    @property
    def ports(self) -> Mapping[str, int]:
        """Its local ports by name."""


class StackPlace(Protocol):
    """What an incident asks of a stack's record."""

    @property
    def directory(self) -> str:
        """Where everything of the stack is, absolute."""


class Stack(Protocol):
    """The part of `stack.client.StackClient` that incidents use."""

    @property
    def record(self) -> StackPlace:
        """Where the stack is."""

    def url(self, name: str) -> str:
        """Return the address of a program."""

    def programs(self) -> Mapping[str, ProgramState]:
        """Return all programs by name."""

    def start(self, name: str) -> None:
        """Start a program; nothing happens when it runs."""

    def stop(self, name: str) -> None:
        """Stop a program; nothing happens when it is stopped."""


class Incident(Protocol):
    """Something that goes wrong on command and is put right again.

    Starting an active incident and stopping one that is not active change nothing.
    """

    @property
    def name(self) -> str:
        """How it is called on the command line."""

    @property
    def summary(self) -> str:
        """What goes wrong, in one sentence."""

    @property
    def alerts(self) -> tuple[str, ...]:
        """The alerts that must fire while it lasts."""

    def start(self, stack: Stack) -> None:
        """Make it happen.

        Raises:
            IncidentError: A program that it needs is not there or refuses.
        """

    def stop(self, stack: Stack) -> None:
        """End it.

        Raises:
            IncidentError: A program that it needs is not there or refuses.
        """

    def active(self, stack: Stack) -> bool:
        """Tell whether it happens now.

        Raises:
            IncidentError: A program that it needs is not there or refuses.
        """
