"""Ingest into embedded SQLite: what a span costs, ours and the peers, same bytes, one run."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from tests.bench.ledger.batches import SPANS_PER_TRACE, TRACES_PER_BATCH, batches
from tests.bench.ledger.servers import CONTESTANTS, MemoryWatch, Server

SPANS_PER_BATCH = SPANS_PER_TRACE * TRACES_PER_BATCH
_SENDERS = 4
_VISIBLE_SECONDS = 600.0
_WARM_UP = 2
Say = Callable[[str], None]


def compare_ingest(counts: dict[str, int], rounds: int, say: Say) -> list[dict[str, Any]]:
    """Measure each contestant so often, in turn; `counts` is how many batches each one takes.

    The batches of a slower one are the first of those of a faster one.
    """
    most = max(counts.values()) + _WARM_UP
    bodies = list(batches(most, time.time_ns() - 120 * 10**9, 100))
    measured = []
    for number in range(rounds):
        for name, count in counts.items():
            found = measure(name, bodies[: count + _WARM_UP])
            measured.append({"round": number, **found})
            say(
                f"{name}: {found['spans_per_cpu_second']:,.0f} spans per CPU second, "
                f"{found['memory_mib']:.0f} MiB, ready in {found['ready_seconds']:.1f} s, "
                f"{found['bytes_per_span']:,.0f} bytes a span"
            )
    return measured


def measure(name: str, bodies: Sequence[bytes]) -> dict[str, Any]:
    """Start a contestant on an empty folder and send it the bodies, until all are visible."""
    folder = Path(tempfile.mkdtemp(prefix=f"bench-{name}-"))
    try:
        server = Server(CONTESTANTS[name], folder)
        memory = MemoryWatch(server.process.pid)
        try:
            return _measured(server, memory, bodies)
        finally:
            memory.close()
            server.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measured(server: Server, memory: MemoryWatch, bodies: Sequence[bytes]) -> dict[str, Any]:
    # What is done once, at the first spans, isn't what a span costs.
    send_all(server, bodies[:_WARM_UP])
    _wait_until_visible(server, _WARM_UP * SPANS_PER_BATCH)
    spans = (len(bodies) - _WARM_UP) * SPANS_PER_BATCH
    cpu, began = server.cpu_seconds(), time.monotonic()
    send_all(server, bodies[_WARM_UP:])
    _wait_until_visible(server, len(bodies) * SPANS_PER_BATCH)
    cpu, seconds = server.cpu_seconds() - cpu, time.monotonic() - began
    ready, peak = server.seconds_to_ready, memory.peak
    server.close()
    return {
        "name": server.contestant.name,
        "spans": spans,
        "cpu_seconds": cpu,
        "seconds": seconds,
        "spans_per_cpu_second": spans / cpu,
        "spans_per_second": spans / seconds,
        "memory_mib": peak / 2**20,
        "ready_seconds": ready,
        "bytes_per_span": server.disk_bytes() / (len(bodies) * SPANS_PER_BATCH),
    }


def send_all(server: Server, bodies: Sequence[bytes]) -> None:
    """Send the bodies, four at a time, until each is acknowledged."""
    headers = {"content-type": "application/x-protobuf", **server.contestant.headers}
    with httpx.Client(timeout=120) as client, ThreadPoolExecutor(_SENDERS) as pool:

        def send(body: bytes) -> None:
            for _ in range(600):
                # Each server knows a span by its ids: what is sent again is taken once.
                with suppress(httpx.TransportError):
                    answer = client.post(f"{server.url}/v1/traces", content=body, headers=headers)
                    if answer.status_code not in (429, 503):
                        answer.raise_for_status()
                        return
                time.sleep(0.2)
            raise RuntimeError(f"{server.contestant.name} takes no spans")

        list(pool.map(send, bodies))


def _wait_until_visible(server: Server, spans: int) -> None:
    deadline = time.monotonic() + _VISIBLE_SECONDS
    while (found := server.visible()) < spans:
        if time.monotonic() > deadline:
            raise RuntimeError(
                f"{server.contestant.name} shows {found:,} of {spans:,} spans after "
                f"{_VISIBLE_SECONDS:.0f} s"
            )
        time.sleep(0.25)
