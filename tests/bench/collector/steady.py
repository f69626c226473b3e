"""What a span costs the collector while all stores are well: CPU and memory, by content policy."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.bench.collector.rig import Stores, Tier, Watch
from tests.bench.collector.telemetry import SPANS_PER_TRACE, traces
from tests.bench.collector.traffic import Client
from tests.render.collectors import wait_until

SPANS_PER_REQUEST = 100
_CLIENTS = 2
_WARM_UP_REQUESTS = 20
_PATIENCE_SECONDS = 300
_JUDGED_AFTER_SECONDS = 8
"""Longer than the chart's wait after a root span."""

MODES: dict[str, dict[str, Any]] = {
    "off": {"content": "off"},
    "redacted": {"content": "redacted"},
    "off, tail sampling": {"content": "off", "collector": {"tailSampling": {"enabled": True}}},
}


def measure_steady(
    spans: int, rounds: int, folder: Path, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Measure each mode so many times, in turn.

    Args:
        spans: how many each time.
        rounds: how many times.
        folder: for the queues.
        say: is told what goes on.
    """
    bodies = _bodies(spans)
    measured = []
    for number in range(rounds):
        for place, (mode, values) in enumerate(MODES.items()):
            found = _measure(values, bodies, folder / f"{number}-{place}")
            say(f"{mode}: {found['spans_per_cpu_second']:,.0f} spans a CPU second")
            measured.append({"mode": mode, "round": number, **found})
    return measured


def _bodies(spans: int) -> list[bytes]:
    per_request = SPANS_PER_REQUEST // SPANS_PER_TRACE
    return [
        traces(
            (1 + request * per_request + trace, place)
            for trace in range(per_request)
            for place in range(SPANS_PER_TRACE)
        )
        for request in range(spans // SPANS_PER_REQUEST + _WARM_UP_REQUESTS)
    ]


def _measure(values: dict[str, Any], bodies: list[bytes], folder: Path) -> dict[str, Any]:
    stores, tier = Stores(), Tier(folder)
    stores.come()
    tier.start({"profile": "small", **values}, stores.addresses)
    watch = Watch(tier)
    watch.start()
    try:
        _deliver(stores, tier, bodies[:_WARM_UP_REQUESTS])
        used = tier.cpu_seconds()
        begun = time.monotonic()
        refused = _deliver(stores, tier, bodies[_WARM_UP_REQUESTS:])
        seconds = time.monotonic() - begun
        if "collector" in values:
            time.sleep(_JUDGED_AFTER_SECONDS)
        spans = (len(bodies) - _WARM_UP_REQUESTS) * SPANS_PER_REQUEST
        return {
            "spans": spans,
            "bytes_each_json": len(bodies[0]) / SPANS_PER_REQUEST,
            "requests_refused": refused,
            "spans_per_cpu_second": spans / (tier.cpu_seconds() - used),
            "spans_per_second": spans / seconds,
            "in_tempo": len(stores.counts("tempo").spans),
            "memory_mib": watch.memory_mib,
        }
    finally:
        watch.end()
        tier.stop()
        stores.end()


def _deliver(stores: Stores, tier: Tier, bodies: list[bytes]) -> int:
    """Send all, wait until the ledger has them; return how many requests were refused meanwhile."""
    wanted = len(stores.counts("ledger").spans) + len(bodies) * SPANS_PER_REQUEST

    def send(part: list[bytes]) -> int:
        client = Client([tier.url])
        for body in part:
            client.send("/v1/traces", body)
        client.close()
        return client.refused

    with ThreadPoolExecutor(_CLIENTS) as pool:
        refused = sum(pool.map(send, (bodies[number::_CLIENTS] for number in range(_CLIENTS))))
    wait_until(
        lambda: len(stores.counts("ledger").spans) >= wanted,
        "all spans are in the ledger",
        _PATIENCE_SECONDS,
    )
    return refused
