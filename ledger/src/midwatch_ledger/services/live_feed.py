"""Follows what is written, on whichever replica, and hands it to live clients.

One thread reads for all clients: once for each kind of visibility that there is among them. What
somebody may see, and whether content is shown, is decided where every other query has it decided.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from typing import Any

from midwatch_ledger.models.boundary import Boundary, within
from midwatch_ledger.services.live_listener import (
    Listener,
    Message,
    Resumption,
    Subscription,
    text_of,
)
from midwatch_ledger.services.live_topics import Record, Topic, records_of
from midwatch_ledger.store import live as store
from midwatch_ledger.store.database import Database, DatabaseUnavailableError
from midwatch_ledger.store.live import Change, Position

KEPT = timedelta(minutes=10)
"""How long a client may be away and resume without a gap."""

_CHANGES_PER_READ = 200
_FORGET_EVERY_SECONDS = 60.0
_MOST_BEHIND_SECONDS = 10.0
_PATIENCE_SECONDS = 30.0
_Visibility = tuple[frozenset[str] | None, bool]
_logger = logging.getLogger(__name__)


class LiveFeed:
    """Tells listeners what is written.

    Args:
        database: what is followed.
        to_json: makes a record what is sent.
        poll_seconds: how often it looks, while anybody listens.
    """

    def __init__(
        self,
        database: Database,
        to_json: Callable[[Record], bytes],
        *,
        poll_seconds: float,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._to_json = to_json
        self._poll_seconds = poll_seconds
        self._now = now
        self._lock = threading.Lock()
        self._listeners: set[Listener] = set()
        self._closing = threading.Event()
        self._awake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ledger-live", daemon=True)
        self._position: Position | None = None
        self._behind_since: float | None = None
        self._forgot_at = time.monotonic()
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Begin; call it on the event loop that the listeners are on."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def close(self) -> None:
        """End; nobody is told anything more."""
        self._closing.set()
        self._awake.set()
        self._thread.join()

    @property
    def listening(self) -> int:
        """How many listen."""
        return len(self._listeners)

    def add(self, listener: Listener) -> None:
        """Tell somebody from now on what they subscribe to."""
        with self._lock:
            self._listeners.add(listener)

    async def subscribe(self, listener: Listener, subscription: Subscription) -> Position:
        """Have a listener told of something; return after which position it is."""
        joined = listener.ask(subscription)
        self._awake.set()
        return await joined

    def remove(self, listener: Listener) -> None:
        """Tell somebody nothing more."""
        with self._lock:
            self._listeners.discard(listener)

    def is_whole_after(self, resumption: Resumption) -> bool:
        """Return whether nothing is lost for who resumes there.

        Raises:
            DatabaseUnavailableError: nobody can say.
        """
        with within(None), self._database.reading() as connection:
            return store.is_whole_after(connection, resumption.position)

    def past(
        self, subscription: Subscription, until: Position, boundary: Boundary
    ) -> Iterator[list[Message]]:
        """Give what a subscription would have been told since, a few messages at a time.

        Raises:
            DatabaseUnavailableError: the database can't be reached.
        """
        if subscription.after is None:
            return
        # From the change on in which the client was cut off.
        begin = subscription.after.position
        position = Position(begin.xact, begin.id - 1)
        while changes := self._changes_after(position):
            for change in changes:
                if change.position > until:
                    return
                for messages in self._messages(change, boundary, subscription.topics):
                    yield [message for message in messages if subscription.matches(message)]
            position = changes[-1].position

    def _run(self) -> None:
        reachable = True
        while not self._closing.is_set():
            try:
                self._forget_sometimes()
                if self._listening():
                    self._tell_news()
                else:
                    self._position = None
                reachable = True
            except DatabaseUnavailableError as error:
                if reachable:
                    _logger.warning("live clients are told nothing for now: %s", error)
                reachable = False
            except Exception:
                _logger.exception("live clients may have missed something")
                self._position = None
            listens = self._listening()
            pause = self._poll_seconds if listens else _FORGET_EVERY_SECONDS
            self._awake.wait(0 if self._behind_since is not None else pause)
            self._awake.clear()

    def _tell_news(self) -> None:
        if self._position is None:
            with within(None), self._database.reading() as connection:
                self._position = store.newest(connection)
        self._on_loop(self._join_new, self._position)
        changes = self._changes_after(self._position)
        if self._is_too_late(len(changes) == _CHANGES_PER_READ):
            self._skip()
            return
        for change in changes:
            self._tell(change)
            self._position = change.position

    def _is_too_late(self, more: bool) -> bool:
        """Return whether there has been more than can be told, and for too long."""
        if not more:
            self._behind_since = None
            return False
        self._behind_since = self._behind_since or time.monotonic()
        return time.monotonic() - self._behind_since > _MOST_BEHIND_SECONDS

    def _tell(self, change: Change) -> None:
        groups: defaultdict[_Visibility, list[Listener]] = defaultdict(list)
        for listener in self._listening():
            groups[listener.boundary.projects, listener.boundary.content].append(listener)
        for (projects, content), listeners in groups.items():
            topics = frozenset[str]().union(*(one.topics for one in listeners))
            boundary = Boundary(projects, content)
            for messages in self._messages(change, boundary, topics):
                self._on_loop(_offer, listeners, messages)
        self._on_loop(self._advance, change.position)

    def _skip(self) -> None:
        """Go on with what is new: who is told of the past too late is told nothing at all."""
        with within(None), self._database.reading() as connection:
            self._position = store.newest(connection)
        self._behind_since = None
        self._on_loop(self._skip_all, self._position)

    def _messages(
        self, change: Change, boundary: Boundary, topics: frozenset[str]
    ) -> Iterator[list[Message]]:
        with within(boundary), self._database.reading() as connection:
            found = list(records_of(connection, change, topics)) if topics else []
        for topic, records in found:
            yield [self._message(change, topic, key, record) for key, record in records]

    def _message(self, change: Change, topic: Topic, key: str, record: Record) -> Message:
        return Message(
            change.position,
            (topic.number, key),
            topic.name,
            {name: text_of(record[column]) for name, column in topic.fields.items()},
            self._to_json(record),
        )

    def _changes_after(self, position: Position) -> list[Change]:
        with within(None), self._database.reading() as connection:
            return store.changes_after(connection, position, _CHANGES_PER_READ)

    def _forget_sometimes(self) -> None:
        if time.monotonic() - self._forgot_at < _FORGET_EVERY_SECONDS:
            return
        self._forgot_at = time.monotonic()
        with within(None), self._database.reading() as connection:
            until = store.outdated(connection, self._now() - KEPT)
        if until:
            with within(None), self._database.writing() as connection:
                store.forget(connection, until)

    def _listening(self) -> list[Listener]:
        with self._lock:
            return list(self._listeners)

    def _on_loop(self, call: Callable[..., None], *arguments: Any) -> None:
        """Do it on the event loop, and wait: what is read ahead stays bounded."""
        done: Future[None] = Future()

        def run() -> None:
            try:
                call(*arguments)
                done.set_result(None)
            except Exception as error:
                done.set_exception(error)

        loop = self._loop
        if loop is None or loop.is_closed() or self._closing.is_set():
            return
        loop.call_soon_threadsafe(run)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not self._closing.is_set() and time.monotonic() < deadline:
            try:
                return done.result(0.5)
            except TimeoutError:
                continue

    def _join_new(self, position: Position) -> None:
        for listener in self._listening():
            listener.join(position)

    def _advance(self, position: Position) -> None:
        for listener in self._listening():
            listener.advance(position)

    def _skip_all(self, position: Position) -> None:
        for listener in self._listening():
            listener.skip(position)


def _offer(listeners: list[Listener], messages: list[Message]) -> None:
    for listener in listeners:
        listener.offer(messages)
