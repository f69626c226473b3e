"""The body of `POST /chat`, validated with all its problems at once."""

from __future__ import annotations

from typing import Annotated, TypedDict

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000)]
_SessionId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,128}$")]


class ChatRequest(BaseModel):
    """What a caller asks."""

    model_config = ConfigDict(extra="forbid", strict=True)

    message: _Text
    session_id: _SessionId | None = None
    confirm: bool | None = None


class Problem(TypedDict):
    """One thing that is wrong with a request."""

    field: str
    message: str


def problems_of(error: ValidationError) -> list[Problem]:
    """All problems of a body, without repeating what was sent: it may hold secrets."""
    return [
        Problem(field=".".join(map(str, entry["loc"])) or "(body)", message=entry["msg"])
        for entry in error.errors(include_url=False, include_context=False, include_input=False)
    ]
