"""Which processors of spans there are, and what each of them does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from opentelemetry.sdk.trace import SpanProcessor, SynchronousMultiSpanProcessor


class Stations:
    """The processors of a provider, by what of a span's life they really look at.

    The SDK calls each of them three times for each span, most of them for nothing.

    Args:
        processor: the provider's, through which all others are called.
    """

    def __init__(self, processor: SpanProcessor) -> None:
        self._processor = processor
        self._known: object = None
        self.starts: tuple[Callable[..., None], ...] = ()
        self.endings: tuple[Callable[..., None], ...] = ()
        self.ends: tuple[Callable[..., None], ...] = ()

    def look(self) -> Self:
        """The same, with processors that were added since."""
        if type(self._processor) is not SynchronousMultiSpanProcessor:
            present: tuple[SpanProcessor, ...] = (self._processor,)
        else:
            # A new tuple whenever a processor is added.
            present = self._processor._span_processors
            if present is self._known:
                return self
        self.starts = tuple(one.on_start for one in present if _does(one, "on_start"))
        self.endings = tuple(one._on_ending for one in present if _does(one, "_on_ending"))
        self.ends = tuple(one.on_end for one in present if _does(one, "on_end"))
        self._known = present
        return self


def _does(processor: SpanProcessor, name: str) -> bool:
    return getattr(type(processor), name, None) is not getattr(SpanProcessor, name)
