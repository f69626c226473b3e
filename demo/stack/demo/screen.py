"""Shows progress: a spinner on a terminal, plain lines elsewhere."""

from __future__ import annotations

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.status import Status

from stack.demo.steps import Outcome, Step, Verdict

_MARKS = {
    Verdict.SEEN: "[green]ok[/]    ",
    Verdict.FAILED: "[red]FAILED[/]",
    Verdict.NOT_TRIED: "[dim]-[/]     ",
}
_PLAIN_WIDTH = 110


class Screen:
    """Tells the user what happens.

    Args:
        console: where; a console of its own by default.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console()
        if not self.console.is_terminal:
            self.console = Console(width=_PLAIN_WIDTH, no_color=True, highlight=False)
        self._status: Status | None = None

    def began(self, step: Step) -> None:
        """A step begins."""
        if self.console.is_terminal and not step.shows_itself:
            self._status = self.console.status(escape(step.title))
            self._status.start()

    def ended(self, outcome: Outcome) -> None:
        """A step has ended."""
        if self._status is not None:
            self._status.stop()
            self._status = None
        words = escape(outcome.words.splitlines()[0] if outcome.words else "")
        self.console.print(
            f"{_MARKS[outcome.verdict]} {escape(outcome.title)}: {words} "
            f"[dim]({outcome.seconds:.1f} s)[/]",
            soft_wrap=True,
        )

    def show(self, *things: RenderableType) -> None:
        """Print something."""
        for thing in things:
            self.console.print(thing)
