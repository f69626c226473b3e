"""`WS /monitoring/live`: what happens, as it is written, on whichever replica."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from anyio import to_thread
from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from midwatch_ledger.api.answers import json_bytes
from midwatch_ledger.api.guard import limit_calls
from midwatch_ledger.api.live_protocol import (
    Ping,
    ProtocolError,
    Unsubscribe,
    Wanted,
    of_address,
    read,
)
from midwatch_ledger.api.problems import ProblemError
from midwatch_ledger.services.live_feed import LiveFeed
from midwatch_ledger.services.live_listener import Bounds, Listener, Message, Missed, identifier_of
from midwatch_ledger.services.roles import Principal
from midwatch_ledger.settings import Settings
from midwatch_ledger.store.database import DatabaseUnavailableError

router = APIRouter(prefix="/monitoring", tags=["monitoring"])

MOST_MESSAGE_BYTES: Final = 64 * 1024
"""The longest message of a client."""
_MOST_SUBSCRIPTIONS = 20
_MOST_UNANSWERED = 20
_POLICY_VIOLATION, _TRY_AGAIN_LATER = 1008, 1013
_Said = Wanted | Unsubscribe | Ping | ProtocolError


class _AccessEndedError(Exception):
    """Whoever listens may not, any more."""


def live_feed(settings: Settings, database: Any) -> LiveFeed:
    """Return what live clients are told from."""
    return LiveFeed(database, json_bytes, poll_seconds=settings.live_poll_seconds)


@router.websocket("/live")
async def listen(websocket: WebSocket) -> None:
    """Tell what is written, by topic and filter; `docs/ledger/live.md` has the messages."""
    settings: Settings = websocket.app.state.settings
    feed: LiveFeed = websocket.app.state.live
    await websocket.accept()
    if feed.listening >= settings.live_clients:
        await websocket.close(_TRY_AGAIN_LATER, "too many live clients; try again later")
        return
    bounds = Bounds(settings.live_queue_messages, settings.live_queue_bytes)
    conversation = _Conversation(websocket, feed, Listener(websocket.state.boundary, bounds))
    feed.add(conversation.listener)
    try:
        await conversation.run()
    finally:
        feed.remove(conversation.listener)


class _Conversation:
    """One client: what it says is answered in order, between what it is told."""

    def __init__(self, websocket: WebSocket, feed: LiveFeed, listener: Listener) -> None:
        self.listener = listener
        self._websocket = websocket
        self._feed = feed
        self._heartbeat_seconds = websocket.app.state.settings.live_heartbeat_seconds
        self._said: deque[_Said] = deque()
        self._room = asyncio.Semaphore(_MOST_UNANSWERED)
        self._checked_at = asyncio.get_running_loop().time()
        self._told_at = self._checked_at

    async def run(self) -> None:
        """Talk until the client leaves, or may not stay."""
        try:
            wanted = of_address(self._websocket.query_params)
            self._said.extend([] if wanted is None else [wanted])
        except ProtocolError as error:
            self._said.append(error)
        self.listener.news.set()
        hearing = asyncio.create_task(self._hear())
        telling = asyncio.create_task(self._tell())
        done, pending = await asyncio.wait((hearing, telling), return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        for task in done:
            await self._end(task.exception())

    async def _end(self, error: BaseException | None) -> None:
        with suppress(RuntimeError, WebSocketDisconnect):
            if isinstance(error, _AccessEndedError):
                await self._websocket.close(_POLICY_VIOLATION, str(error))
            elif isinstance(error, DatabaseUnavailableError):
                await self._websocket.close(_TRY_AGAIN_LATER, "the database can't be used now")
            elif error is not None and not isinstance(error, WebSocketDisconnect):
                raise error

    async def _hear(self) -> None:
        """Take in what the client says; who says too much at once waits to be heard."""
        while True:
            await self._room.acquire()
            try:
                said: _Said = read(await self._websocket.receive_text())
                limit_calls(self._websocket, self._websocket.state.principal)
            except ProtocolError as error:
                said = error
            except ProblemError as problem:
                said = ProtocolError(problem.detail)
            except KeyError:
                said = ProtocolError("say it as text: messages of bytes are not understood")
            self._said.append(said)
            self.listener.news.set()

    async def _tell(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            left = self._told_at + self._heartbeat_seconds - loop.time()
            with suppress(TimeoutError):
                await asyncio.wait_for(self.listener.news.wait(), max(0.0, left))
            self.listener.news.clear()
            while self._said:
                await self._answer(self._said.popleft())
                self._room.release()
            while not self._said and (told := self.listener.take()) is not None:
                await self._send_told(told)
                await self._check_access()
            await self._check_access()
            if loop.time() - self._told_at >= self._heartbeat_seconds:
                await self._send("heartbeat", time=datetime.now(UTC), last_id=self._place())

    async def _answer(self, said: _Said) -> None:
        if isinstance(said, Wanted):
            await self._subscribe(said)
        elif isinstance(said, Unsubscribe):
            if self.listener.leave(said.id):
                await self._send("unsubscribed", subscription=said.id)
            else:
                await self._send("error", detail=f"there is no subscription {said.id!r}")
        elif isinstance(said, Ping):
            await self._send("pong", time=datetime.now(UTC), last_id=self._place())
        else:
            await self._send("error", detail=str(said))

    async def _subscribe(self, wanted: Wanted) -> None:
        name = wanted.subscription.name
        held = self.listener.subscriptions
        if name in held:
            detail = f"there is a subscription {name!r} already: unsubscribe, or give another id"
            await self._send("error", detail=detail)
            return
        if len(held) >= _MOST_SUBSCRIPTIONS:
            detail = f"there are {_MOST_SUBSCRIPTIONS} subscriptions already; unsubscribe from one"
            await self._send("error", detail=detail)
            return
        position = await self._feed.subscribe(self.listener, wanted.subscription)
        # Before what has happened meanwhile: whoever is cut off in between resumes from there.
        begins = wanted.last_id or identifier_of(position)
        await self._send(
            "subscribed",
            subscription=name,
            topics=sorted(wanted.subscription.topics),
            last_id=begins,
        )
        resumption = wanted.subscription.after
        if resumption is None:
            return
        if not await to_thread.run_sync(self._feed.is_whole_after, resumption):
            missed = Missed(None, begins, identifier_of(position))
            await self._send_told(missed)
        past = self._feed.past(wanted.subscription, position, self.listener.boundary)
        while (messages := await to_thread.run_sync(next, past, None)) is not None:
            for message in messages:
                await self._send_told((message, [name]))
            await self._check_access()

    async def _send_told(self, told: tuple[Message, list[str]] | Missed) -> None:
        if isinstance(told, Missed):
            await self._send("missed", count=told.count, after=told.after, until=told.until)
            return
        message, subscriptions = told
        await self._send(
            "record",
            id=message.identifier,
            topic=message.topic,
            subscriptions=subscriptions,
            data=orjson.Fragment(message.data),
        )

    async def _send(self, kind: str, **content: Any) -> None:
        said = orjson.dumps({"type": kind, **content}, option=orjson.OPT_UTC_Z)
        await self._websocket.send_text(said.decode())
        self._told_at = asyncio.get_running_loop().time()

    def _place(self) -> str:
        return identifier_of(self.listener.position)

    async def _check_access(self) -> None:
        """See, from time to time, that whoever listens still may.

        Raises:
            _AccessEndedError: the key or the login holds no more, or holds less.
        """
        now = asyncio.get_running_loop().time()
        if now - self._checked_at < self._heartbeat_seconds:
            return
        self._checked_at = now
        before: Principal = self._websocket.state.principal
        current: Principal | None = await self._websocket.state.recognize()
        if current is None or (current.grants, current.scopes) != (before.grants, before.scopes):
            raise _AccessEndedError("what you may see has changed; connect again")
