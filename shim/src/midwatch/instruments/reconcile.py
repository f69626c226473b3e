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
        self._open: dict[tuple[By, str], list[_Labels]] = {}

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
        other: By = "instrumentation" if by == "hand" else "hand"
        with self._lock:
            reports = self._open.get((other, kind))
            if reports:
                for report in reports:
                    if _agree(report, labels):
                        reports.remove(report)
                        return False
            own = self._open.get((by, kind))
            if own is None:
                self._open[(by, kind)] = [labels]
                return True
            own.append(labels)
            if len(own) > _KEPT:
                del own[0]
            return True


def _agree(one: _Labels, two: _Labels) -> bool:
    # Hardly ever asked: labels are kept as they come.
    known = {name: value for name, value in zip(*two, strict=True) if value is not None}
    return all(
        value is None or known.get(name, value) == value for name, value in zip(*one, strict=True)
    )
