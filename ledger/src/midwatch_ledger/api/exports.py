"""`/exports`: all that matches, as a file, while it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy import Connection

from midwatch_ledger.api.execution_logs import execution_criteria, llm_call_criteria
from midwatch_ledger.api.problems import ProblemError, documented
from midwatch_ledger.models import ExecutionLog, LlmCallLog
from midwatch_ledger.services import exports
from midwatch_ledger.services.exports import MEDIA_TYPES, Form, ParquetMissingError
from midwatch_ledger.store import reading
from midwatch_ledger.store.reading import Criteria, Mark, Page, Record

router = APIRouter(prefix="/exports", tags=["exports"])

_PAGE_ROWS = 100
_FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {kind.partition(";")[0]: {} for kind in MEDIA_TYPES.values()},
        "description": "The file.",
    },
    **documented(401, 422, 501, 503),
}
_Read = Callable[[Connection, Criteria, Page], list[Record]]
AsForm = Annotated[Form, Query(alias="format", description="The form of the file.")]


@router.get("/executions", response_class=StreamingResponse, responses=_FILE)
def export_executions(
    request: Request,
    criteria: Annotated[Criteria, Depends(execution_criteria)],
    form: AsForm = "ndjson",
) -> Response:
    """Give all executions that match, newest first, as NDJSON, CSV or Parquet."""
    return _file(request, ExecutionLog, reading.executions, criteria, form)


@router.get("/llm-calls", response_class=StreamingResponse, responses=_FILE)
def export_llm_calls(
    request: Request,
    criteria: Annotated[Criteria, Depends(llm_call_criteria)],
    form: AsForm = "ndjson",
) -> Response:
    """Give all model calls that match, newest first, as NDJSON, CSV or Parquet."""
    return _file(request, LlmCallLog, reading.llm_calls, criteria, form)


def _file(
    request: Request,
    table: type[ExecutionLog | LlmCallLog],
    read: _Read,
    criteria: Criteria,
    form: Form,
) -> Response:
    pages = _pages(request.app.state.database, read, criteria)
    # The first page before the answer begins: what fails then is told as it should be.
    first = next(pages, [])
    try:
        body = exports.export(form, table.__table__, chain([first], pages))  # type: ignore[arg-type]
    except ParquetMissingError as error:
        raise ProblemError(501, str(error)) from None
    name = f"{request.url.path.rpartition('/')[2]}.{form}"
    return StreamingResponse(
        body,
        media_type=MEDIA_TYPES[form],
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _pages(database: Any, read: _Read, criteria: Criteria) -> Iterator[list[Record]]:
    """Give all rows, in transactions of their own: none lasts as long as a slow client."""
    after: Mark | None = None
    while True:
        with database.reading() as connection:
            rows = read(connection, criteria, Page(_PAGE_ROWS, 0, after))
        if rows:
            yield rows
        if len(rows) < _PAGE_ROWS:
            return
        after = Mark(rows[-1]["start_time"], rows[-1]["id"])
