"""How long the scripted model takes."""

from __future__ import annotations

from random import Random

from pydantic import BaseModel, ConfigDict, Field


class Latency(BaseModel):
    """A base before the first token, a time for each token, and a jitter on both."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    base_seconds: float = Field(default=0.08, ge=0, le=600)
    per_token_seconds: float = Field(default=0.001, ge=0, le=60)
    jitter: float = Field(
        default=0.2, ge=0, le=1, description="share by which both vary up and down"
    )

    def first_token_seconds(self, random: Random) -> float:
        """The time before the first token."""
        return self.base_seconds * self._factor(random)

    def token_seconds(self, random: Random) -> float:
        """The time for one more token."""
        return self.per_token_seconds * self._factor(random)

    def _factor(self, random: Random) -> float:
        return 1 + self.jitter * (2 * random.random() - 1)


class LatencyChange(Latency):
    """A change of one model's latency, or of the default when no model is named."""

    model: str | None = None

    def latency(self) -> Latency:
        """The latency without the model's name."""
        return Latency.model_validate(self.model_dump(exclude={"model"}))


class Latencies:
    """The default latency and those of single models."""

    def __init__(self, default: Latency) -> None:
        self._default = default
        self._by_model: dict[str, Latency] = {}

    def of(self, model: str) -> Latency:
        """The latency of a model."""
        return self._by_model.get(model, self._default)

    def set(self, change: LatencyChange) -> None:
        """Set one model's latency; without a model the default, for all models again."""
        if change.model is None:
            self._default = change.latency()
            self._by_model.clear()
        else:
            self._by_model[change.model] = change.latency()

    def state(self) -> dict[str, object]:
        """The latencies in force."""
        return {
            "default": self._default.model_dump(),
            "models": {name: latency.model_dump() for name, latency in self._by_model.items()},
        }
