"""Export threads that let the application go first.

A thread that computes keeps the interpreter's lock for five milliseconds before another one gets
it: a turn that meets the encoding of a batch would wait that long, several times over. So whoever
goes through a batch pauses after each slice of work, for as long as the application needs to take
the lock. To give it up without a pause is no help: its owner has it back before others wake.

A thread that pauses gets the lock back when the application lets it: under load that may take five
milliseconds for each slice. So who is in a hurry, because more waits than should, does not pause.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from time import perf_counter, sleep
from typing import TypeVar, overload

Item = TypeVar("Item")

SLICE_SECONDS = 0.0003
PAUSE_SECONDS = 0.00005


def unhurried(items: Iterable[Item], hurries: Callable[[], bool] = lambda: False) -> Iterator[Item]:
    """The items, with pauses in between as long as nobody hurries."""
    began = perf_counter()
    for item in items:
        yield item
        if perf_counter() - began > SLICE_SECONDS:
            if not hurries():
                sleep(PAUSE_SECONDS)
            began = perf_counter()


class Unhurried(Sequence[Item]):
    """A batch; who goes through it in a loop gives way to other threads now and then.

    Args:
        items: what is in it.
        hurries: whether there is no time to give way just now.
    """

    def __init__(self, items: Sequence[Item], hurries: Callable[[], bool] = lambda: False) -> None:
        self._items = items
        self._hurries = hurries

    def __iter__(self) -> Iterator[Item]:
        return unhurried(self._items, self._hurries)

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> Item: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Item]: ...

    def __getitem__(self, index: int | slice) -> Item | Sequence[Item]:
        if isinstance(index, slice):
            return Unhurried(self._items[index], self._hurries)
        return self._items[index]


def alike(items: Sequence[Item], batch: Sequence[Item]) -> Sequence[Item]:
    """Items that were made of a batch, to be gone through as it is."""
    return Unhurried(items, batch._hurries) if isinstance(batch, Unhurried) else items
