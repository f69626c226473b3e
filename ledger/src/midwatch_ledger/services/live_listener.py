"""One live client: what it wants to be told, and how far behind it may be."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from midwatch_ledger.models.boundary import Boundary
from midwatch_ledger.store.live import START, Position


@dataclass(frozen=True)
class Resumption:
    """Where a client resumes: after `place` within the change at `position`, or after all of it."""

    position: Position
    place: tuple[int, str] | None = None

    def is_before(self, message: Message) -> bool:
        """Return whether the message is still to be told to who resumes here."""
        if message.position != self.position:
            return message.position > self.position
        return self.place is not None and message.place > self.place


@dataclass(frozen=True)
class Subscription:
    """What a client has asked for: topics, and for each field the values that match."""

    name: str
    topics: frozenset[str]
    filters: Mapping[str, frozenset[str]] = field(default_factory=dict)
    after: Resumption | None = None

    def matches(self, message: Message) -> bool:
        """Return whether this is among what was asked for."""
        # A replica may be behind the one that the client comes from.
        if self.after is not None and not self.after.is_before(message):
            return False
        return message.topic in self.topics and all(
            message.facts.get(name) in values for name, values in self.filters.items()
        )


@dataclass(frozen=True)
class Message:
    """One record, made to be sent: the same object for all who may see it.

    Attributes:
        place: where it stands among what one transaction wrote: its topic, and its key.
        facts: what is filtered by, as text.
        data: the record as JSON.
    """

    position: Position
    place: tuple[int, str]
    topic: str
    facts: Mapping[str, str]
    data: bytes

    @property
    def identifier(self) -> str:
        """Where a client resumes that has heard it."""
        return identifier_of(self.position, *self.place)


@dataclass(frozen=True)
class Missed:
    """What a client was not told: after `after`, up to `until`; a count of None is unknown."""

    count: int | None
    after: str
    until: str


@dataclass(frozen=True)
class Bounds:
    """How much may wait for one client."""

    messages: int
    size_bytes: int


class Listener:
    """What waits for one client. Used on the event loop's thread alone.

    When too much waits, the newest is left out and counted until the client has taken all that
    waited; then it is told what it missed. Nobody else waits for it.
    """

    def __init__(self, boundary: Boundary, bounds: Bounds) -> None:
        self.boundary = boundary
        self.subscriptions: dict[str, Subscription] = {}
        self.position: Position = START
        self.news = asyncio.Event()
        self._bounds = bounds
        self._waiting: deque[tuple[Message, list[str]]] = deque()
        self._size_bytes = 0
        self._missed: Missed | None = None
        self._last = ""
        self._asked: list[tuple[Subscription, asyncio.Future[Position]]] = []

    @property
    def topics(self) -> frozenset[str]:
        """All topics of all subscriptions."""
        return frozenset[str]().union(*(one.topics for one in self.subscriptions.values()))

    def ask(self, subscription: Subscription) -> asyncio.Future[Position]:
        """Ask for news; the future has the position after which it is told."""
        joined: asyncio.Future[Position] = asyncio.get_running_loop().create_future()
        self._asked.append((subscription, joined))
        return joined

    def join(self, position: Position) -> None:
        """Give what was asked for, from a position on."""
        asked, self._asked = self._asked, []
        for subscription, joined in asked:
            # Another thread reads what is there: it is replaced, not changed.
            self.subscriptions = {**self.subscriptions, subscription.name: subscription}
            if not joined.done():
                joined.set_result(position)
        if asked:
            self.position = position
            self._last = self._last or identifier_of(position)

    def leave(self, name: str) -> bool:
        """Take a subscription back; return whether there was one."""
        left = {key: one for key, one in self.subscriptions.items() if key != name}
        found = len(left) < len(self.subscriptions)
        self.subscriptions = left
        return found

    def offer(self, messages: Sequence[Message]) -> None:
        """Take in what the client has asked for."""
        for message in messages:
            wanted = [one.name for one in self.subscriptions.values() if one.matches(message)]
            if not wanted:
                continue
            full = (
                len(self._waiting) >= self._bounds.messages
                or self._size_bytes + len(message.data) > self._bounds.size_bytes
            )
            # One record alone may be greater than all bounds: it is sent when nothing else waits.
            if self._missed is not None or (full and self._waiting):
                self._leave_out(message.identifier, 1)
                continue
            self._waiting.append((message, wanted))
            self._size_bytes += len(message.data)
            self._last = message.identifier
            self.news.set()

    def skip(self, position: Position) -> None:
        """Note that nobody knows what there was up to a position."""
        self._leave_out(identifier_of(position), None)
        self.position = position
        self.news.set()

    def advance(self, position: Position) -> None:
        """Note that all up to a position was offered."""
        self.position = position

    def take(self) -> tuple[Message, list[str]] | Missed | None:
        """Return what the client is to be told next, None if nothing waits."""
        if self._waiting:
            message, wanted = self._waiting.popleft()
            self._size_bytes -= len(message.data)
            return message, wanted
        missed, self._missed = self._missed, None
        if missed is not None:
            self._last = missed.until
        return missed

    def _leave_out(self, identifier: str, count: int | None) -> None:
        before = self._missed
        known = 0 if before is None else before.count
        total = None if count is None or known is None else known + count
        after = self._last if before is None else before.after
        self._missed = Missed(total, after, identifier)
        self.news.set()


def identifier_of(position: Position, topic: int | None = None, key: str = "") -> str:
    """Return what a client resumes from: after a record, or after all of a position."""
    place = f"{position.xact:x}-{position.id:x}"
    return place if topic is None else f"{place}-{topic}-{key}"


def resumption_of(identifier: str) -> Resumption:
    """Return what an identifier says.

    Raises:
        ValueError: it is none of ours.
    """
    parts = identifier.split("-")
    if len(parts) not in (2, 4) or len(identifier) > 150:
        raise ValueError("not an id of a live message")
    position = Position(int(parts[0], 16), int(parts[1], 16))
    if not all(0 <= number < 2**63 for number in position):
        raise ValueError("not an id of a live message")
    return Resumption(position, (int(parts[2]), parts[3]) if len(parts) == 4 else None)


def text_of(value: Any) -> str:
    """Return a value as filters compare it; what is empty is an empty text."""
    return "" if value is None else str(value)
