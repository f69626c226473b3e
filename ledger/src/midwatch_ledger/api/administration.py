"""What admins do: read the audit log, set retention, hold and erase."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from midwatch_ledger.access_settings import RETAINED
from midwatch_ledger.api.answers import Limit, Offset, UtcQuery, json_answer
from midwatch_ledger.api.problems import ProblemError, documented, unavailable
from midwatch_ledger.services import erasure, projects
from midwatch_ledger.services.archives import Archive, ArchiveError
from midwatch_ledger.services.erasure import HeldError
from midwatch_ledger.store import access
from midwatch_ledger.store import erasure as store
from midwatch_ledger.store.erasure import Subject

router = APIRouter(tags=["administration"])

_STRICT = ConfigDict(extra="forbid")
Name = Annotated[str, Field(min_length=1, max_length=200)]
# Control characters can't be stored, and are in no name.
Identifier = Annotated[str, Path(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f]+$")]
Table = Literal[RETAINED]  # type: ignore[valid-type]
Days = Annotated[int, Field(ge=0, le=36_500, description="0 keeps for ever.")]


class AuditAnswer(BaseModel):
    """One change: digests tell whether two states are the same, not what they were."""

    id: UUID
    occurred_at: datetime
    actor: str
    action: str
    subject: str | None
    changed: dict[str, int]
    before_digest: str | None
    after_digest: str | None
    request_id: str | None
    address: str | None


class AuditList(BaseModel):
    """Changes, the newest first."""

    items: list[AuditAnswer]


class ProjectGiven(BaseModel):
    """A project, and how many days its rows are kept where that is not what is usual."""

    model_config = _STRICT

    description: Annotated[str | None, Field(max_length=4000)] = None
    retention_days: Days | None = None
    retention_tables: dict[Table, Days] = {}


class ProjectAnswer(BaseModel):
    """A project that has settings of its own."""

    name: str
    description: str | None
    retention: dict[str, int]
    created_at: datetime
    updated_at: datetime


class ProjectList(BaseModel):
    """Projects in the order of their names."""

    items: list[ProjectAnswer]


class HoldGiven(BaseModel):
    """What must not be deleted, and why."""

    model_config = _STRICT

    subject: Literal["project", "session", "user", "trace"]
    value: Name
    reason: Annotated[str, Field(min_length=1, max_length=4000)]


class HoldAnswer(HoldGiven):
    """A legal hold."""

    id: UUID
    created_by: str
    created_at: datetime
    released_by: str | None
    released_at: datetime | None


class HoldList(BaseModel):
    """Legal holds, the newest first."""

    items: list[HoldAnswer]


class Erased(BaseModel):
    """How many rows of each table are gone."""

    deleted: dict[str, int]


@router.get("/audit", response_model=AuditList, responses=documented(401, 422, 503))
def list_audit(
    request: Request,
    actor: str | None = None,
    action: str | None = None,
    subject: str | None = None,
    start_date: UtcQuery = None,
    end_date: UtcQuery = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> Response:
    """List changes: who, what, when; the newest first."""
    equal = {"actor": actor, "action": action, "subject": subject}
    with request.app.state.database.reading() as connection:
        found = access.audit(connection, equal, start_date, end_date, limit, offset)
    return json_answer({"items": found})


@router.get("/projects", response_model=ProjectList, responses=documented(401, 503))
def list_projects(request: Request) -> Response:
    """List the projects that have settings of their own."""
    with request.app.state.database.reading() as connection:
        return json_answer({"items": projects.listed(connection)})


@router.put("/projects/{name}", response_model=ProjectAnswer, responses=documented(401, 422, 503))
def set_project(request: Request, name: Identifier, given: ProjectGiven) -> Response:
    """Say what a project is, and how long its rows are kept."""
    retention: dict[str, Any] = dict(given.retention_tables)
    if given.retention_days is not None:
        retention[projects.EVERY_TABLE] = given.retention_days
    with request.app.state.database.writing() as connection:
        kept = projects.put(connection, name, given.description, retention, datetime.now(UTC))
        return json_answer(kept)


@router.get("/holds", response_model=HoldList, responses=documented(401, 422, 503))
def list_holds(request: Request, released: bool = False) -> Response:
    """List legal holds."""
    with request.app.state.database.reading() as connection:
        return json_answer({"items": store.holds(connection, released=released)})


@router.post(
    "/holds", status_code=201, response_model=HoldAnswer, responses=documented(401, 422, 503)
)
def add_hold(request: Request, given: HoldGiven) -> Response:
    """Forbid to delete what is kept of a project, session, user or trace."""
    by, now = request.state.principal.name, datetime.now(UTC)
    with request.app.state.database.writing() as connection:
        held = erasure.hold(connection, given.subject, given.value, given.reason, by, now)
        return json_answer(held, 201)


@router.post(
    "/holds/{identifier}/release",
    status_code=204,
    response_class=Response,
    responses=documented(401, 404, 422, 503),
)
def release_hold(request: Request, identifier: UUID) -> Response:
    """Allow it again."""
    by, now = request.state.principal.name, datetime.now(UTC)
    with request.app.state.database.writing() as connection:
        if not erasure.release(connection, identifier, by, now):
            raise ProblemError(404, f"there is no hold {str(identifier)!r}; GET /holds lists all")
    return Response(status_code=204)


@router.delete(
    "/sessions/{session_id}",
    response_model=Erased,
    responses=documented(401, 404, 409, 422, 503),
)
def erase_session(request: Request, session_id: Identifier) -> Response:
    """Delete all that is kept of a session, and take it out of every sum."""
    return _erase(request, Subject("session", session_id))


@router.delete(
    "/users/{user_hash}",
    response_model=Erased,
    responses=documented(401, 404, 409, 422, 503),
)
def erase_user(request: Request, user_hash: Identifier) -> Response:
    """Delete all that is kept of a user, by the hash of their id, and take it out of every sum."""
    return _erase(request, Subject("user", user_hash))


def _erase(request: Request, subject: Subject) -> Response:
    try:
        deleted = erasure.erase(request.app.state.database, subject, datetime.now(UTC))
    except HeldError as error:
        raise ProblemError(409, str(error)) from None
    url = request.app.state.settings.archive_url
    # An archive is of all projects: who may not see all of them, may not change it.
    if url is not None and request.state.boundary.projects is None:
        try:
            removed = erasure.erase_archived(Archive(url), subject)
        except ArchiveError as error:
            raise unavailable(f"gone from the database, not from the archive: {error}") from None
        deleted.update({f"archive of {table}": count for table, count in removed.items()})
    if not deleted:
        raise ProblemError(404, f"nothing is kept of this {subject.kind}")
    return json_answer({"deleted": deleted})
