"""FastAPI: the official instrumentation, and inside it chat requests, turns and `/metrics`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import fastapi
import wrapt
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from starlette.middleware.errors import ServerErrorMiddleware

from midwatch.config import load_settings
from midwatch.instrumentors.chat import (
    METRICS_PATH,
    SESSION_HEADER,
    Traffic,
    outcome_of_status,
    session_of_body,
    wants_body,
)
from midwatch.instruments.exposition import watch_rendering
from midwatch.instruments.turns import turn
from midwatch.pipeline.failures import FAILURES

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class FastAPIInstrumentation:
    """Instruments every FastAPI application whose middleware is built from now on."""

    def instrument(self) -> None:
        """Wrap the class; the official instrumentation goes around what is wrapped here."""
        traffic = Traffic.from_settings(load_settings())

        def build(
            wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
        ) -> Any:
            stack = wrapped(*args, **kwargs)
            if isinstance(stack, ServerErrorMiddleware):
                stack.app = TrafficMiddleware(stack.app, traffic)
            return stack

        wrapt.wrap_function_wrapper(fastapi.FastAPI, "build_middleware_stack", build)
        FastAPIInstrumentor().instrument(exclude_spans=["receive", "send"])


class TrafficMiddleware:
    """ASGI middleware that watches the requests that concern the shim and touches no other."""

    def __init__(self, app: Application, traffic: Traffic) -> None:
        self._app = app
        self._traffic = traffic

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Pass the request on."""
        path = scope.get("path", "")
        if scope["type"] != "http" or not self._traffic.concerns(path):
            await self._app(scope, receive, send)
            return
        answer = _Answer(send)
        try:
            if path == METRICS_PATH:
                await self._metrics(scope, receive, send)
            elif self._traffic.is_chat(path):
                await self._chat(scope, receive, answer)
            else:
                await self._app(scope, receive, answer)
        except Exception:
            self._traffic.answered(path, None)
            raise
        self._traffic.answered(path, answer.status)

    async def _chat(
        self, scope: MutableMapping[str, Any], receive: Receive, answer: _Answer
    ) -> None:
        session, receive = await _session(scope, receive)
        with turn(session_id=session) as running:
            await self._app(scope, receive, answer)
            running.outcome = running.outcome or outcome_of_status(answer.status)

    async def _metrics(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        held = _HeldAnswer()
        with watch_rendering() as watch:
            await self._app(scope, receive, held)
        if not watch.rendered:
            held.extend(self._traffic)
        for message in held.messages:
            await send(message)


class _Answer:
    """Passes an answer on and remembers its status."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status: int | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)


class _HeldAnswer:
    """Holds an answer back until it is complete."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def __call__(self, message: Message) -> None:
        self.messages.append(message)

    def extend(self, traffic: Traffic) -> None:
        """Add what the shim knows to an answer that is Prometheus text."""
        try:
            if not self.messages or self.messages[0].get("status") != 200:
                return
            start = self.messages[0]
            headers = [(key.lower(), value) for key, value in start.get("headers", [])]
            names = dict(headers)
            if not names.get(b"content-type", b"").startswith(b"text/plain"):
                return
            if b"content-encoding" in names:
                return
            body = b"".join(message.get("body", b"") for message in self.messages[1:])
            merged = traffic.merged(body.decode()).encode()
            kept = [(key, value) for key, value in headers if key != b"content-length"]
            length = (b"content-length", str(len(merged)).encode())
            self.messages = [
                {**start, "headers": [*kept, length]},
                {"type": "http.response.body", "body": merged},
            ]
        except Exception as error:
            FAILURES.note("http.metrics", error)


async def _session(scope: MutableMapping[str, Any], receive: Receive) -> tuple[str, Receive]:
    """The session of a request, and the `receive` by which the application still gets its body."""
    headers = {key.decode("latin-1").lower(): value for key, value in scope.get("headers", [])}
    given = headers.get(SESSION_HEADER, b"").decode("latin-1")
    content_type = headers.get("content-type", b"").decode("latin-1")
    length = headers.get("content-length", b"").decode("latin-1")
    if given or not wants_body(content_type, length):
        return given, receive
    messages: list[Message] = []
    while not messages or (
        messages[-1]["type"] == "http.request" and messages[-1].get("more_body")
    ):
        messages.append(await receive())
    body = b"".join(message.get("body", b"") for message in messages)
    messages.reverse()

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return session_of_body(body), replay
