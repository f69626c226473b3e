"""`/healthz`, `/readyz` and `/metrics`: open to all, as probes and scrapers have no key."""

from __future__ import annotations

import time

import orjson
from fastapi import APIRouter, Request, Response

from midwatch_ledger import __version__
from midwatch_ledger.api.schemas import Health
from midwatch_ledger.store.database import DatabaseUnavailableError
from midwatch_ledger.store.migrate import SchemaError, check_schema

# While the writer commits, the probe may find the write lock taken: that is health, not sickness.
_RECENT_COMMIT_SECONDS = 5.0
_METRICS_TYPE = "text/plain; version=1.0.0; charset=utf-8"

router = APIRouter(tags=["health"])


@router.get("/healthz", response_model=Health)
async def healthz() -> Health:
    """Say that the process answers; nothing else, so that a sick database restarts nobody."""
    return Health(status="ok", version=__version__, checks={"process": "ok"})


@router.get("/readyz", response_model=Health, responses={503: {"model": Health}})
def readyz(request: Request) -> Response:
    """Say whether the ledger can take and answer: database, schema, writer. 503 if not."""
    return health_answer(request)


@router.get("/metrics", response_class=Response)
def metrics(request: Request) -> Response:
    """Give the ledger's own metrics in Prometheus' text format; some are read from the database."""
    return Response(request.app.state.metrics.render(), media_type=_METRICS_TYPE)


def health_answer(request: Request) -> Response:
    """Check each part and answer 200, or 503 if one fails."""
    checks = {
        "database": _check_database(request),
        "schema": _check_schema(request),
        "writer": "ok" if request.app.state.writer.alive else "the writing thread has ended",
    }
    ready = all(told == "ok" for told in checks.values())
    health = Health(status="ok" if ready else "unavailable", version=__version__, checks=checks)
    return Response(
        orjson.dumps(health.model_dump()),
        status_code=200 if ready else 503,
        media_type="application/json",
    )


def _check_database(request: Request) -> str:
    state = request.app.state
    try:
        state.database.check_writable()
    except DatabaseUnavailableError as error:
        age = state.writer.last_commit.seconds_ago(time.monotonic())
        is_busy = state.database.is_sqlite and "locked" in str(error)
        if is_busy and age is not None and age < _RECENT_COMMIT_SECONDS:
            return "ok"
        return f"can't be written to: {error}"
    return "ok"


def _check_schema(request: Request) -> str:
    try:
        check_schema(request.app.state.database)
    except (SchemaError, DatabaseUnavailableError) as error:
        return str(error)
    return "ok"
