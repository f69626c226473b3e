"""The tokens of a model call."""

from __future__ import annotations

from typing import NamedTuple


class TokenUsage(NamedTuple):
    """Tokens of one model call.

    Cached tokens are part of the input, reasoning tokens part of the output, and what is written to
    a cache for an hour is part of what is written.
    """

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0
    cache_write_1h: int = 0

    @property
    def total(self) -> int:
        """Every token once."""
        return self.input + self.output
