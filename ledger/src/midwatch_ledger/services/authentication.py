"""Who shows what: keys from files, keys from the database, sessions of browsers."""

from __future__ import annotations

import hmac
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any, Generic, TypeVar

from midwatch_ledger.models.boundary import within
from midwatch_ledger.services import keys
from midwatch_ledger.services.browser_sessions import KEY_ISSUER, Visitor
from midwatch_ledger.services.keys import digest_of
from midwatch_ledger.services.roles import EVERY_PROJECT, FileScope, Principal, Scope, role_of_key
from midwatch_ledger.store import access as store
from midwatch_ledger.store.database import Database, DatabaseUnavailableError

_KEPT_SECONDS = 5.0
_MOST_KEPT = 10_000
_USE_NOTED_EVERY = timedelta(minutes=1)
_logger = logging.getLogger(__name__)
_Value = TypeVar("_Value")

ANYONE = Principal("anyone", {EVERY_PROJECT: "admin"})
"""Whoever calls a ledger that is open."""


class Authenticator:
    """Finds out who calls. What the database says is believed for five seconds.

    Args:
        database: where keys and sessions are.
        file_keys: keys from files by what they are for; only their digests are kept.
        may_be_open: whether anybody may do everything as long as there is no key at all.
    """

    def __init__(
        self,
        database: Database,
        file_keys: Mapping[FileScope, str],
        *,
        may_be_open: bool,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._file_keys = {scope: digest_of(key) for scope, key in file_keys.items()}
        self._may_be_open = may_be_open and not file_keys
        self._now = now
        self._keys: _Kept[dict[str, Any] | None] = _Kept()
        self._sessions: _Kept[dict[str, Any] | None] = _Kept()
        self._any_key: _Kept[bool] = _Kept()

    def remembers(self, *, key: str | None = None, cookie: str | None = None) -> bool:
        """Return whether the answer is at hand: no database has to be asked, nor told."""
        if self._may_be_open and self._any_key.fresh("any") is None:
            return False
        if key is not None:
            prefix = keys.prefix_of(key)
            held = None if prefix is None else self._keys.fresh(prefix)
            return prefix is None or (held is not None and not self._use_is_news(held[0]))
        return cookie is None or self._remembers_session(cookie)

    def is_open(self) -> bool:
        """Return whether anybody may do everything: nothing is set up, and no key holds.

        Raises:
            DatabaseUnavailableError: nobody can say.
        """
        if not self._may_be_open:
            return False
        return not self._any_key.get("any", lambda: self._read(store.has_key, self._now()))

    def by_key(self, secret: str) -> Principal | None:
        """Return whose key this is, None if it opens nothing.

        Raises:
            DatabaseUnavailableError: nobody can say.
        """
        digest = digest_of(secret)
        prefix = keys.prefix_of(secret)
        known = self._of_file_key(digest)
        if known is not None or prefix is None:
            return known
        found = self._key(prefix)
        if found is None or not hmac.compare_digest(digest, found["digest"]):
            return None
        self._note_use(prefix, found, self._now())
        return _of_database_key(found)

    def visitor_with_key(self, secret: str) -> Visitor | None:
        """Return as whom a browser that shows this key is logged in, None if it opens nothing.

        Raises:
            DatabaseUnavailableError: nobody can say.
        """
        principal = self.by_key(secret)
        if principal is None:
            return None
        # A session is good for as long as its key: so it names it, and never holds it.
        of_file = self._of_file_key(digest_of(secret)) is not None
        subject = digest_of(secret) if of_file else keys.prefix_of(secret)
        return Visitor(KEY_ISSUER, str(subject), principal.grants, name=principal.name)

    def by_cookie(self, token: str) -> Principal | None:
        """Return who is logged in with this cookie, None if nobody is.

        Raises:
            DatabaseUnavailableError: nobody can say.
        """
        digest, now = digest_of(token), self._now()
        found = self._sessions.get(digest, lambda: self._read(store.session, digest, now))
        if found is None or found["expires_at"] <= now:
            return None
        if found["issuer"] == KEY_ISSUER:
            return self._with_key(found)
        return Principal(
            f"user:{found['email'] or found['subject']}",
            found["grants"],
            csrf_token=found["csrf_token"],
            details={"name": found["name"], "expires_at": found["expires_at"]},
        )

    def forget(self, token: str) -> None:
        """Believe nothing any more about a cookie whose session has ended."""
        self._sessions.drop(digest_of(token))

    def _with_key(self, session: dict[str, Any]) -> Principal | None:
        """Return who has a session that was opened with a key, None if that opens nothing more."""
        known = self._of_file_key(session["subject"])
        if known is None:
            found = self._key(session["subject"])
            known = None if found is None else _of_database_key(found)
        details = {"expires_at": session["expires_at"]}
        return known and replace(known, csrf_token=session["csrf_token"], details=details)

    def _of_file_key(self, digest: str) -> Principal | None:
        for scope, expected in self._file_keys.items():
            if hmac.compare_digest(digest, expected):
                return _of_key(f"key:{scope} key file", [scope], None)
        return None

    def _key(self, prefix: str) -> dict[str, Any] | None:
        """Return the key of the database if there is one that holds."""
        found = self._keys.get(prefix, lambda: self._read(store.key_by_prefix, prefix))
        return found if found is not None and keys.holds(found, self._now()) else None

    def _remembers_session(self, cookie: str) -> bool:
        held = self._sessions.fresh(digest_of(cookie))
        if held is None:
            return False
        session = held[0]
        return (
            session is None
            or session["issuer"] != KEY_ISSUER
            or self._of_file_key(session["subject"]) is not None
            or self._keys.fresh(session["subject"]) is not None
        )

    def _use_is_news(self, key: dict[str, Any] | None) -> bool:
        noted = None if key is None else key["last_used_at"]
        return key is not None and (noted is None or noted < self._now() - _USE_NOTED_EVERY)

    def _note_use(self, prefix: str, key: dict[str, Any], now: datetime) -> None:
        if not self._use_is_news(key):
            return
        before, key["last_used_at"] = now - _USE_NOTED_EVERY, now
        try:
            with within(None), self._database.writing() as connection:
                store.note_use(connection, prefix, now, before)
        except DatabaseUnavailableError as error:
            _logger.warning("the use of key %s is not noted: %s", prefix, error)

    def _read(self, query: Callable[..., _Value], *arguments: Any) -> _Value:
        # Who somebody is comes first: nothing is decided yet of what they may see.
        with within(None), self._database.reading() as connection:
            return query(connection, *arguments)


def _of_database_key(key: dict[str, Any]) -> Principal:
    return _of_key(f"key:{key['name']} ({key['prefix']})", key["scopes"], key["project"])


def _of_key(name: str, scopes: list[Scope], project: str | None) -> Principal:
    held = frozenset(scopes)
    return Principal(name, {project or EVERY_PROJECT: role_of_key(held)}, scopes=held)


class _Kept(Generic[_Value]):
    """Answers that are believed for a while; the oldest go when there are too many."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._values: OrderedDict[str, tuple[float, _Value]] = OrderedDict()

    def get(self, name: str, read: Callable[[], _Value]) -> _Value:
        """Return what is believed, or read it."""
        known = self.fresh(name)
        if known is not None:
            return known[0]
        value = read()
        with self._lock:
            self._values[name] = (time.monotonic(), value)
            self._values.move_to_end(name)
            while len(self._values) > _MOST_KEPT:
                self._values.popitem(last=False)
        return value

    def fresh(self, name: str) -> tuple[_Value] | None:
        """Return what is believed, None if nothing is."""
        with self._lock:
            known = self._values.get(name)
        if known is None or time.monotonic() - known[0] >= _KEPT_SECONDS:
            return None
        return (known[1],)

    def drop(self, name: str) -> None:
        """Believe nothing any more."""
        with self._lock:
            self._values.pop(name, None)
