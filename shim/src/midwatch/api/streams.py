"""A scope around a stream that somebody else makes: in force while the next item is made."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import TypeVar

from midwatch.api.scopes import Scope
from midwatch.instruments.recorder import get_recorder

_Item = TypeVar("_Item")


def stream_in(
    scope: Scope, stream: Iterable[_Item], seen: Callable[[_Item], None]
) -> Iterator[_Item]:
    """The same items; the scope begins with the first step and ends with the stream.

    Args:
        scope: what the stream is the work of.
        stream: the stream; it is closed if its consumer gives it up.
        seen: is told of each item.
    """
    if not get_recorder().enabled:
        yield from stream
        return
    scope.begin()
    with scope.ending():
        with scope.in_force():
            iterator = iter(stream)
        while True:
            with scope.in_force():
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            seen(item)
            try:
                yield item
            except GeneratorExit:
                close = getattr(iterator, "close", None)
                if close is not None:
                    with scope.in_force():
                        close()
                raise


async def async_stream_in(
    scope: Scope, stream: AsyncIterable[_Item], seen: Callable[[_Item], None]
) -> AsyncIterator[_Item]:
    """The same for an asynchronous stream."""
    if not get_recorder().enabled:
        async for item in stream:
            yield item
        return
    scope.begin()
    with scope.ending():
        with scope.in_force():
            iterator = aiter(stream)
        while True:
            with scope.in_force():
                try:
                    item = await anext(iterator)
                except StopAsyncIteration:
                    return
            seen(item)
            try:
                yield item
            except GeneratorExit:
                close = getattr(iterator, "aclose", None)
                if close is not None:
                    with scope.in_force():
                        await close()
                raise
