"""Shows how far long builds are: bars on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from types import TracebackType

from rich.console import Console
from rich.progress import Progress as Bars
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

_QUIET_SECONDS = 20.0


class Progress:
    """Tells on standard error what each build does. Safe to call from several threads."""

    def __init__(self, names: Iterable[str], console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._names = tuple(names)
        self._started: dict[str, float] = {}
        self._last_line: dict[str, float] = {}
        self._lock = threading.Lock()
        columns = (SpinnerColumn(), TextColumn("{task.fields[name]:<14}{task.description}"))
        self._bars = Bars(*columns, TimeElapsedColumn(), console=self._console)
        self._tasks = {
            name: self._bars.add_task("waits", name=name, total=1, start=False)
            for name in self._names
        }

    def __enter__(self) -> Progress:
        """Start to show."""
        if self._console.is_terminal:
            self._bars.start()
        else:
            self._line(f"building {', '.join(self._names)}: once, kept in the cache")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the last state on the screen."""
        if self._console.is_terminal:
            self._bars.stop()

    def started(self, name: str) -> None:
        """A build begins."""
        self._started[name] = time.monotonic()
        self._bars.start_task(self._tasks[name])
        self.says(name, "starts")

    def says(self, name: str, words: str) -> None:
        """A build does something new."""
        self._bars.update(self._tasks[name], description=words)
        now = time.monotonic()
        with self._lock:
            due = now - self._last_line.get(name, 0.0) >= _QUIET_SECONDS
            if due:
                self._last_line[name] = now
        if due and not self._console.is_terminal:
            self._line(f"{name}: {words}")

    def ended(self, name: str, how: str) -> None:
        """A build is over."""
        seconds = time.monotonic() - self._started[name]
        self._bars.update(self._tasks[name], description=how, completed=1)
        if not self._console.is_terminal:
            self._line(f"{name}: {how} after {seconds:.0f} s")

    def _line(self, words: str) -> None:
        self._console.print(f"[programs] {words}", highlight=False, markup=False)
