"""Whether the application rendered the agents' metrics itself while it answered a request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass
class RenderWatch:
    """Notes a rendering; shared by the threads and tasks that work for the request."""

    rendered: bool = False


_WATCH: ContextVar[RenderWatch | None] = ContextVar("midwatch_render_watch", default=None)


@contextmanager
def watch_rendering() -> Iterator[RenderWatch]:
    """Watch for a rendering inside the block."""
    watch = RenderWatch()
    token = _WATCH.set(watch)
    try:
        yield watch
    finally:
        _WATCH.reset(token)


def note_rendering() -> None:
    """Say that the application renders the metrics itself."""
    watch = _WATCH.get()
    if watch is not None:
        watch.rendered = True
