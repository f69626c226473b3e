"""The service's own series: requests, failures, latency, readiness."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60)


class ServiceMetrics:
    """What the service counts of itself, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.chat_requests = Counter(
            "security_agent_chat_requests", "Chat requests.", registry=self._registry
        )
        self.chat_failures = Counter(
            "security_agent_chat_failures",
            "Chat requests that could not be answered.",
            registry=self._registry,
        )
        self.chat_seconds = Histogram(
            "security_agent_chat_request_latency_seconds",
            "Time to answer a chat request.",
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self.service_ready = Gauge(
            "security_agent_service_ready",
            "Whether the last readiness check passed (1) or not (0).",
            registry=self._registry,
        )

    def render_prometheus(self) -> str:
        """The series in Prometheus' text format."""
        return generate_latest(self._registry).decode("utf-8")
