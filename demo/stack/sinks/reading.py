"""The read API that both sinks share."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from stack.sinks.mailbox import Mailbox


def reading_routes(mailbox: Mailbox) -> list[Route]:
    """Return `GET /messages?after=` and `GET /healthz`."""

    async def messages(request: Request) -> Response:
        after = request.query_params.get("after", "0")
        if not after.isdecimal():
            return JSONResponse(
                {"error": f"after={after!r} is not a message number; give 0 or a greater one"},
                status_code=400,
            )
        return JSONResponse({"messages": mailbox.after(int(after))})

    async def health(_: Request) -> Response:
        return PlainTextResponse("ok")

    return [Route("/messages", messages), Route("/healthz", health)]
