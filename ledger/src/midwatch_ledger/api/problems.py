"""Errors as RFC 9457 problem details: one shape for all, with the remedy."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from sqlalchemy.exc import DataError
from starlette.exceptions import HTTPException

from midwatch_ledger.store.database import DatabaseUnavailableError
from midwatch_ledger.store.limits import OutsideProjectError

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5
DATABASE_AWAY = "the database can't be used now; try again"
_logger = logging.getLogger(__name__)


class Problem(BaseModel):
    """What the ledger answers when it can't do what was asked."""

    type: str = "about:blank"
    title: str = Field(description="The name of the HTTP status.")
    status: int
    detail: str = Field(description="What is wrong and what to change.")
    errors: list[dict[str, Any]] = Field(
        default_factory=list, description="Each wrong parameter: where, what, and what was given."
    )


class ProblemError(Exception):
    """Ends a request with a problem."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers


def unavailable(detail: str) -> ProblemError:
    """Return the problem of a ledger that can't work now: the same request may succeed later."""
    return ProblemError(503, detail, {"Retry-After": str(RETRY_AFTER_SECONDS)})


def of(problem: ProblemError) -> Response:
    """Return the answer that tells a problem which no route has met."""
    return response(problem.status, problem.detail, headers=problem.headers)


def failed(method: str, path: str) -> Response:
    """Return the answer of a request that failed for no reason that was foreseen."""
    return response(500, f"{method} {path} failed; the ledger's log says why")


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says about these error answers.

    Where a key is asked for (401), it may be for something else (403), or used too often (429).
    """
    if 401 in statuses:
        statuses = tuple(sorted({*statuses, 403, 429}))
    return {
        status: {
            "model": Problem,
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {}},
        }
        for status in statuses
    }


def install(application: FastAPI) -> None:
    """Make every error of the application a problem."""
    application.add_exception_handler(ProblemError, _on_problem)
    application.add_exception_handler(HTTPException, _on_http)
    application.add_exception_handler(RequestValidationError, _on_validation)
    application.add_exception_handler(DatabaseUnavailableError, _on_unavailable)
    application.add_exception_handler(OutsideProjectError, _on_outside)
    application.add_exception_handler(DataError, _on_unstorable)
    application.add_exception_handler(UnicodeEncodeError, _on_unstorable)
    application.add_exception_handler(Exception, _on_anything)


def response(
    status: int,
    detail: str,
    *,
    headers: dict[str, str] | None = None,
    errors: list[dict[str, Any]] | None = None,
) -> Response:
    """Return the answer that tells a problem."""
    problem = Problem(
        title=HTTPStatus(status).phrase, status=status, detail=detail, errors=errors or []
    )
    return Response(
        orjson.dumps(problem.model_dump(), default=str),
        status_code=status,
        media_type=MEDIA_TYPE,
        headers=headers,
    )


async def _on_problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)  # noqa: S101 -- registered for this type only
    return of(error)


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 -- registered for this type only
    detail = str(error.detail)
    if error.status_code == 404:
        detail = f"there is no route {request.url.path}; /openapi.json lists all"
    headers = dict(error.headers) if error.headers else None
    return response(error.status_code, detail, headers=headers)


async def _on_validation(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 -- registered for this type only
    errors = [
        {
            "where": ".".join(str(part) for part in problem["loc"]),
            "what": problem["msg"],
            "given": problem.get("input"),
        }
        for problem in error.errors()
    ]
    told = "; ".join(f"{problem['where']}: {problem['what']}" for problem in errors)
    return response(422, told, errors=errors)


async def _on_unavailable(_request: Request, error: Exception) -> Response:
    _logger.warning("the database is unavailable: %s", error)
    return response(
        503,
        DATABASE_AWAY,
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )


async def _on_outside(_request: Request, error: Exception) -> Response:
    return response(403, f"{error}: name one of yours")


async def _on_unstorable(_request: Request, _error: Exception) -> Response:
    return response(
        422, "a value can't be stored: texts have no NUL character, numbers are in their range"
    )


async def _on_anything(request: Request, _error: Exception) -> Response:
    # The server logs the error with its stack after this answer.
    return failed(request.method, request.url.path)
