"""One fact reported twice, by the application's own calls and by instrumentation, is one fact."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Literal

By = Literal["hand", "instrumentation"]
"""Who reports a fact."""

_KEPT = 1000
_Labels = tuple[Sequence[str], Sequence[str | None]]


class Reconciler:
    """Matches the facts that two reporters see in one turn.

    Of each fact (a kind and its labels) the turn has as many as the more complete of the two
    reporters reported, in whatever order they did: a report that finds an unmatched report of the
    same fact by the other is not new. A label that only one of the two gives does not tell them
    apart.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_hand: dict[str, list[_Labels]] = {}
        self._seen: dict[str, list[_Labels]] = {}

    def is_new(
        self, by: By, kind: str, names: Sequence[str] = (), values: Sequence[str | None] = ()
    ) -> bool:
        """Whether this report is of a fact that the other reporter has not reported.

        Args:
            by: who reports.
            kind: the kind of fact.
            names: of the labels.
            values: of the labels, in the same order; None where this reporter has none.
        """
        labels = (names, values)
        own, others = self._seen, self._by_hand
        if by == "hand":
            own, others = others, own
        with self._lock:
            if others and _take(others.get(kind, []), labels):
                return False
            reports = own.get(kind)
            if reports is None:
                own[kind] = [labels]
                return True
            reports.append(labels)
            if len(reports) > _KEPT:
                del reports[0]
            return True


def _take(reports: list[_Labels], labels: _Labels) -> bool:
    """Whether there is a report of the fact with these labels; it is matched then."""
    for report in reports:
        if _agree(report, labels):
            reports.remove(report)
            return True
    return False


def _agree(one: _Labels, two: _Labels) -> bool:
    # Hardly ever asked: labels are kept as they come.
    known = {name: value for name, value in zip(*two, strict=True) if value is not None}
    return all(
        value is None or known.get(name, value) == value for name, value in zip(*one, strict=True)
    )
