"""The chart's collector as a process, with the memory its pod may have, between counting stores."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import psutil

from tests.bench.collector.stores import Counts, HttpPlace, Place
from tests.render.collectors import Collector
from tests.render.rendering import objects

LEDGER = "http://midwatch-ledger.midwatch.svc:8088"
PROMETHEUS = "http://midwatch-prometheus.midwatch.svc:9090"
TEMPO = "http://midwatch-tempo.midwatch.svc:4318"
VENDOR = "http://vendor.example.com:4318"
DESTINATIONS = {"vendor": {"preset": "otlp", "url": VENDOR, "traces": "all", "metrics": False}}
STOP_SECONDS = 60
"""What the pod has to end by itself."""

MIB = 1 << 20
_POINT_SECONDS = 5


class Tier:
    """One pod of a tier of the collector.

    Args:
        folder: where its queues are kept.
        component: `collector` or `sampler`.
    """

    def __init__(self, folder: Path, component: str = "collector") -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self._component = component
        self._collector = Collector(folder, component)
        self.url = self._collector.url
        self.grpc_address = self._collector.grpc_address

    def start(self, values: dict[str, Any], addresses: dict[str, str]) -> None:
        """Start it as its pod would, with the pod's memory limit told to Go and to the limiter."""
        limit, environment = _memory(values, self._component)
        told = {
            # A process on this machine has no limit of its own of which these could be per cents.
            "spike_limit_percentage: 20": f"spike_limit_mib: {limit // 5}",
            "limit_percentage: 80": f"limit_mib: {limit * 4 // 5}",
        }
        self._collector.start(values, addresses | told, environment)

    def stop(self) -> None:
        """End it as its pod would be ended."""
        self._collector.stop(seconds=STOP_SECONDS)

    def process(self) -> psutil.Process:
        """The running program."""
        return psutil.Process(self._collector.process_id)

    def cpu_seconds(self) -> float:
        """CPU that the running program has used."""
        used = self.process().cpu_times()
        return used.user + used.system

    def queue_bytes(self) -> int:
        """What its queues occupy on the disk."""
        files = (self.folder / "queue").iterdir()
        return sum(file.stat().st_blocks * 512 for file in files if file.is_file())

    def memory_mib(self) -> float:
        """What the running program has in memory now."""
        return self.process().memory_info().rss / MIB


class Stores:
    """The ledger, Tempo, Prometheus and a destination, each of which can go and come back."""

    def __init__(self) -> None:
        self.ledger, self.prometheus, self.vendor = HttpPlace(), HttpPlace(), HttpPlace()
        self.tempo = HttpPlace()
        self.addresses = {
            LEDGER: self.ledger.url,
            PROMETHEUS: self.prometheus.url,
            VENDOR: self.vendor.url,
            TEMPO: self.tempo.url,
        }
        self.by_name: dict[str, Place] = {
            "ledger": self.ledger,
            "tempo": self.tempo,
            "prometheus": self.prometheus,
            "destination": self.vendor,
        }

    def come(self) -> None:
        """Let all come."""
        for place in self.by_name.values():
            place.come()

    def end(self) -> None:
        """Let all go for good."""
        for place in self.by_name.values():
            place.end()

    def counts(self, name: str) -> Counts:
        """What one has got."""
        return self.by_name[name].counts


class Watch(threading.Thread):
    """Looks at a tier twice a second: the most memory, the largest queue, and their course."""

    def __init__(self, tier: Tier) -> None:
        super().__init__(daemon=True)
        self._tier = tier
        self._ends = threading.Event()
        self.memory_mib = 0.0
        self.queue_mib = 0.0
        self.points: list[dict[str, float]] = []

    def run(self) -> None:
        """Look until told to stop."""
        begun = time.monotonic()
        while not self._ends.wait(0.5):
            memory, queue = self._tier.memory_mib(), self._tier.queue_bytes() / MIB
            self.memory_mib = max(self.memory_mib, memory)
            self.queue_mib = max(self.queue_mib, queue)
            seconds = time.monotonic() - begun
            if not self.points or seconds - self.points[-1]["seconds"] >= _POINT_SECONDS:
                point = {"seconds": seconds, "memory_mib": memory, "queue_mib": queue}
                self.points.append({name: round(value, 1) for name, value in point.items()})

    def end(self) -> None:
        """Stop looking."""
        self._ends.set()
        self.join()


def _memory(values: dict[str, Any], component: str) -> tuple[int, dict[str, str]]:
    """Return the memory limit of the pod in MiB, and what its environment says of it."""
    (container,) = [
        container
        for item in objects(values)
        if item["kind"] == "StatefulSet" and item["metadata"]["name"] == f"midwatch-{component}"
        for container in item["spec"]["template"]["spec"]["containers"]
    ]
    given = container["resources"]["limits"]["memory"]
    limit = int(given[:-2]) * {"Mi": 1, "Gi": 1024}[given[-2:]]
    named = {one["name"]: one.get("value", "") for one in container["env"]}
    return limit, {"GOMEMLIMIT": named["GOMEMLIMIT"]}
