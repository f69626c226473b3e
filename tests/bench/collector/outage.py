"""Each store away for ten minutes under a steady rate: what arrives, what it costs, how long after.

Four collectors run beside each other, and each has one of its stores taken away.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from tests.bench.collector.rig import DESTINATIONS, MIB, Stores, Tier, Watch
from tests.bench.collector.telemetry import span_number
from tests.bench.collector.traffic import Traffic
from tests.render.collectors import wait_until

STORES = ("ledger", "tempo", "prometheus", "destination")
VALUES: dict[str, Any] = {"profile": "small", "destinations": DESTINATIONS}
_AROUND_SECONDS = 10.0
_PATIENCE_SECONDS = 600


def measure_outages(
    seconds: float, rate: int, folder: Path, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Measure all outages at once, each with a collector of its own.

    Args:
        seconds: how long each store is away.
        rate: spans a second, and as many samples.
        folder: for the queues.
        say: is told what goes on.
    """
    one = partial(_measure, seconds=seconds, rate=rate, folder=folder, say=say)
    with ThreadPoolExecutor(len(STORES)) as pool:
        return list(pool.map(one, STORES))


def _measure(
    away: str, seconds: float, rate: int, folder: Path, say: Callable[[str], None]
) -> dict[str, Any]:
    stores, tier = Stores(), Tier(folder / away)
    stores.come()
    tier.start(VALUES, stores.addresses)
    watch = Watch(tier)
    watch.start()
    traffic = Traffic([tier.url], rate, with_samples=True)
    try:
        traffic.start()
        found = _outage(stores, tier, traffic, away, seconds, say)
        return {"store": away, "rate": rate, **found, **_of(watch)}
    finally:
        tier.stop()
        stores.end()


def _outage(
    stores: Stores,
    tier: Tier,
    traffic: Traffic,
    away: str,
    seconds: float,
    say: Callable[[str], None],
) -> dict[str, Any]:
    begun, used = time.monotonic(), tier.cpu_seconds()
    time.sleep(min(seconds, _AROUND_SECONDS))
    queue_before = tier.queue_bytes()
    stores.by_name[away].go()
    say(f"{away} is away")
    time.sleep(seconds)
    queue_at_end = tier.queue_bytes()
    backlog = _wanted(traffic, away)
    waiting = backlog - _got(stores, away)
    behind = {name: _wanted(traffic, name) - _got(stores, name) for name in STORES if name != away}
    stores.by_name[away].come()
    back = time.monotonic()
    wait_until(lambda: _got(stores, away) >= backlog, f"{away}'s backlog", _PATIENCE_SECONDS)
    caught_up = time.monotonic() - back
    time.sleep(min(seconds, _AROUND_SECONDS))
    traffic.end()
    _settle(stores, traffic)
    say(f"{away} is back and has what waited after {caught_up:.1f} s")
    return {
        "seconds_away": seconds,
        "spans_sent": traffic.spans,
        "samples_sent": traffic.samples,
        "requests_refused": traffic.refused,
        "waiting_at_return": waiting,
        "others_behind_at_return": behind,
        "queue_bytes_each": (queue_at_end - queue_before) / max(1, waiting),
        "queue_mib_after": tier.queue_bytes() / MIB,
        "caught_up_seconds": caught_up,
        "spans_per_cpu_second": traffic.spans / (tier.cpu_seconds() - used),
        "cores": (tier.cpu_seconds() - used) / (time.monotonic() - begun),
        "arrived": {name: _arrived(stores, traffic, name) for name in STORES},
    }


def _settle(stores: Stores, traffic: Traffic) -> None:
    """Wait until everything is everywhere; what is still not there after a time is lost."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and any(
        _got(stores, name) < _wanted(traffic, name) for name in STORES
    ):
        time.sleep(0.1)


def _got(stores: Stores, name: str) -> int:
    """Different things that a store got: samples in Prometheus, spans elsewhere."""
    counts = stores.counts(name)
    return len(counts.samples if name == "prometheus" else counts.spans)


def _wanted(traffic: Traffic, name: str) -> int:
    return traffic.samples if name == "prometheus" else traffic.spans


def _arrived(stores: Stores, traffic: Traffic, name: str) -> dict[str, int]:
    counts = stores.counts(name)
    if name == "prometheus":
        return arrived(counts.samples, range(traffic.samples))
    first = span_number(1, 0)
    return arrived(counts.spans, range(first, first + traffic.spans))


def arrived(found: Counter[int], wanted: range) -> dict[str, int]:
    """How many different things arrived, how many of the wanted did not, how many again."""
    return {
        "arrived": len(found),
        "lost": sum(1 for number in wanted if number not in found),
        "twice": found.total() - len(found),
    }


def _of(watch: Watch) -> dict[str, Any]:
    watch.end()
    return {
        "memory_mib": watch.memory_mib,
        "queue_mib_most": watch.queue_mib,
        "points": watch.points,
    }
