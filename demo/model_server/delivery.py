"""How an answer leaves the server: after its latency, whole or as a stream, intact or not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from model_server.completion import Completion, Json
from model_server.engine import Engine, Exchange
from model_server.errors import ApiError, rate_limited, server_error
from model_server.faults import CutStream, MalformedBody, RateLimit, ServerError, Slow, Timeout

_DISCONNECT_POLL_SECONDS = 0.2


def refuse(exchange: Exchange) -> None:
    """Raise the `ApiError` of the faults that refuse a request before any work."""
    limit = exchange.faults.get(RateLimit)
    if limit is not None:
        raise rate_limited(exchange.request.model, limit.retry_after_seconds)
    broken = exchange.faults.get(ServerError)
    if broken is not None:
        raise server_error(broken.status)


async def hold(exchange: Exchange, request: Request) -> None:
    """Hold the connection while the `timeout` fault says so, or until the caller gives up."""
    timeout = exchange.faults.get(Timeout)
    if timeout is None:
        return
    deadline = asyncio.get_running_loop().time() + timeout.seconds
    while asyncio.get_running_loop().time() < deadline:
        if await request.is_disconnected():
            break
        await asyncio.sleep(_DISCONNECT_POLL_SECONDS)
    raise ApiError(504, "The request timed out in the model server.", "server_error")


def extra_seconds(exchange: Exchange) -> float:
    """What the `slow` fault adds."""
    slow = exchange.faults.get(Slow)
    return slow.extra_seconds if slow is not None else 0.0


async def deliver(engine: Engine, exchange: Exchange, completion: Completion) -> Response:
    """The whole answer after its latency."""
    latency = engine.latencies.of(exchange.request.model)
    tokens = completion.usage.completion_tokens
    await asyncio.sleep(
        extra_seconds(exchange)
        + latency.first_token_seconds(exchange.random)
        + tokens * latency.token_seconds(exchange.random)
    )
    return body_response(exchange, completion.as_json())


def body_response(exchange: Exchange, body: Json) -> Response:
    """A JSON answer, or half of one under `malformed-body`."""
    if exchange.faults.get(MalformedBody) is None:
        return JSONResponse(body)
    text = json.dumps(body)
    return Response(text[: len(text) // 2], media_type="application/json")


def deliver_stream(
    engine: Engine, exchange: Exchange, completion: Completion, include_usage: bool
) -> Response:
    """The answer as server-sent events, at the model's speed."""
    cut = exchange.faults.get(CutStream)
    return _EventStream(
        _events(engine, exchange, completion, include_usage),
        None if cut is None else cut.after_chunks,
    )


async def _events(
    engine: Engine, exchange: Exchange, completion: Completion, include_usage: bool
) -> AsyncIterator[str]:
    latency = engine.latencies.of(exchange.request.model)
    malformed = exchange.faults.get(MalformedBody) is not None
    await asyncio.sleep(extra_seconds(exchange) + latency.first_token_seconds(exchange.random))
    for number, chunk in enumerate(completion.chunks(include_usage)):
        text = json.dumps(chunk)
        yield f"data: {text[: len(text) // 2] if malformed and number == 1 else text}\n\n"
        pause = latency.token_seconds(exchange.random)
        if pause > 0:
            await asyncio.sleep(pause)
    yield "data: [DONE]\n\n"


class _EventStream(Response):
    """Server-sent events; a cut leaves the response unfinished, so that the connection breaks."""

    def __init__(self, events: AsyncIterator[str], cut_after: int | None) -> None:
        super().__init__(media_type="text/event-stream")
        del self.headers["content-length"]
        self._events = events
        self._cut_after = cut_after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        sent = 0
        async for event in self._events:
            if sent == self._cut_after:
                return
            await send({"type": "http.response.body", "body": event.encode(), "more_body": True})
            sent += 1
        await send({"type": "http.response.body", "body": b"", "more_body": False})
