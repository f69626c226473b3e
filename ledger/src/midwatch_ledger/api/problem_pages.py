"""Problems as pages, where a person's browser asks for the console."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

import orjson
from fastapi import FastAPI, Request, Response

from midwatch_ledger.api import pages, problems

_Handler = Callable[[Request, Exception], Awaitable[Response]]
_KEPT_HEADERS = ("retry-after", "www-authenticate", "allow")


def install(application: FastAPI) -> None:
    """Have every problem that is installed told as a page to who asks for one."""
    handlers: dict[Any, _Handler] = cast(Any, application.exception_handlers)
    for kind, handler in list(handlers.items()):
        handlers[kind] = _as_page(handler)


def _as_page(handler: _Handler) -> _Handler:
    async def handle(request: Request, error: Exception) -> Response:
        answer = await handler(request, error)
        if not pages.wants_page(request.scope) or answer.media_type != problems.MEDIA_TYPE:
            return answer
        kept = {name: answer.headers[name] for name in _KEPT_HEADERS if name in answer.headers}
        detail = str(orjson.loads(answer.body)["detail"])
        return pages.problem_page(request, answer.status_code, detail, kept)

    return handle
