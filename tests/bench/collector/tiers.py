"""The two tiers under a steady rate: samplers rolled out one by one, and two that become three.

Two collectors that receive stand before samplers, each of which delivers to a ledger and a Tempo
of its own, so that it can be told which sampler had which span. Tail sampling keeps what failed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.bench.collector.rig import LEDGER, TEMPO, Tier
from tests.bench.collector.stores import HttpPlace, Place
from tests.bench.collector.telemetry import SPANS_PER_TRACE, span_number
from tests.bench.collector.traffic import Traffic

FAILED_EVERY = 5
SPAN_SECONDS = 0.5
"""Between two spans of a trace, so that many traces are under way at any time."""

_QUIET_SECONDS = 10
_PATIENCE_SECONDS = 60
_POD_SECONDS = 10
"""About what a cluster needs from the end of a pod to the start of its successor."""

_DECISION_SECONDS = 15
"""Instead of the chart's two minutes: what comes after a restart has no root, and waits so long."""

_SAMPLER = "midwatch-sampler-{}.midwatch-sampler-pods.midwatch.svc:4317".format
_ABSENT = {"enabled": False}


class Tiers:
    """Two collectors that receive, and so many samplers with stores of their own."""

    def __init__(self, folder: Path, samplers: int) -> None:
        self._folder = folder
        self._samplers = samplers
        self.samplers: list[Tier] = []
        self.ledgers: list[HttpPlace] = []
        self.tempos: list[HttpPlace] = []
        for _ in range(samplers):
            self._add()
        self.receivers = [Tier(folder / f"collector-{number}") for number in range(2)]
        for receiver in self.receivers:
            self._start_receiver(receiver)

    def roll(self, number: int) -> float:
        """Restart a sampler as a roll-out does; return for how many seconds it was away."""
        begun = time.monotonic()
        self.samplers[number].stop()
        time.sleep(_POD_SECONDS)
        self._start_sampler(number)
        return time.monotonic() - begun

    def grow(self) -> None:
        """Add a sampler, and then tell those that receive of it, one after the other."""
        self._samplers += 1
        self._add()
        for receiver in self.receivers:
            receiver.stop()
            self._start_receiver(receiver)

    def end(self) -> None:
        """End everything."""
        for tier in (*self.receivers, *self.samplers):
            tier.stop()
        places: list[Place] = [*self.ledgers, *self.tempos]
        for place in places:
            place.end()

    def _add(self) -> None:
        number = len(self.samplers)
        self.samplers.append(Tier(self._folder / f"sampler-{number}", "sampler"))
        self.ledgers.append(HttpPlace())
        self.tempos.append(HttpPlace())
        self.ledgers[-1].come()
        self.tempos[-1].come()
        self._start_sampler(number)

    def _start_sampler(self, number: int) -> None:
        addresses = {LEDGER: self.ledgers[number].url, TEMPO: self.tempos[number].url}
        self.samplers[number].start(_values(self._samplers), addresses)

    def _start_receiver(self, receiver: Tier) -> None:
        places = {_SAMPLER(number): one.grpc_address for number, one in enumerate(self.samplers)}
        receiver.start(_values(self._samplers), places)


def measure_tiers(rate: int, folder: Path, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Measure a roll-out of all samplers, and the step from two samplers to three.

    Args:
        rate: spans a second.
        folder: for the queues.
        say: is told what goes on.
    """
    cases = {"rolled out": _roll_all, "from two to three": _grow}
    return [
        {"case": name, "rate": rate, **_measure(change, rate, folder / name.replace(" ", "-"), say)}
        for name, change in cases.items()
    ]


def _roll_all(tiers: Tiers, say: Callable[[str], None]) -> None:
    for number in range(len(tiers.samplers)):
        say(f"sampler {number} was away for {tiers.roll(number):.1f} s")
        time.sleep(_QUIET_SECONDS)


def _grow(tiers: Tiers, say: Callable[[str], None]) -> None:
    tiers.grow()
    say("there are three samplers")
    time.sleep(_QUIET_SECONDS)


def _measure(
    change: Callable[[Tiers, Callable[[str], None]], None],
    rate: int,
    folder: Path,
    say: Callable[[str], None],
) -> dict[str, Any]:
    tiers = Tiers(folder, 2)
    urls = [receiver.url for receiver in tiers.receivers]
    traffic = Traffic(urls, rate, span_seconds=SPAN_SECONDS, failed_every=FAILED_EVERY)
    try:
        traffic.start()
        time.sleep(_QUIET_SECONDS)
        change(tiers, say)
        traffic.end()
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline and _arrived(tiers.ledgers) < traffic.spans:
            time.sleep(0.1)
        time.sleep(_DECISION_SECONDS)
        _settle(tiers.tempos)
        return _found(tiers, traffic)
    finally:
        tiers.end()


def _arrived(places: Sequence[Place]) -> int:
    return len(set().union(*(place.counts.spans for place in places)))


def _settle(places: Sequence[Place]) -> None:
    """Wait until nothing has come for a while: what comes late is not lost."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    before, now = -1, _arrived(places)
    while before < now and time.monotonic() < deadline:
        time.sleep(_QUIET_SECONDS)
        before, now = now, _arrived(places)


def _found(tiers: Tiers, traffic: Traffic) -> dict[str, Any]:
    failed = [trace for trace in range(1, traffic.traces + 1) if trace % FAILED_EVERY == 0]
    kept = [_pieces(trace, tiers.tempos) for trace in failed]
    pieces = [_pieces(trace, tiers.ledgers) for trace in range(1, traffic.traces + 1)]
    arrived = _arrived(tiers.ledgers)
    return {
        "traces": traffic.traces,
        "spans": traffic.spans,
        "requests_refused": traffic.refused,
        "lost": traffic.spans - arrived,
        "twice": sum(place.counts.spans.total() for place in tiers.ledgers) - arrived,
        "whole_at_one_sampler": pieces.count([SPANS_PER_TRACE]),
        "at_two_samplers": sum(1 for one in pieces if len(one) > 1),
        "failed": len(failed),
        "failed_kept_whole": sum(1 for one in kept if sum(one) == SPANS_PER_TRACE),
        "failed_kept_in_part": sum(1 for one in kept if 0 < sum(one) < SPANS_PER_TRACE),
        "failed_missing": kept.count([]),
    }


def _pieces(trace: int, places: Sequence[Place]) -> list[int]:
    """How many spans of a trace each place has that has any."""
    numbers = [span_number(trace, place) for place in range(SPANS_PER_TRACE)]
    had = (sum(1 for number in numbers if number in one.counts.spans) for one in places)
    return [count for count in had if count]


def _values(samplers: int) -> dict[str, Any]:
    fixed = {"autoscaling": _ABSENT}
    sampler = {**fixed, "replicas": samplers, "balanceBy": "shards"}
    waits = {"decisionWait": f"{_DECISION_SECONDS}s"}
    sampling = {"enabled": True, "percentage": 0, **waits}
    return {
        "profile": "ha",
        "collector": {**fixed, "replicas": 2, "sampler": sampler, "tailSampling": sampling},
        "prometheus": _ABSENT,
        "alertmanager": _ABSENT,
        "grafana": _ABSENT,
        "ledger": {"replicas": 1},
    }
