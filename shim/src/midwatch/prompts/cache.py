"""What the ledger said, kept in memory and on disk; asked again in the background when it is old.

The agent waits for the ledger once at most, and not longer than it is told to: what is old is given
out at once while a thread asks anew, and while the ledger fails or is slow nobody waits for it.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from midwatch.pipeline.failures import FAILURES

Key = tuple[str, str]
"""A prompt's name, and a version or nothing."""

Answer = dict[str, Any] | None
"""What the ledger answered; None says that it has no such prompt."""

_RETRY_SECONDS = 10.0
_FORMAT = 1


@dataclass
class _Entry:
    answer: Answer
    asked: float


@dataclass
class _State:
    """What a fork makes anew: a lock may be held, and threads are gone."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    asking: dict[Key, threading.Event] = field(default_factory=dict)


class LedgerCache:
    """The ledger's answers.

    Args:
        fetch: asks the ledger; raises OSError or ValueError when it fails.
        folder: keeps answers across restarts; by default nothing does.
        identity: whose answers these are, so that no other application takes them for its own.
        ttl_seconds: how old an answer is taken for fresh.
        patience_seconds: how long the first to ask waits.
        clock: counts seconds.
    """

    def __init__(
        self,
        fetch: Callable[[str, str], Answer],
        folder: Path | None,
        *,
        identity: str = "",
        ttl_seconds: float = 60.0,
        patience_seconds: float = 0.5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._folder = folder
        self._identity = identity
        self._ttl = ttl_seconds
        self._patience = patience_seconds
        self._clock = clock
        self._entries: dict[Key, _Entry] = {}
        self._no_patience_until = float("-inf")
        self._not_again_until: dict[Key, float] = {}
        self._state = _State()
        os.register_at_fork(after_in_child=self._renew)

    def get(self, name: str, version: str = "") -> Answer:
        """The newest answer that can be had without a wait, but for the first; None for nothing."""
        key = (name, version)
        known = self._entries.get(key)
        entry = known or self._from_disk(key)
        if entry is not None and self._is_fresh(key, entry):
            return entry.answer
        asked = self._ask(key)
        if known is None and asked is not None:
            # Also with an old answer of an earlier process: what was rolled back since then must
            # not come back with a restart.
            self._wait(asked)
            entry = self._entries.get(key)
        return None if entry is None else entry.answer

    def _is_fresh(self, key: Key, entry: _Entry) -> bool:
        never_changes = bool(key[1]) and entry.answer is not None
        return never_changes or 0 <= self._clock() - entry.asked < self._ttl

    def _wait(self, asked: threading.Event) -> None:
        now = self._clock()
        if now < self._no_patience_until:
            return
        if not asked.wait(self._patience):
            self._no_patience_until = now + _RETRY_SECONDS

    def _ask(self, key: Key) -> threading.Event | None:
        """Have the ledger asked by a thread, unless one does or has just failed to."""
        state = self._state
        with state.lock:
            asked = state.asking.get(key)
            if asked is not None or self._clock() < self._not_again_until.get(key, float("-inf")):
                return asked
            asked = state.asking[key] = threading.Event()
        try:
            threading.Thread(
                target=self._answer, args=(key, asked, state), name="midwatch-prompts", daemon=True
            ).start()
        except RuntimeError as error:
            # The interpreter is ending.
            state.asking.pop(key, None)
            FAILURES.note("prompts.ledger", error)
            return None
        return asked

    def _answer(self, key: Key, asked: threading.Event, state: _State) -> None:
        try:
            answer = self._fetch(*key)
            self._entries[key] = _Entry(answer, self._clock())
            self._no_patience_until = float("-inf")
            self._to_disk(key, answer)
        except Exception as error:
            now = self._clock()
            self._not_again_until[key] = now + min(self._ttl, _RETRY_SECONDS)
            self._no_patience_until = now + _RETRY_SECONDS
            FAILURES.note("prompts.ledger", error)
        finally:
            with state.lock:
                state.asking.pop(key, None)
            asked.set()

    def _file(self, key: Key) -> Path | None:
        if self._folder is None:
            return None
        text = "\0".join((self._identity, *key))
        return self._folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"

    def _from_disk(self, key: Key) -> _Entry | None:
        file = self._file(key)
        if file is None:
            return None
        try:
            kept = json.loads(file.read_text(encoding="utf-8"))
            if kept["format"] != _FORMAT:
                return None
            age = time.time() - float(kept["at"])
            answer = kept["answer"]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            FAILURES.note("prompts.cache", error)
            return None
        # From the future, if the clock was set back: then it is of an unknown age, hence old.
        age = age if age >= 0 else self._ttl
        entry = self._entries[key] = _Entry(answer, self._clock() - age)
        return entry

    def _to_disk(self, key: Key, answer: Answer) -> None:
        file = self._file(key)
        if file is None:
            return
        try:
            if answer is None:
                file.unlink(missing_ok=True)
                return
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            kept = {"format": _FORMAT, "at": time.time(), "answer": answer}
            partial = file.with_suffix(f".{os.getpid()}.{threading.get_ident()}.part")
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(descriptor, "w", encoding="utf-8") as stream:
                json.dump(kept, stream)
            os.replace(partial, file)
        except OSError as error:
            FAILURES.note("prompts.cache", error)

    def _renew(self) -> None:
        self._state = _State()
