"""One fact reported twice, by the application's own calls and by instrumentation, is one fact."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Literal

By = Literal["hand", "instrumentation"]
"""Who reports a fact."""

_KEPT = 1000


class Reconciler:
    """Matches the facts that two reporters see in one turn.

    Of each fact (a kind and its labels) the turn has as many as the more complete of the two
    reporters reported, in whatever order they did: a report that finds an unmatched report of the
    same fact by the other is not new. A label that only one of the two gives does not tell them
    apart.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[tuple[By, str], list[Mapping[str, str]]] = {}

    def is_new(self, by: By, kind: str, labels: Mapping[str, str]) -> bool:
        """Whether this report is of a fact that the other reporter has not reported."""
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


def _agree(one: Mapping[str, str], two: Mapping[str, str]) -> bool:
    return all(two.get(name, value) == value for name, value in one.items())
