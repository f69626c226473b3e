"""A steady rate of telemetry, as agents would send it: what is refused is sent again."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import count
from urllib.parse import urlsplit

from tests.bench.collector.telemetry import SPANS_PER_TRACE, samples, traces

TICK_SECONDS = 0.1
_PATIENCE_SECONDS = 0.2


class Client:
    """Kept connections to one or more receivers, of which the next is asked when one refuses."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._connections = [
            http.client.HTTPConnection(urlsplit(url).netloc, timeout=10) for url in urls
        ]
        self._next = 0
        self.refused = 0

    def send(self, path: str, body: bytes) -> None:
        """Send until somebody takes it."""
        while not self._taken(path, body):
            self.refused += 1
            time.sleep(_PATIENCE_SECONDS)

    def close(self) -> None:
        """Close the connections."""
        for connection in self._connections:
            connection.close()

    def _taken(self, path: str, body: bytes) -> bool:
        connection = self._connections[self._next]
        self._next = (self._next + 1) % len(self._connections)
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            return False
        return answer.status == 200


class Traffic(threading.Thread):
    """Sends so many spans a second, and as many samples if asked, until it is told to stop.

    Args:
        urls: the receivers, which take turns.
        spans_per_second: the rate.
        with_samples: send samples too.
        span_seconds: time between two spans of a trace.
        failed_every: the last span of every so manieth trace has failed; 0 for none.
    """

    def __init__(
        self,
        urls: Sequence[str],
        spans_per_second: int,
        *,
        with_samples: bool = False,
        span_seconds: float = 0.0,
        failed_every: int = 0,
    ) -> None:
        super().__init__(daemon=True)
        self._client = Client(urls)
        self._per_tick = max(1, round(spans_per_second * TICK_SECONDS / SPANS_PER_TRACE))
        self._with_samples = with_samples
        self._ticks_between = round(span_seconds / TICK_SECONDS)
        self._failed_every = failed_every
        self._ends = threading.Event()
        self._last_ticks = (SPANS_PER_TRACE - 1) * self._ticks_between
        self.traces = 0
        self.spans = 0
        self.samples = 0

    @property
    def refused(self) -> int:
        """Requests that were refused, and sent again."""
        return self._client.refused

    def run(self) -> None:
        """Send until told to stop, and then the rest of the traces that have begun."""
        begun = time.monotonic()
        last: int | None = None
        for tick in count():
            if last is None and self._ends.is_set():
                last = tick + self._last_ticks
                self.traces = tick * self._per_tick
            if last is not None and tick >= last:
                break
            self._send(list(self._due(tick)))
            time.sleep(max(0.0, begun + (tick + 1) * TICK_SECONDS - time.monotonic()))
        self._client.close()

    def end(self) -> None:
        """Stop, and wait until all that was begun is sent."""
        self._ends.set()
        self.join()

    def _due(self, tick: int) -> Iterator[tuple[int, int]]:
        """Give the spans of a tick: the first ones of new traces, later ones of earlier traces."""
        for place in range(SPANS_PER_TRACE):
            begin = tick - place * self._ticks_between
            if begin < 0 or (self.traces and begin * self._per_tick >= self.traces):
                continue
            for number in range(begin * self._per_tick, (begin + 1) * self._per_tick):
                yield number + 1, place

    def _send(self, due: list[tuple[int, int]]) -> None:
        if not due:
            return
        self._client.send("/v1/traces", traces(due, self._failed_every))
        self.spans += len(due)
        if self._with_samples:
            numbers = range(self.samples, self.samples + len(due))
            self._client.send("/v1/metrics", samples(numbers))
            self.samples += len(due)
