"""What people say of the answers: thumbs for one, and whether their matter is settled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from security_agent.assistant.telemetry import record_feedback, record_outcome


class FeedbackRequest(BaseModel):
    """The body of `POST /feedback`; without a turn it is about the session's last one."""

    model_config = ConfigDict(extra="forbid", strict=True)

    session_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,128}$")]
    turn_id: Annotated[str, Field(max_length=20)] | None = None
    thumbs: Literal["up", "down"] | None = None
    solved: bool | None = None

    @model_validator(mode="after")
    def _says_something(self) -> FeedbackRequest:
        if self.thumbs is None and self.solved is None:
            raise ValueError("give thumbs (up or down), solved (bool), or both")
        return self


def turn_meant(
    told: FeedbackRequest, turns: Sequence[Mapping[str, object]]
) -> Mapping[str, object] | None:
    """The turn that the feedback is about; None where the session does not remember it."""
    if told.turn_id is None:
        return turns[-1] if turns else None
    return next((turn for turn in turns if turn["turn_id"] == told.turn_id), None)


def record(told: FeedbackRequest, turn: Mapping[str, object]) -> None:
    """Report what was said of a turn, under the turn's own ids."""
    if told.thumbs is not None:
        record_feedback(told.thumbs, told.session_id, str(turn["turn_id"]), str(turn["trace_id"]))
    if told.solved is not None:
        record_outcome("solved" if told.solved else "unsolved", told.solved)
