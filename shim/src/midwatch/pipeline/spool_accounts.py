"""What became of the spans of every process that used a spool, also of those that were killed.

Each process notes its counts in a file that is its sign of life too. When it ends, or when another
finds it dead, they are added to the totals.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from midwatch.pipeline.spool_locks import SignOfLife, is_alive, make_private

Counts = Mapping[tuple[str, str], int]
"""Numbers by result and reason."""

SPOOL_REASONS = frozenset({"spool_full", "spool_refused", "spool_corrupt"})
"""Why spans are dropped that were counted as spooled before."""

_REMEMBERED = 256
_LARGEST = 1 << 20


@dataclass(frozen=True)
class Account:
    """The counts of a process, and where its spans went first."""

    counts: Counts
    main: str = ""


class Accounts:
    """The accounts in a spool; all is done while the spool's lock is held."""

    def __init__(self, root: Path) -> None:
        self._writers = root / "writers"
        self._totals = root / "totals.json"

    def open(self, writer: str) -> SignOfLife:
        """Make the account of this process.

        Raises:
            OSError: it cannot be made.
        """
        make_private(self._writers)
        sign = SignOfLife.take(self._writers / writer)
        if sign is None:
            raise OSError(f"{self._writers / writer} belongs to another process")
        return sign

    def is_alive(self, writer: str) -> bool:
        """Whether the process that goes by this name lives."""
        return is_alive(self._writers / writer)

    def exists(self, writer: str) -> bool:
        """Whether the process has an account that is not yet in the totals."""
        return (self._writers / writer).exists()

    def writers(self) -> list[str]:
        """All that have an account, the earliest first."""
        try:
            return sorted(os.listdir(self._writers))
        except FileNotFoundError:
            return []

    def read(self, writer: str) -> Account:
        """What a process noted; nothing if it had not come to it."""
        try:
            noted = json.loads((self._writers / writer).read_bytes())
            return Account(_parsed(noted["counts"]), str(noted["main"]))
        except (OSError, ValueError, KeyError, TypeError):
            return Account({})

    def close(self, writer: str, counts: Counts) -> None:
        """Add the counts to the totals and remove the account.

        Raises:
            OSError: the totals cannot be written.
        """
        totals, closed = self._read_totals()
        if writer not in closed:
            totals.update(counts)
            closed.append(writer)
            written = {"counts": _written(totals), "closed": closed[-_REMEMBERED:]}
            temporary = self._totals.with_suffix(f".{writer}")
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
            with os.fdopen(os.open(temporary, flags, 0o600), "w") as file:
                json.dump(written, file)
            temporary.replace(self._totals)
        (self._writers / writer).unlink(missing_ok=True)

    def sum(self) -> Counter[tuple[str, str]]:
        """The totals and what the living have noted."""
        totals, closed = self._read_totals()
        for writer in self.writers():
            if writer not in closed:
                totals.update(self.read(writer).counts)
        return totals

    def _read_totals(self) -> tuple[Counter[tuple[str, str]], list[str]]:
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            noted = json.loads(self._totals.read_bytes())
            return _parsed(noted["counts"]), list(noted["closed"])
        return Counter(), []


def save(sign: SignOfLife, account: Account) -> None:
    """Note the counts of this process.

    Raises:
        OSError: they cannot be written.
    """
    data = json.dumps({"main": account.main, "counts": _written(account.counts)}).encode()
    # One write, of a length that never shrinks, so that a reader never sees half of a note.
    size = os.fstat(sign.descriptor).st_size
    os.pwrite(sign.descriptor, data.ljust(min(size, _LARGEST)), 0)


def in_flight(counts: Counts) -> int:
    """The spans that are created and have no result yet."""
    settled = sum(
        count
        for (result, reason), count in counts.items()
        if result in {"sampled_out", "exported", "spooled"}
        or (result == "dropped" and reason not in SPOOL_REASONS)
    )
    return counts.get(("created", "none"), 0) - settled


def _parsed(noted: Mapping[str, int]) -> Counter[tuple[str, str]]:
    return Counter(
        {
            (result, reason): int(count)
            for (result, _, reason), count in (
                (key.partition("/"), count) for key, count in noted.items()
            )
        }
    )


def _written(counts: Counts) -> dict[str, int]:
    return {f"{result}/{reason}": count for (result, reason), count in counts.items() if count}
