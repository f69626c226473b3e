"""The sessions that the service remembers: in memory, bounded, one turn at a time each."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import uuid4

from security_agent.assistant.state import Context


class SessionBusyError(Exception):
    """Another turn of the session is still running."""


@dataclass
class Session:
    """One conversation."""

    context: Context
    lock: threading.Lock = field(default_factory=threading.Lock)


class SessionStore:
    """Keeps the newest sessions; the one used least recently is forgotten first."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def turn(self, session_id: str | None, wait_seconds: float) -> Iterator[Context]:
        """The session's memory, for one turn alone; a new session without an id or with a new one.

        Raises:
            SessionBusyError: another turn ran longer than `wait_seconds`.
        """
        session = self._session(session_id or uuid4().hex)
        if not session.lock.acquire(timeout=wait_seconds):
            raise SessionBusyError
        try:
            yield session.context
        finally:
            session.lock.release()

    def turns(self, session_id: str) -> list[dict[str, object]] | None:
        """The turns that a session remembers, oldest first; None for an unknown session."""
        with self._lock:
            session = self._sessions.get(session_id)
        return None if session is None else list(session.context.get("turns", []))

    def __len__(self) -> int:
        return len(self._sessions)

    def _session(self, session_id: str) -> Session:
        with self._lock:
            session = self._sessions.pop(session_id, None)
            if session is None:
                session = Session({"session_id": session_id})
            self._sessions[session_id] = session
            while len(self._sessions) > self._capacity:
                self._sessions.popitem(last=False)
            return session
