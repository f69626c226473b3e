"""Cursors: going through a list page by page, however it grows meanwhile.

A cursor is the place of the last row that was given. It is opaque to clients, and good only for the
list and the filters that it came from.
"""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import orjson
from fastapi import Query, Request, Response

from midwatch_ledger.api.answers import json_answer
from midwatch_ledger.api.problems import ProblemError
from midwatch_ledger.store.reading import Criteria, Mark, Page

NEXT_CURSOR = "X-Next-Cursor"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Cursor = Annotated[
    str | None,
    Query(
        max_length=300,
        description="Where to go on: the header X-Next-Cursor of the page before, with the same "
        "filters. Rows that came meanwhile shift nothing. Not together with `offset`.",
    ),
]


@dataclass(frozen=True)
class Asked:
    """Which page of a list is asked for.

    Attributes:
        time: the field that the list is sorted by, the newest first; then by `id`.
        criteria: the filters of the list.
    """

    time: str
    criteria: Criteria
    limit: int
    offset: int
    cursor: str | None

    @property
    def page(self) -> Page:
        """The page.

        Raises:
            ProblemError: 422, the cursor is none, or is of another list.
        """
        if self.cursor is None:
            return Page(self.limit, self.offset)
        if self.offset:
            raise ProblemError(422, "offset and cursor say both where to begin; give one of them")
        return Page(self.limit, 0, _mark(self.cursor, _digest(self)))


def listed(request: Request, asked: Asked, records: Sequence[dict[str, Any]]) -> Response:
    """Return the records; in headers, where to go on if there may be more."""
    return pointing_on(json_answer(records), request, asked, records)


def pointing_on(
    answer: Response, request: Request, asked: Asked, records: Sequence[dict[str, Any]]
) -> Response:
    """Return the answer; in headers, where to go on after its records if there may be more."""
    if len(records) == asked.limit:
        last = records[-1]
        cursor = _cursor(Mark(last[asked.time], last["id"]), _digest(asked))
        url = request.url.remove_query_params("offset").include_query_params(cursor=cursor)
        answer.headers[NEXT_CURSOR] = cursor
        answer.headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
    return answer


def _cursor(mark: Mark, digest: str) -> str:
    microseconds = (mark.time - _EPOCH) // timedelta(microseconds=1)
    content = orjson.dumps([microseconds, mark.id.hex, digest])
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _mark(cursor: str, digest: str) -> Mark:
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        microseconds, identifier, made_for = orjson.loads(base64.urlsafe_b64decode(padded))
        time = _EPOCH + timedelta(microseconds=microseconds)
        mark = Mark(time, uuid.UUID(hex=identifier))
    except (ValueError, TypeError, AttributeError, OverflowError):
        raise ProblemError(
            422, f"cursor {cursor!r} is none of ours; give the {NEXT_CURSOR} of a page as it is"
        ) from None
    if made_for != digest:
        raise ProblemError(
            422, "this cursor is of a list with other filters; go on with those, or begin anew"
        )
    return mark


def _digest(asked: Asked) -> str:
    """Return what tells lists and filters apart."""
    period = asked.criteria.period
    told = [asked.time, sorted((k, str(v)) for k, v in asked.criteria.equal.items()), str(period)]
    return hashlib.sha256(orjson.dumps(told)).hexdigest()[:12]
