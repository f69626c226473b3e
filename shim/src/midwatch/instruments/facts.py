"""The facts that have too many fields to be arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal


@dataclass(kw_only=True, slots=True)
class ModelCall:
    """One call of a model, after its end; nobody changes it (to have that enforced takes 4 µs).

    `cost_usd` is None when the price is not known: the tokens are then counted as unpriced.
    `error_type` is one of the registry's values. `prompt_text` and `response_text` leave the
    process only if the content policy says so; `prompt` is the managed one that it was made with.
    Cached and reasoning tokens are part of input and
    output tokens.
    """

    agent: str
    provider: str
    model: str
    seconds: float
    status: str = "ok"
    error_type: str = "none"
    error: str = ""
    time_to_first_token: float | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: Decimal | None = None
    chunks: int = 0
    task_id: str = ""
    parameters: Mapping[str, object] = field(default_factory=dict)
    prompt: str = ""
    prompt_version: str = ""
    prompt_variant: str = ""
    prompt_label: str = ""
    prompt_text: str | None = None
    response_text: str | None = None
    ended_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def started_at(self) -> datetime:
        """When the prompt was sent."""
        return self.ended_at - timedelta(seconds=self.seconds)

    @property
    def usage_missing(self) -> bool:
        """Whether something was answered without a word on how many tokens it took."""
        answered = self.status == "ok" or self.chunks > 0
        return answered and not self.input_tokens + self.output_tokens

    @property
    def tokens(self) -> tuple[tuple[str, int], ...]:
        """The tokens by the registry's token types."""
        return (
            ("input", self.input_tokens),
            ("output", self.output_tokens),
            ("cache_read", self.cache_read_tokens),
            ("cache_write", self.cache_write_tokens),
            ("reasoning", self.reasoning_tokens),
        )
