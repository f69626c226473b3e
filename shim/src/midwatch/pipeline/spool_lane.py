"""What one destination has waiting in the spool: this process's own, and that of dead processes."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from midwatch.pipeline.payloads import Payload, Signal
from midwatch.pipeline.spool import Spool, folder_name
from midwatch.pipeline.spool_folder import Entry, Folder
from midwatch.pipeline.spool_locks import SignOfLife, make_private
from midwatch.pipeline.spool_records import encoded

Settle = Callable[[str, str, int, bool], None]
"""Is told the result, the reason, the number of items, and if this process's account is to know."""

OnBehalf = Callable[[str, str, int], None]
"""Is told the result, the reason and the number of spans of a dead process."""


class SpoolLane:
    """A queue on disk, for one destination and signal.

    One process at a time adopts what dead ones left for the same destination and signal; that comes
    before its own. All methods raise `OSError` where the disk fails.

    Args:
        spool: the folder.
        destination: the receiver's name.
        signal: what it gets.
        settle: is told of what is lost in the spool and of what is counted late.
        on_behalf: is told what became of spans of dead processes; without it their accounts are
            left to others.
        accounted: whether this process's account follows this lane.
    """

    def __init__(
        self,
        spool: Spool,
        destination: str,
        signal: Signal,
        settle: Settle,
        on_behalf: OnBehalf | None = None,
        accounted: bool = False,
    ) -> None:
        self._spool = spool
        self._destination = destination
        self._signal: Signal = signal
        self._settle = settle
        self._on_behalf = on_behalf
        self._accounted = accounted
        self._replayer: SignOfLife | None = None
        self.start_anew()

    def start_anew(self) -> None:
        """Know nothing, as after a fork: what was there is left to the parent."""
        self._own: Folder | None = None
        self._own_waits = False
        self._keeps_segment = False
        self._adopted: list[Folder] = []
        if self._replayer is not None:
            self._replayer.close()
        self._replayer = None

    @property
    def empty(self) -> bool:
        """Whether nothing waits, as far as this process knows."""
        return not self._adopted and not self._own_waits

    @property
    def adopts(self) -> bool:
        """Whether this process is the one that sends what dead ones left."""
        return self._replayer is not None

    def append(self, payload: Payload, *, spooled: bool, sync: bool = False) -> None:
        """Write a payload at the end.

        Args:
            payload: what to keep.
            spooled: whether it counts as spooled from now on, or only if it stays.
            sync: whether to return only when it is on the disk.
        """
        data = encoded(payload)
        with self._spool.locked():
            own = self._own_folder()
            self._spool.make_room(len(data), self._signal)
            descriptor, is_new = own.append(data, self._spool.segment_bytes)
            self._own_waits = True
            self._keeps_segment = sync
            if spooled:
                self._settle_spooled(own)
            # Of a copy, outside of the lock: others need not wait for the disk.
            descriptor = os.dup(descriptor) if sync else -1
        if sync:
            _sync(descriptor, own.path if is_new else None)

    def head(self) -> Entry | None:
        """The oldest that waits; what is found damaged is counted and skipped."""
        with self._spool.locked():
            while self._adopted:
                folder = self._adopted[0]
                if (found := self._next(folder)) is not None:
                    return found
                folder.tidy()
                self._adopted.pop(0)
            if self._own is not None and (found := self._next(self._own)) is not None:
                return found
            self._own_waits = False
            return None

    def done(self, entry: Entry) -> bool | None:
        """Take off the entry that `head` gave.

        Returns:
            Whether its items were counted as spooled; nothing if it was thrown away meanwhile, and
            counted as that.
        """
        folder = self._adopted[0] if self._adopted else self._own
        if folder is None:
            return None
        # Also if the disk fails now: it is not sent again by this process.
        folder.sent = entry.end
        with self._spool.locked():
            return entry.begin < folder.settled if folder.advance(entry) else None

    def settle_spooled(self) -> None:
        """Count everything of this process that waits as spooled."""
        if self._own is not None and self._own_waits:
            with self._spool.locked():
                self._settle_spooled(self._own)

    def look_around(self) -> None:
        """Adopt what dead processes left, if no other does, and count what was thrown away."""
        with self._spool.locked():
            self._spool.register()
            if self._elected():
                self._adopt()
            for folder in self._known():
                self._count_evicted(folder)

    def size(self) -> int:
        """The bytes of what waits here."""
        with suppress(OSError):
            return sum(folder.waiting_bytes() for folder in self._known())
        return 0

    def close(self) -> None:
        """Leave what waits to the next process."""
        if self._own is not None:
            with self._spool.locked():
                self._count_evicted(self._own)
                self._own.tidy()
        self.start_anew()

    def _own_folder(self) -> Folder:
        path = self._spool.lane(self._destination, self._signal) / self._spool.register()
        if self._own is None or self._own.path != path or not path.is_dir():
            # The folder may have been removed under a process that runs.
            self._own = Folder(path, self._signal, accounted=self._accounted)
            self._own.make()
        return self._own

    def _known(self) -> list[Folder]:
        return [*self._adopted, *([self._own] if self._own else [])]

    def _next(self, folder: Folder) -> Entry | None:
        while (found := folder.next_entry()) is not None:
            if found.payload is not None:
                return found
            if folder.advance(found):
                self._settle("dropped", "spool_corrupt", found.count, folder.accounted)
                self._spool.note_damage(folder.path)
        if not self._keeps_segment:
            folder.release()
            folder.next_entry()
        return None

    def _settle_spooled(self, folder: Folder) -> None:
        if count := folder.settle():
            self._settle("spooled", "none", count, folder.accounted)

    def _count_evicted(self, folder: Folder) -> None:
        if count := folder.settle_evicted():
            self._settle("spooled", "none", count, folder.accounted)
        if count := folder.take_evicted():
            self._settle("dropped", "spool_full", count, folder.accounted)

    def _elected(self) -> bool:
        if self._replayer is None or not self._replayer.is_in_place():
            lane = self._spool.lane(self._destination, self._signal)
            make_private(lane)
            self._replayer = SignOfLife.take(lane / "replayer")
        return self._replayer is not None

    def _adopt(self) -> None:
        self._bury()
        known = {folder.path for folder in self._adopted}
        accounts = self._spool.accounts
        for folder in self._spool.folders_of(self._destination, self._signal):
            writer = folder.path.name
            if folder.path in known or accounts.is_alive(writer):
                continue
            if folder.accounted and accounts.exists(writer):
                continue  # Died just now; its account comes first, with the next look.
            if count := folder.settle() + folder.settle_evicted():
                self._settle("spooled", "none", count, False)
            self._adopted.append(folder)

    def _bury(self) -> None:
        if self._on_behalf is None:
            return
        accounts, lane = self._spool.accounts, self._spool.lane(self._destination, self._signal)
        for writer in accounts.writers():
            main = accounts.read(writer).main
            if accounts.is_alive(writer) or main not in (folder_name(self._destination), ""):
                continue
            for key, count in self._spool.bury(writer, Folder(lane / writer, self._signal)).items():
                self._on_behalf(*key, count)


def _sync(descriptor: int, new_in: Path | None) -> None:
    """Have what was written on the disk, and the name of the file if it is new."""
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
    if new_in is not None:
        folder = os.open(new_in, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
