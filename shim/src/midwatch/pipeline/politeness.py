"""Export threads that let the application go first.

A thread that computes keeps the interpreter's lock for five milliseconds before another one gets
it: a turn that meets the encoding of a batch would wait that long, several times over. So whoever
goes through a batch pauses after each slice of work, for as long as the application needs to take
the lock. To give it up without a pause is no help: its owner has it back before others wake.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from time import perf_counter, sleep
from typing import TypeVar, overload

Item = TypeVar("Item")

SLICE_SECONDS = 0.0003
PAUSE_SECONDS = 0.00005


class Unhurried(Sequence[Item]):
    """A batch; who goes through it in a loop gives way to other threads now and then."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._items = items

    def __iter__(self) -> Iterator[Item]:
        began = perf_counter()
        for item in self._items:
            yield item
            if perf_counter() - began > SLICE_SECONDS:
                sleep(PAUSE_SECONDS)
                began = perf_counter()

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> Item: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Item]: ...

    def __getitem__(self, index: int | slice) -> Item | Sequence[Item]:
        return self._items[index]
