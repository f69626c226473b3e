"""What waits for one receiver: older things on disk, newer ones in memory, in one order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from midwatch.pipeline.payloads import Payload
from midwatch.pipeline.spool_folder import Entry
from midwatch.pipeline.spool_lane import Settle, SpoolLane

_MEMORY_BYTES = 32 << 20


@dataclass
class Parcel:
    """A payload in the sender's hands; `entry` is its place if it was taken from the disk.

    `spilled` tells that it was written there meanwhile, before everything that came later.
    """

    payload: Payload
    entry: Entry | None = None
    spilled: bool = False


class Backlog:
    """A queue in memory that goes over to disk, and never overtakes itself.

    It is used by one thread at a time. What the disk does not take stays in memory; what is too
    much there goes, the oldest first, and is counted.

    Args:
        store: the disk, if there is one.
        mode: the spool's: `write-ahead` has everything written before it is sent.
        limit_items: how many items wait in memory at most.
        settle: is told of what is lost.
        accounted: whether this process's account follows what is in here.
        complain: is told of errors of the disk.
    """

    def __init__(
        self,
        store: SpoolLane | None,
        mode: str,
        limit_items: int,
        settle: Settle,
        accounted: bool,
        complain: Callable[[OSError], None],
    ) -> None:
        self._store = store
        self._ahead = mode == "write-ahead"
        self._limit_items = limit_items
        self._settle = settle
        self._accounted = accounted
        self._complain = complain
        self._failing = False
        self.start_anew()

    def start_anew(self) -> None:
        """Be empty, as after a fork: what was there is left to the parent."""
        self._memory: deque[Payload] = deque()
        self._items = 0
        self._bytes = 0
        self._failing = False
        self.parcel: Parcel | None = None
        if self._store is not None:
            self._store.start_anew()

    @property
    def in_memory(self) -> int:
        """The payloads that only this process has."""
        in_hand = self.parcel
        return len(self._memory) + (
            in_hand is not None and in_hand.entry is None and not in_hand.spilled
        )

    @property
    def on_disk(self) -> bool:
        """Whether something waits on disk."""
        return self._store is not None and not self._store.empty

    @property
    def on_its_way(self) -> bool:
        """Whether something waits on disk that the receiver would take, as far as one can tell."""
        return self.on_disk and not self._failing

    def put(self, payload: Payload, *, prompt: bool) -> None:
        """Take a payload.

        Args:
            payload: what is to be sent.
            prompt: whether it will be sent at once as far as one can tell.
        """
        self._memory.append(payload)
        self._items += payload.count
        self._bytes += len(payload.body)
        if self._ahead or self._failing or self.on_disk or not prompt or self._too_much():
            self.spill()
        while self._too_much():
            dropped = self._pop()
            self._settle("dropped", "queue_full", dropped.count, self._accounted)

    def take(self) -> Parcel | None:
        """The oldest, which stays in the sender's hands until `finish` or `give_back`."""
        if self.parcel is not None:
            return self.parcel
        if self._store is not None and not self._store.empty:
            try:
                if (entry := self._store.head()) is not None and entry.payload is not None:
                    self.parcel = Parcel(entry.payload, entry)
                    return self.parcel
            except OSError as error:
                self._complain(error)
        if self._memory:
            self.parcel = Parcel(self._pop())
        return self.parcel

    def finish(self, lost: int, reason: str) -> None:
        """Count what is in hand as sent, but for those items of it that were lost."""
        parcel, self.parcel = self.parcel, None
        if parcel is None:
            return
        accounted, was_spooled = self._accounted, self._was_spooled(parcel)
        if parcel.entry is not None:
            accounted = parcel.entry.accounted
        if was_spooled is None:
            return
        sent = parcel.payload.count - lost
        if sent:
            self._settle("replayed" if was_spooled else "exported", "none", sent, accounted)
        if lost:
            self._settle("dropped", f"spool_{reason}" if was_spooled else reason, lost, accounted)

    def give_back(self) -> None:
        """Put what is in hand back to where it was."""
        parcel, self.parcel = self.parcel, None
        if parcel is not None and parcel.entry is None and not parcel.spilled:
            self._memory.appendleft(parcel.payload)
            self._items += parcel.payload.count
            self._bytes += len(parcel.payload.body)

    def fail(self) -> None:
        """The receiver is away: what is in memory goes to disk, and counts as spooled."""
        self._failing = True
        self.give_back()
        if self._store is not None:
            with suppress(OSError):
                self._store.settle_spooled()
        self.spill()

    def recover(self) -> None:
        """The receiver is back."""
        self._failing = False

    def spill(self) -> None:
        """Write what is in memory to disk, as far as that can be."""
        if self._store is None:
            return
        spooled = self._failing or not self._ahead
        in_hand = self.parcel
        try:
            if in_hand is not None and in_hand.entry is None and not in_hand.spilled:
                self._store.append(in_hand.payload, spooled=spooled, sync=self._ahead)
                in_hand.spilled = True
            while self._memory:
                self._store.append(self._memory[0], spooled=spooled, sync=self._ahead)
                self._pop()
        except OSError as error:
            self._complain(error)

    def abandon(self, reason: str) -> None:
        """Drop what is in memory."""
        self.give_back()
        while self._memory:
            self._settle("dropped", reason, self._pop().count, self._accounted)

    def close(self) -> None:
        """Leave what is on disk to the next process."""
        if self._store is not None:
            try:
                self._store.settle_spooled()
                self._store.close()
            except OSError as error:
                self._complain(error)

    def look_around(self) -> None:
        """Adopt what dead processes left, and count what others threw away."""
        if self._store is not None and self.parcel is None:
            try:
                self._store.look_around()
            except OSError as error:
                self._complain(error)

    def _too_much(self) -> bool:
        """Whether more is in memory than may be; one payload may always."""
        beyond = self._items > self._limit_items or self._bytes > _MEMORY_BYTES
        return len(self._memory) > 1 and beyond

    def _was_spooled(self, parcel: Parcel) -> bool | None:
        """Take the parcel off the disk; nothing if it is counted as thrown away."""
        if self._store is None or (parcel.entry is None and not parcel.spilled):
            return False
        entry = parcel.entry
        try:
            if entry is None:
                # It was written before anything that came later, so it is the first.
                entry = self._store.head()
            return None if entry is None else self._store.done(entry)
        except OSError as error:
            self._complain(error)
            return not self._ahead or self._failing

    def _pop(self) -> Payload:
        payload = self._memory.popleft()
        self._items -= payload.count
        self._bytes -= len(payload.body)
        return payload
