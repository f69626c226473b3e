"""What happened so far, in bounded memory."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum

_KEPT_LATENCIES = 500


class Result(StrEnum):
    """How a request ended."""

    OK = "ok"
    REFUSED = "refused"
    FAILED = "failed"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True)
class Summary:
    """The figures of a run at one moment. Latencies are of the latest requests, in seconds."""

    elapsed_seconds: float
    arrivals: int
    shed: int
    in_flight: int
    finished: int
    requests: int
    ok: int
    refused: int
    failed: int
    unreachable: int
    p50_seconds: float
    p95_seconds: float
    kinds: dict[str, int]
    last_failure: str

    def as_dict(self) -> dict[str, object]:
        """Return the figures in plain values."""
        return asdict(self)


class Statistics:
    """Counts arrivals and requests."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started = clock()
        self._kinds: Counter[str] = Counter()
        self._results: Counter[Result] = Counter()
        self._latencies: deque[float] = deque(maxlen=_KEPT_LATENCIES)
        self._shed = 0
        self._begun = 0
        self._finished = 0
        self._last_failure = ""

    @property
    def in_flight(self) -> int:
        """Arrivals that have begun and not finished."""
        return self._begun - self._finished

    def arrival_begins(self, kind: str) -> None:
        """Count an arrival that is let in."""
        self._kinds[kind] += 1
        self._begun += 1

    def arrival_ends(self) -> None:
        """Count an arrival that is done, well or not."""
        self._finished += 1

    def arrival_shed(self) -> None:
        """Count an arrival for which there was no room."""
        self._shed += 1

    def request_done(self, result: Result, seconds: float, failure: str = "") -> None:
        """Count one request, its latency, and why it failed if it did."""
        self._results[result] += 1
        self._latencies.append(seconds)
        if failure:
            self._last_failure = failure[:200]

    def opinion_lost(self, failure: str) -> None:
        """Note why an opinion of an answer could not be given."""
        self._last_failure = failure[:200]

    def summary(self) -> Summary:
        """Return the figures as they stand."""
        ordered = sorted(self._latencies)
        return Summary(
            elapsed_seconds=round(self._clock() - self._started, 1),
            arrivals=self._begun + self._shed,
            shed=self._shed,
            in_flight=self.in_flight,
            finished=self._finished,
            requests=self._results.total(),
            ok=self._results[Result.OK],
            refused=self._results[Result.REFUSED],
            failed=self._results[Result.FAILED],
            unreachable=self._results[Result.UNREACHABLE],
            p50_seconds=_quantile(ordered, 0.5),
            p95_seconds=_quantile(ordered, 0.95),
            kinds=dict(sorted(self._kinds.items())),
            last_failure=self._last_failure,
        )


def _quantile(ordered: list[float], share: float) -> float:
    if not ordered:
        return 0.0
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 3)
