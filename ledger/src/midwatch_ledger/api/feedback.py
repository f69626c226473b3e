"""`/feedback`: what people think of answers, and the queue of its review."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, model_validator

from midwatch_ledger.api.access import only_project
from midwatch_ledger.api.answers import Limit, Offset, UtcQuery, json_answer, plain
from midwatch_ledger.api.cursors import Asked, Cursor, pointing_on
from midwatch_ledger.api.problems import ProblemError, documented
from midwatch_ledger.services import feedback
from midwatch_ledger.services.feedback import FeedbackTakenError, Opinion, State, Step
from midwatch_ledger.store import reading
from midwatch_ledger.store.reading import Criteria, Period

router = APIRouter(prefix="/feedback", tags=["feedback"])

_STRICT = ConfigDict(extra="forbid")
_ALLOWED = {"thumb": ("up", "down"), "stars": ("1", "2", "3", "4", "5")}
Name = Annotated[str, Field(min_length=1, max_length=200)]


class FeedbackGiven(BaseModel):
    """An opinion about a trace, a span of it, a session or a turn."""

    model_config = _STRICT

    kind: Literal["thumb", "stars", "score", "text", "label"]
    value: Annotated[str, Field(min_length=1, max_length=100)] = "given"
    score: Annotated[float | None, Field(ge=0, le=1)] = None
    labels: Annotated[list[Name], Field(max_length=10)] = []
    comment: Annotated[str | None, Field(min_length=1, max_length=10_000)] = None
    by: Name | None = None
    trace_id: Annotated[str | None, Field(pattern="^[0-9a-f]{32}$")] = None
    span_id: Annotated[str | None, Field(pattern="^[0-9a-f]{16}$")] = None
    session_id: Name | None = None
    turn_id: Name | None = None
    service: Name | None = None
    project: Name | None = None

    @model_validator(mode="after")
    def _says_something_about_something(self) -> Self:
        if not (self.trace_id or self.session_id or self.turn_id):
            raise ValueError("say what it is about: give trace_id, session_id or turn_id")
        if self.span_id and not self.trace_id:
            raise ValueError("a span is found by its trace: give trace_id beside span_id")
        allowed = _ALLOWED.get(self.kind)
        if allowed and self.value not in allowed:
            raise ValueError(f"value {self.value!r} of {self.kind}: allowed are {allowed}")
        if self.kind == "score" and self.score is None:
            raise ValueError("a score needs `score`, from 0 to 1")
        if self.kind == "text" and self.comment is None:
            raise ValueError("a text needs `comment`")
        return self


class ReviewGiven(BaseModel):
    """A step of a review; what is left out stays as it is."""

    model_config = _STRICT

    by: Name
    state: State | None = None
    assignee: Annotated[str | None, Field(max_length=200, description="Empty: nobody.")] = None
    note: Annotated[str | None, Field(min_length=1, max_length=4000)] = None


class ReviewAnswer(BaseModel):
    """A step of a review."""

    id: UUID
    feedback_id: UUID
    state: str
    assignee: str | None
    note: str | None
    reviewer: str
    reviewed_at: datetime


class FeedbackAnswer(BaseModel):
    """An opinion and how far its review is."""

    id: UUID
    kind: str
    value: str
    score: float | None
    labels: list[str]
    comment: str | None
    source: str
    given_by: str | None
    given_at: datetime
    trace_id: str | None
    span_id: str | None
    session_id: str | None
    turn_id: str | None
    service: str | None
    project: str | None
    state: str
    assignee: str | None
    updated_at: datetime


class FeedbackWithReviews(FeedbackAnswer):
    """An opinion with the steps of its review."""

    reviews: list[ReviewAnswer]


class FeedbackList(BaseModel):
    """Feedback, the newest first."""

    items: list[FeedbackAnswer]


def _criteria(
    state: State | None = None,
    assignee: str | None = None,
    kind: str | None = None,
    value: str | None = None,
    trace_id: str | None = None,
    session_id: str | None = None,
    service: str | None = None,
    project: str | None = None,
    start_date: UtcQuery = None,
    end_date: UtcQuery = None,
) -> Criteria:
    equal = {
        "state": state,
        "assignee": assignee,
        "kind": kind,
        "value": value,
        "trace_id": trace_id,
        "session_id": session_id,
        "service": service,
        "project": project,
    }
    return Criteria(equal, Period(start_date, end_date))


Wanted = Annotated[Criteria, Depends(_criteria)]


@router.post(
    "",
    status_code=201,
    response_model=FeedbackWithReviews,
    responses=documented(401, 409, 422, 503),
)
def give_feedback(
    request: Request,
    given: FeedbackGiven,
    idempotency_key: Annotated[
        str | None,
        Header(max_length=200, description="The same key again gives the same feedback, once."),
    ] = None,
) -> Response:
    """Keep an opinion."""
    said = given.model_dump(exclude={"by"})
    said["project"] = said["project"] or only_project(request)
    opinion = Opinion(given_by=given.by, **said)
    with request.app.state.database.writing() as connection:
        try:
            kept = feedback.give(connection, opinion, idempotency_key, datetime.now(UTC))
        except FeedbackTakenError:
            raise ProblemError(
                409, "another feedback was given under this Idempotency-Key; use a new key"
            ) from None
        return json_answer(kept, 201)


@router.get("", response_model=FeedbackList, responses=documented(401, 422, 503))
def list_feedback(
    request: Request,
    criteria: Wanted,
    limit: Limit = 100,
    offset: Offset = 0,
    cursor: Cursor = None,
) -> Response:
    """List feedback, the newest first; `state=new` is the queue of what nobody has looked at."""
    asked = Asked("given_at", criteria, limit, offset, cursor)
    with request.app.state.database.reading() as connection:
        found = reading.feedback(connection, criteria, asked.page)
    return pointing_on(json_answer({"items": found}), request, asked, found)


@router.get(
    "/export",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"application/x-ndjson": {}}, "description": "One example a line."},
        **documented(401, 422, 503),
    },
)
def export_feedback(request: Request, criteria: Wanted) -> Response:
    """Give feedback with the model calls that it is about, one JSON object a line."""

    def lines() -> Iterator[bytes]:
        with request.app.state.database.reading() as connection:
            for example in feedback.dataset(connection, criteria):
                yield orjson.dumps(
                    example, default=plain, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE
                )

    return StreamingResponse(lines(), media_type="application/x-ndjson")


@router.get(
    "/{identifier}",
    response_model=FeedbackWithReviews,
    responses=documented(401, 404, 422, 503),
)
def get_feedback(request: Request, identifier: UUID) -> Response:
    """Give an opinion with the steps of its review."""
    with request.app.state.database.reading() as connection:
        return json_answer(_known(feedback.find(connection, identifier), identifier))


@router.patch(
    "/{identifier}",
    response_model=FeedbackWithReviews,
    responses=documented(401, 404, 422, 503),
)
def review_feedback(request: Request, identifier: UUID, given: ReviewGiven) -> Response:
    """Take a step in the review of an opinion."""
    step = Step(given.by, given.state, given.assignee, given.note)
    with request.app.state.database.writing() as connection:
        reviewed = feedback.review(connection, identifier, step, datetime.now(UTC))
        return json_answer(_known(reviewed, identifier))


def _known(found: dict[str, Any] | None, identifier: UUID) -> dict[str, Any]:
    if found is None:
        raise ProblemError(404, f"no feedback {str(identifier)!r} is kept; GET /feedback lists it")
    return found
