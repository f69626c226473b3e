"""`/prices` and `/repricings`: what tokens cost, and history at other prices."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from midwatch_ledger.api.answers import Limit, Offset, json_answer
from midwatch_ledger.api.problems import ProblemError, documented
from midwatch_ledger.services import prices, repricing
from midwatch_ledger.services.price_documents import (
    NAME_PATTERN,
    Price,
    PriceDocument,
    TableName,
    Words,
)
from midwatch_ledger.services.prices import VersionTakenError
from midwatch_ledger.services.repricing import RepricingRefusedError, Wanted
from midwatch_ledger.store import prices as store
from midwatch_ledger.store import repricing as jobs

router = APIRouter(tags=["prices"])

InPath = Annotated[str, Path(min_length=1, max_length=200, pattern=NAME_PATTERN)]


class TableAnswer(BaseModel):
    """One version of a price table."""

    name: str
    version: str
    effective_date: str | None
    imported_by: str
    imported_at: datetime


class TableWithPrices(TableAnswer):
    """One version of a price table with its prices; amounts are decimal, as text."""

    prices: list[Price]


class TableList(BaseModel):
    """Versions by name, the newest first."""

    items: list[TableAnswer]


class RepricingGiven(BaseModel):
    """Which calls are to be priced anew: those that began in the period, and how."""

    model_config = ConfigDict(extra="forbid")

    table: TableName
    version: Annotated[
        TableName | None,
        Field(description="For all calls; left out: the one in force when the call began."),
    ] = None
    start_date: AwareDatetime
    end_date: AwareDatetime
    provider: Words | None = None
    model: Words | None = None
    project: Words | None = None
    dry_run: Annotated[bool, Field(description="Tell the difference, change nothing.")] = True


class Difference(BaseModel):
    """Calls, and what they cost before and after, in US dollars."""

    calls: int
    changed: int
    unmatched: Annotated[int, Field(description="No price matches them: they stay as they are.")]
    cost_before: float
    cost_after: float
    difference: float


class ModelDifference(Difference):
    """The difference that one model makes."""

    provider: str
    model: str


class RepricingAnswer(Difference):
    """A job, how far it is, and the difference that it makes."""

    id: UUID
    table_name: str
    table_version: str | None
    period_start: datetime
    period_end: datetime
    provider: str | None
    model: str | None
    project: str | None
    dry_run: bool
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    done_until: datetime | None
    error: str | None
    created_by: str
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    by_model: list[ModelDifference]


class RepricingList(BaseModel):
    """Jobs, the newest first."""

    items: list[RepricingAnswer]


@router.get("/prices", response_model=TableList, responses=documented(401, 422, 503))
def list_tables(request: Request, limit: Limit = 100, offset: Offset = 0) -> Response:
    """List the versions of all price tables."""
    with request.app.state.database.reading() as connection:
        found = store.tables(connection, limit, offset)
    return json_answer({"items": [prices.shown(row) for row in found]})


@router.post(
    "/prices/{name}",
    status_code=201,
    response_model=TableWithPrices,
    responses={200: {"model": TableWithPrices}, **documented(401, 409, 422, 503)},
)
def import_table(request: Request, name: InPath, given: PriceDocument) -> Response:
    """Import a version of a price table, as the shim's price file has it.

    200 if it was there already; 409 if its version is there with other prices.
    """
    by, now = request.state.principal.name, datetime.now(UTC)
    try:
        with request.app.state.database.writing() as connection:
            kept, new = prices.import_table(connection, name, given, by, now)
    except VersionTakenError as error:
        raise ProblemError(409, str(error)) from None
    return json_answer(prices.shown(kept), 201 if new else 200)


@router.get(
    "/prices/{name}/versions/{version}",
    response_model=TableWithPrices,
    responses=documented(401, 404, 422, 503),
)
def get_table(request: Request, name: InPath, version: InPath) -> Response:
    """Return one version of a price table with its prices."""
    with request.app.state.database.reading() as connection:
        found = store.find(connection, name, version)
    if found is None:
        raise ProblemError(
            404, f"there is no version {version!r} of table {name!r}; GET /prices lists all"
        )
    return json_answer(prices.shown(found))


@router.post(
    "/repricings",
    status_code=202,
    response_model=RepricingAnswer,
    responses=documented(401, 422, 503),
)
def begin_repricing(request: Request, given: RepricingGiven) -> Response:
    """Price the model calls of a period anew, in the background; a dry run unless told otherwise.

    GET /repricings/{identifier} tells how far it is.
    """
    by, now = request.state.principal.name, datetime.now(UTC)
    said: dict[str, Any] = given.model_dump(exclude={"start_date", "end_date"})
    wanted = Wanted(
        start=given.start_date.astimezone(UTC), end=given.end_date.astimezone(UTC), **said
    )
    try:
        with request.app.state.database.writing() as connection:
            job = repricing.begin(connection, wanted, by, now)
    except RepricingRefusedError as error:
        raise ProblemError(422, str(error)) from None
    request.app.state.repricer.wake()
    return json_answer(repricing.described(job), 202)


@router.get("/repricings", response_model=RepricingList, responses=documented(401, 422, 503))
def list_repricings(request: Request, limit: Limit = 100, offset: Offset = 0) -> Response:
    """List the jobs that price history anew."""
    with request.app.state.database.reading() as connection:
        found = jobs.listed(connection, limit, offset)
    return json_answer({"items": [repricing.described(job) for job in found]})


@router.get(
    "/repricings/{identifier}",
    response_model=RepricingAnswer,
    responses=documented(401, 404, 422, 503),
)
def get_repricing(request: Request, identifier: UUID) -> Response:
    """Return a job, how far it is, and the difference that it makes."""
    with request.app.state.database.reading() as connection:
        return _answer(jobs.find(connection, identifier), identifier)


@router.post(
    "/repricings/{identifier}/cancel",
    response_model=RepricingAnswer,
    responses=documented(401, 404, 422, 503),
)
def cancel_repricing(request: Request, identifier: UUID) -> Response:
    """End a job that isn't done. What it has changed stays: a job with the old table undoes it."""
    with request.app.state.database.writing() as connection:
        job = repricing.cancel(connection, identifier, datetime.now(UTC))
        return _answer(job, identifier)


def _answer(job: dict[str, Any] | None, identifier: UUID) -> Response:
    if job is None:
        raise ProblemError(404, f"there is no job {str(identifier)!r}; GET /repricings lists all")
    return json_answer(repricing.described(job))
