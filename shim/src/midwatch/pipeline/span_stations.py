"""Which processors of spans there are, and what each of them does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, Self

from opentelemetry.sdk.trace import SpanProcessor, SynchronousMultiSpanProcessor


class Stops(NamedTuple):
    """What is called for a span at its start, just before its end, and at its end."""

    starts: tuple[Callable[..., None], ...]
    endings: tuple[Callable[..., None], ...]
    ends: tuple[Callable[..., None], ...]

    @classmethod
    def at(cls, processors: Iterable[SpanProcessor]) -> Self:
        """The processors' own methods; those that they only inherit do nothing."""
        present = tuple(processors)
        return cls(
            tuple(one.on_start for one in present if _does(one, "on_start")),
            tuple(one._on_ending for one in present if _does(one, "_on_ending")),
            tuple(one.on_end for one in present if _does(one, "on_end")),
        )


_NONE = Stops((), (), ())


class Stations:
    """The processors of a provider, by what of a span's life they really look at.

    The SDK calls each of them three times for each span, most of them for nothing. One of ours says
    by `looks_at_sampled` or `looks_at_unsampled` that it leaves a sort of light spans alone.

    Args:
        processor: the provider's, through which all others are called.
    """

    def __init__(self, processor: SpanProcessor) -> None:
        self._several = processor if type(processor) is SynchronousMultiSpanProcessor else None
        self._alone = (processor,)
        self._known: object = None
        self._sampled = self._unsampled = _NONE

    def look(self, *, sampled: bool) -> Stops:
        """What is called for such a span, with processors that were added since."""
        # A new tuple whenever a processor is added.
        present = self._alone if self._several is None else self._several._span_processors
        if present is not self._known:
            self._sampled = Stops.at(
                one for one in present if getattr(one, "looks_at_sampled", True)
            )
            self._unsampled = Stops.at(
                one for one in present if getattr(one, "looks_at_unsampled", True)
            )
            self._known = present
        return self._sampled if sampled else self._unsampled


def _does(processor: SpanProcessor, name: str) -> bool:
    return getattr(type(processor), name, None) is not getattr(SpanProcessor, name)
