"""The files of one process for one destination and signal: segments, and how far they are sent.

All but `append` of the writer itself is done while the spool's lock is held, by the writer, by who
adopted the folder of a dead one, or by who makes room.
"""

from __future__ import annotations

import os
import struct
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from midwatch.pipeline.payloads import Payload, Signal
from midwatch.pipeline.spool_locks import make_private
from midwatch.pipeline.spool_records import Damage, items_between, record_at

_SUFFIX = ".segment"
# Two positions, the number of items counted as spooled, whether the process's account counts them.
_PROGRESS = struct.Struct(">QQQQQ?I")
_EVICTED = struct.Struct(">QQ")


@dataclass(frozen=True, order=True)
class Position:
    """A place in a folder."""

    segment: int = 0
    offset: int = 0


@dataclass(frozen=True)
class Entry:
    """The next thing to send, or to count as lost if it has no payload.

    `accounted` tells whether the account of the process that wrote it follows it.
    """

    payload: Payload | None
    count: int
    begin: Position
    end: Position
    accounted: bool


class Folder:
    """Segments of records, oldest first.

    `sent` is the place up to which everything is sent or lost, `settled` that up to which it is
    counted as spooled, `settled_items` how much that was. `accounted` tells whether the account of
    the process that writes follows what is in here.
    """

    def __init__(self, path: Path, signal: Signal, *, accounted: bool = False) -> None:
        self.path = path
        self._signal: Signal = signal
        self.sent, self.settled = Position(), Position()
        self.settled_items = 0
        self.accounted = accounted
        self._current: tuple[int, int] | None = None
        self._read_progress()

    def make(self) -> None:
        """Make the folder, with the note of progress: a disk that is full later has room for it.

        Raises:
            OSError: it cannot be made.
        """
        make_private(self.path)
        self._write_progress()

    def numbers(self) -> list[int]:
        """The segments, in order."""
        try:
            names = os.listdir(self.path)
        except FileNotFoundError:
            return []
        return sorted(int(name.removesuffix(_SUFFIX)) for name in names if name.endswith(_SUFFIX))

    def segment(self, number: int) -> Path:
        """The file of a segment."""
        return self.path / f"{number:012d}{_SUFFIX}"

    def waiting_bytes(self) -> int:
        """The bytes of what is still to be sent."""
        total = 0
        for number in self.numbers():
            with suppress(FileNotFoundError):
                total += self.segment(number).stat().st_size
            if number == self.sent.segment:
                total -= self.sent.offset
        return total

    def append(self, data: bytes, segment_bytes: int) -> tuple[int, bool]:
        """Write a record at the end; returns the open file, and whether it is new.

        Raises:
            OSError: it could not be written; nothing is left of it then.
        """
        descriptor, number, begin = self._place_to_write(segment_bytes)
        written = 0
        try:
            while written < len(data):
                written += os.write(descriptor, data[written:])
        except OSError:
            with suppress(OSError):
                os.ftruncate(descriptor, begin)
            if begin == 0:
                self._forget_current()
                self.segment(number).unlink(missing_ok=True)
            raise
        return descriptor, begin == 0

    def next_entry(self) -> Entry | None:
        """What is to be sent next, if anything."""
        for number in self.numbers():
            if number < self.sent.segment:
                self._remove(number)
                continue
            offset = self.sent.offset if number == self.sent.segment else 0
            found = self._read(number, offset)
            if found is not None:
                return found
            if self._current is None or self._current[0] != number:
                self._remove(number)
        return None

    def advance(self, entry: Entry) -> bool:
        """Note that an entry is done; false if someone has thrown it away meanwhile."""
        if not self.segment(entry.begin.segment).exists():
            return False
        self.sent = entry.end
        self._write_progress()
        return True

    def settle(self) -> int:
        """Note that all there is counts as spooled; returns how many items did not before."""
        unsettled = self._items_from(max(self.settled, self.sent))
        numbers = self.numbers()
        self.settled_items += unsettled
        if numbers:
            self.settled = Position(numbers[-1], self.segment(numbers[-1]).stat().st_size)
            self._write_progress()
        return unsettled

    def waiting(self) -> int:
        """The items in the files that are still to be sent."""
        return self._items_from(self.sent)

    def evict(self, number: int) -> None:
        """Throw a segment away, and leave a note of how many items were in it."""
        begin = self.sent if number == self.sent.segment else Position(number)
        lost = self._items_in(number, begin.offset) if number >= self.sent.segment else 0
        begin = max(self.settled, begin)
        unsettled = self._items_in(number, begin.offset) if begin.segment == number else 0
        before_lost, before_unsettled = self._read_evicted()
        self._write_evicted(before_lost + lost, before_unsettled + unsettled)
        self._remove(number)

    def settle_evicted(self) -> int:
        """Note that all that was thrown away counts as spooled; returns what did not before."""
        lost, unsettled = self._read_evicted()
        if unsettled:
            self._write_evicted(lost, 0)
            self.settled_items += unsettled
            self._write_progress()
        return unsettled

    def take_evicted(self) -> int:
        """The items that were thrown away since the last call."""
        lost, _ = self._read_evicted()
        if lost:
            (self.path / "evicted").unlink(missing_ok=True)
        return lost

    def tidy(self) -> None:
        """Remove everything if nothing is left to be sent or told."""
        self.release()
        if self.next_entry() is None and not any(self._read_evicted()):
            for name in os.listdir(self.path):
                (self.path / name).unlink(missing_ok=True)
            self.path.rmdir()

    def release(self) -> None:
        """Write no more to the current segment."""
        self._forget_current()

    def _place_to_write(self, segment_bytes: int) -> tuple[int, int, int]:
        if self._current is not None:
            number, descriptor = self._current
            state = os.fstat(descriptor)
            # Without links: someone made room by throwing it away.
            if state.st_nlink and state.st_size < segment_bytes:
                return descriptor, number, state.st_size
            self._forget_current()
        number = max([*self.numbers(), self.sent.segment, self.settled.segment]) + 1
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self.segment(number), flags, 0o600)
        self._current = (number, descriptor)
        return descriptor, number, 0

    def _forget_current(self) -> None:
        if self._current is not None:
            os.close(self._current[1])
            self._current = None

    def _read(self, number: int, offset: int) -> Entry | None:
        begin = Position(number, offset)
        try:
            descriptor = os.open(self.segment(number), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            found = record_at(descriptor, offset, self._signal)
        finally:
            os.close(descriptor)
        if found is None:
            return None
        payload, count = (
            (None, found.count)
            if isinstance(found, Damage)
            else (found.payload, found.payload.count)
        )
        end = Position(number, found.next_offset)
        return Entry(payload, count, begin, end, self.accounted)

    def _items_from(self, begin: Position) -> int:
        return sum(
            self._items_in(number, begin.offset if number == begin.segment else 0)
            for number in self.numbers()
            if number >= begin.segment
        )

    def _items_in(self, number: int, offset: int) -> int:
        try:
            descriptor = os.open(self.segment(number), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return 0
        try:
            return items_between(descriptor, offset, os.fstat(descriptor).st_size)
        finally:
            os.close(descriptor)

    def _remove(self, number: int) -> None:
        self.segment(number).unlink(missing_ok=True)

    def _read_progress(self) -> None:
        try:
            data = (self.path / "progress").read_bytes()
        except OSError:
            return
        # If it is damaged, everything is sent once more: better than not at all.
        if len(data) == _PROGRESS.size and zlib.crc32(data[:-4]) == int.from_bytes(
            data[-4:], "big"
        ):
            *places, self.settled_items, self.accounted, _ = _PROGRESS.unpack(data)
            self.sent, self.settled = Position(*places[:2]), Position(*places[2:])

    def _write_progress(self) -> None:
        places = (self.sent.segment, self.sent.offset, self.settled.segment, self.settled.offset)
        data = _PROGRESS.pack(*places, self.settled_items, self.accounted, 0)[:-4]
        _write(self.path / "progress", data + zlib.crc32(data).to_bytes(4, "big"))

    def _read_evicted(self) -> tuple[int, int]:
        try:
            data = (self.path / "evicted").read_bytes()
        except OSError:
            return 0, 0
        lost, unsettled = _EVICTED.unpack(data) if len(data) == _EVICTED.size else (0, 0)
        return lost, unsettled

    def _write_evicted(self, lost: int, unsettled: int) -> None:
        if lost:
            _write(self.path / "evicted", _EVICTED.pack(lost, unsettled))


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.pwrite(descriptor, data, 0)
    finally:
        os.close(descriptor)
