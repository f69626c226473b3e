"""What kind of load is played, and how much of it."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class Profile(StrEnum):
    """Named loads."""

    QUIET = "quiet"
    NORMAL = "normal"
    STORM = "storm"


class Mix(BaseModel):
    """The load: arrivals a second, what they are made of, and how many may run at once."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    rate: float = Field(gt=0, le=50, description="arrivals a second")
    guardrail_ratio: float = Field(
        ge=0, le=1, description="share of the conversations that a guardrail should stop"
    )
    off_topic_ratio: float = Field(ge=0, le=1, description="share of the conversations off topic")
    simulation_ratio: float = Field(
        ge=0, le=1, description="share of the arrivals that are simulation days or events"
    )
    max_concurrency: int = Field(
        ge=1, le=200, description="arrivals beyond so many at once are shed, not queued"
    )


class MixChange(BaseModel):
    """A change of the load; what is left out stays. A profile comes first, single values after."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    profile: Profile | None = None
    rate: float | None = None
    guardrail_ratio: float | None = None
    off_topic_ratio: float | None = None
    simulation_ratio: float | None = None
    max_concurrency: int | None = None

    def applied_to(self, mix: Mix) -> Mix:
        """Return the changed load.

        Raises:
            pydantic.ValidationError: A value is out of its range; all such values are named.
        """
        base = PROFILES[self.profile] if self.profile is not None else mix
        single = self.model_dump(exclude_none=True, exclude={"profile"})
        return Mix.model_validate(base.model_dump() | single)


PROFILES = {
    Profile.QUIET: Mix(
        rate=0.25,
        guardrail_ratio=0.0,
        off_topic_ratio=0.03,
        simulation_ratio=0.1,
        max_concurrency=8,
    ),
    Profile.NORMAL: Mix(
        rate=1.2,
        guardrail_ratio=0.03,
        off_topic_ratio=0.03,
        simulation_ratio=0.15,
        max_concurrency=24,
    ),
    Profile.STORM: Mix(
        rate=3.0,
        guardrail_ratio=0.1,
        off_topic_ratio=0.05,
        simulation_ratio=0.1,
        max_concurrency=48,
    ),
}
