"""The spool: a folder on disk, shared by processes, that keeps what could not be sent.

    <folder>/lock                                        held while anything is changed
    <folder>/writers/<process>                           its account and sign of life
    <folder>/totals.json                                 the accounts of those that ended
    <folder>/lanes/<destination>/<signal>/<process>/     its segments

What is written here has passed redaction already. No name of a file tells more than the name of a
destination, the signal, the time and the process id.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from midwatch.pipeline.failures import FAILURES
from midwatch.pipeline.payloads import Signal
from midwatch.pipeline.spool_accounts import Account, Accounts, Counts, in_flight, save
from midwatch.pipeline.spool_folder import Folder
from midwatch.pipeline.spool_locks import MomentLock, SignOfLife, make_private, require_locks

_logger = logging.getLogger("midwatch")

SIGNALS: tuple[Signal, ...] = ("traces", "logs", "metrics")
METRICS_SHARE = 8
"""Metrics get no more than this fraction of the room: later values say what earlier ones said."""

_SEGMENTS_IN_CAP = 16
_LARGEST_SEGMENT = 4 << 20


class SpoolFullError(OSError):
    """There is no room for the record, however much is thrown away."""


class Spool:
    """The folder as one process uses it; nothing is made before the first use."""

    def __init__(
        self,
        root: Path,
        max_bytes: int,
        account: Callable[[], Account] = lambda: Account({}),
    ) -> None:
        self.root = root
        self.max_bytes = max_bytes
        self.segment_bytes = min(max_bytes // _SEGMENTS_IN_CAP, _LARGEST_SEGMENT)
        self.accounts = Accounts(root)
        self._account = account
        self._lock = MomentLock(root / "lock")
        self._sign: SignOfLife | None = None
        self._noting = threading.Lock()
        self._left = False
        self.writer = ""
        renew = weakref.WeakMethod(self._start_anew)
        os.register_at_fork(after_in_child=lambda: (call := renew()) and call())

    def locked(self) -> AbstractContextManager[None]:
        """Keep all other processes and threads from changing anything during the block.

        Raises:
            OSError: the lock cannot be had in time, or the folder cannot be made.
        """
        require_locks()
        make_private(self.root)
        return self._lock.held()

    def register(self) -> str:
        """The name of this process in the spool, which is made known with the first call.

        Raises:
            OSError: it cannot be written.
        """
        if self._sign is None or not self._sign.is_in_place():
            if self._sign is not None:
                self._sign.close()
            self.writer = f"{time.time_ns():020d}-{os.getpid()}-{secrets.token_hex(4)}"
            self._sign = self.accounts.open(self.writer)
            save(self._sign, self._account())
        return self.writer

    def note_account(self) -> None:
        """Write down the counts of this process.

        Raises:
            OSError: they cannot be written.
        """
        if self._sign is None and not self._left:
            with self.locked():
                self.register()
        with self._noting:
            if self._sign is not None:
                save(self._sign, self._account())

    def leave(self, final: Counts) -> None:
        """Add this process's counts to the totals, and give up its sign of life.

        Raises:
            OSError: the totals cannot be written.
        """
        with self._noting:
            sign, self._sign, self._left = self._sign, None, True
        if sign is None:
            return
        try:
            with self.locked():
                self.accounts.close(self.writer, final)
        finally:
            sign.close()

    def bury(self, writer: str, folder: Folder) -> dict[tuple[str, str], int]:
        """Close the account of a dead process; returns the results that its spans got by that.

        Args:
            writer: the process.
            folder: where its account's spans were spooled.
        """
        counts = dict(self.accounts.read(writer).counts)
        folder.settle()
        folder.settle_evicted()
        # Its last note may be older than what it last wrote.
        spooled = max(folder.settled_items - counts.get(("spooled", "none"), 0), 0)
        killed = max(in_flight(counts) - spooled, 0)
        found = {("spooled", "none"): spooled, ("dropped", "killed"): killed}
        for key, count in found.items():
            counts[key] = counts.get(key, 0) + count
        self.accounts.close(writer, counts)
        return found

    def lane(self, destination: str, signal: Signal) -> Path:
        """The folder of a destination and signal."""
        return self.root / "lanes" / folder_name(destination) / signal

    def folders(self) -> Iterator[tuple[str, Signal, Folder]]:
        """All folders with their destinations (as folders are named) and signals."""
        for destination in _listed(self.root / "lanes"):
            for signal in SIGNALS:
                for folder in self.folders_of(destination, signal):
                    yield destination, signal, folder

    def folders_of(self, destination: str, signal: Signal) -> list[Folder]:
        """The folders of one destination and signal, the earliest process first."""
        lane = self.lane(destination, signal)
        return [Folder(lane / name, signal) for name in _listed(lane) if (lane / name).is_dir()]

    def note_damage(self, path: Path) -> None:
        """Tell of a damaged record, once."""
        FAILURES.note("spool.damage", ValueError(f"a damaged record in {path} was skipped"))

    def make_room(self, needed: int, signal: Signal) -> None:
        """Throw the oldest away until the bytes fit; who owns them finds a note and counts it.

        Raises:
            SpoolFullError: they never fit.
        """
        limit = self.max_bytes // METRICS_SHARE if signal == "metrics" else self.max_bytes
        if needed > limit:
            raise SpoolFullError(f"{needed} bytes are more than the spool may keep ({limit})")
        segments = sorted(self._segments(), key=lambda each: each[0])
        if signal == "metrics":
            own = [each for each in segments if each[3].path.parent.name == "metrics"]
            _evict(own, sum(each[1] for each in own) + needed - limit)
            segments = [each for each in segments if each[3].segment(each[2]).exists()]
        _evict(segments, sum(each[1] for each in segments) + needed - self.max_bytes)

    def _segments(self) -> Iterator[tuple[int, int, int, Folder]]:
        for _, _, folder in self.folders():
            for number in folder.numbers():
                with suppress(FileNotFoundError):
                    state = folder.segment(number).stat()
                    yield state.st_mtime_ns, state.st_size, number, folder

    def _start_anew(self) -> None:
        # The child is another writer. Its copy of the parent's sign must not outlive the parent.
        if self._sign is not None:
            self._sign.close()
        self._sign = None
        self._noting = threading.Lock()
        self.writer = ""


_complained: set[str] = set()


def complain(error: OSError) -> None:
    """Count a failure of the disk, and tell each kind of failure once."""
    FAILURES.count("spool")
    kind = f"{type(error).__name__} {error.errno}"
    if kind not in _complained:
        _complained.add(kind)
        _logger.warning(
            "midwatch: the spool cannot be used (%s); what cannot be sent waits in memory only. "
            "Set MIDWATCH_SPOOL_DIR to a folder that can be written and has room, or "
            "MIDWATCH_SPOOL_MODE=off (said once)",
            error,
        )


def folder_name(destination: str) -> str:
    """The destination's name as a folder can have it."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", destination).lstrip(".")[:100] or "_"


def _evict(segments: list[tuple[int, int, int, Folder]], excess: int) -> None:
    for _, size, number, folder in segments:
        if excess <= 0:
            break
        folder.evict(number)
        excess -= size


def _listed(path: Path) -> list[str]:
    try:
        return sorted(os.listdir(path))
    except (FileNotFoundError, NotADirectoryError):
        return []
