"""Makes a run's span the current one for the code inside of the run, and for no other code.

Callbacks can't do that: what a callback attaches in a generator is seen by whoever consumes it, and
what it attaches in a task it can't detach in another. So the context is set where LangChain and
LangGraph themselves make a context for the code of a node, a tool or a step (a copy that is thrown
away), and around each step of a model's stream.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from uuid import UUID

from opentelemetry.context import Context, attach, detach, get_current

from midwatch.instrumentors.langchain_runs import Run
from midwatch.pipeline.present import enter_context

Wrapper = Callable[[Callable[..., Any], Any, tuple[Any, ...], dict[str, Any]], Any]
FindRun = Callable[[UUID | None], Run | None]
"""Finds an open run by its id; finds none while the instrumentation is off."""


class _Stream:
    """The place where a model call that begins inside of a stream leaves its context."""

    __slots__ = ("context",)

    def __init__(self) -> None:
        self.context: Context | None = None


_STREAM: ContextVar[_Stream | None] = ContextVar("midwatch_model_stream", default=None)


def enter_stream(run: Run) -> None:
    """Make a model run's span current if the run began in a stream that is guarded."""
    stream = _STREAM.get()
    if stream is not None and stream.context is None:
        stream.context = run.context
        attach(run.context)


def set_config_context(find: FindRun) -> Wrapper:
    """Wraps the function that sets the configuration in the copied context of a run's code."""

    def wrapper(
        wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        result = wrapped(*args, **kwargs)
        run = find(parent_run_id(args[0] if args else kwargs.get("config")))
        if run is not None:
            enter_context(run.context)
        return result

    return wrapper


def generate(find: FindRun) -> Wrapper:
    """Wraps the method in which a chat model produces one answer."""

    def wrapper(
        wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        run = find(getattr(kwargs.get("run_manager"), "run_id", None))
        if run is None:
            return wrapped(*args, **kwargs)
        with run.active():
            return wrapped(*args, **kwargs)

    return wrapper


def agenerate(find: FindRun) -> Wrapper:
    """The same for the asynchronous method."""

    async def wrapper(
        wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        run = find(getattr(kwargs.get("run_manager"), "run_id", None))
        if run is None:
            return await wrapped(*args, **kwargs)
        with run.active():
            return await wrapped(*args, **kwargs)

    return wrapper


def handle_event(usual: Callable[..., Any], ours: Callable[[], Any]) -> Callable[..., Any]:
    """LangChain's function that tells handlers of an event, on a short way.

    A handler that is the only one and that raises nothing needs no inspection of what it returned
    and no gathering of the others. Ours takes the event without another round of its arguments.
    """

    @functools.wraps(usual)
    def told(
        handlers: Sequence[Any],
        event_name: str,
        ignore_condition_name: str | None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        # Our handler ignores no event.
        if len(handlers) == 1 and handlers[0] is ours():
            handlers[0].take(event_name, args, kwargs)
        else:
            usual(handlers, event_name, ignore_condition_name, *args, **kwargs)

    return told


def ahandle_event(usual: Callable[..., Any], ours: Callable[[], Any]) -> Callable[..., Any]:
    """The same in asynchronous code, where the usual way takes longer than what the handler does.

    A handler that is called in place needs no coroutine either.
    """

    @functools.wraps(usual)
    async def told(
        handlers: Sequence[Any],
        event_name: str,
        ignore_condition_name: str | None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        if len(handlers) == 1 and handlers[0] is ours():
            handlers[0].take(event_name, args, kwargs)
        else:
            await usual(handlers, event_name, ignore_condition_name, *args, **kwargs)

    return told


def stream(
    wrapped: Callable[..., Iterator[Any]], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Iterator[Any]:
    """Wraps a chat model's `stream`: its steps run in the call's context, its consumer does not."""
    guard = _Stream()
    inner = wrapped(*args, **kwargs)
    try:
        while True:
            with _inside(guard):
                try:
                    item = next(inner)
                except StopIteration:
                    return
            yield item
    finally:
        with _inside(guard):
            close = getattr(inner, "close", None)
            if close is not None:
                close()


async def astream(
    wrapped: Callable[..., AsyncIterator[Any]],
    _: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> AsyncIterator[Any]:
    """The same for `astream`."""
    guard = _Stream()
    inner = wrapped(*args, **kwargs)
    try:
        while True:
            with _inside(guard):
                try:
                    item = await anext(inner)
                except StopAsyncIteration:
                    return
            yield item
    finally:
        with _inside(guard):
            close = getattr(inner, "aclose", None)
            if close is not None:
                await close()


@contextmanager
def _inside(guard: _Stream) -> Iterator[None]:
    token = attach(get_current() if guard.context is None else guard.context)
    slot = _STREAM.set(guard)
    try:
        yield
    finally:
        _STREAM.reset(slot)
        detach(token)


def parent_run_id(config: object) -> UUID | None:
    """The run in which code with this configuration runs."""
    # Nearly always a dictionary, which is quickly told.
    if type(config) is not dict and not isinstance(config, Mapping):
        return None
    run_id = getattr(config.get("callbacks"), "parent_run_id", None)
    return run_id if isinstance(run_id, UUID) else None
