"""Leaves the application alone, and says so: one line on stderr, and a metric while it runs."""

from __future__ import annotations

import sys
import threading

from .variables import completed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

INTERVAL_SECONDS = 60.0
_TIMEOUT_SECONDS = 5.0
_OFF = {"AGENT_OBSERVABILITY_ENABLED": "false", "OTEL_SDK_DISABLED": "true"}


def stand_down(problems: Sequence[str], environ: Mapping[str, str]) -> None:
    """Say why Midwatch does not start; never raises.

    The metric is `midwatch.instrumented` of the library `midwatch` in the state `failed`, which the
    same rule pages for as for any other library. It is sent as often as a collector forgets it.
    """
    settings = completed(environ)
    if any(settings.get(name, "").lower() == value for name, value in _OFF.items()):
        return
    line = "; ".join(problems)
    sys.stderr.write(f"midwatch: stands down, the application runs without it: {line}\n")
    url = _url(settings)
    if not url:
        return
    # Imported here: a process that forks while a thread imports would leave its child locked.
    import contextlib
    import json
    import time
    import urllib.request

    headers = {"Content-Type": "application/json", **_headers(settings)}
    name = settings.get("OTEL_SERVICE_NAME") or _named(settings) or "unknown_service:python"

    def send() -> None:
        while True:
            body = json.dumps(_metric(name, time.time_ns())).encode()
            request = urllib.request.Request(url, body, headers)  # noqa: S310 (checked above)
            # The collector may come yet.
            with contextlib.suppress(OSError, ValueError):
                urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS).close()  # noqa: S310
            time.sleep(INTERVAL_SECONDS)

    threading.Thread(target=send, name="midwatch-stands-down", daemon=True).start()


def _url(settings: Mapping[str, str]) -> str:
    if "none" in settings.get("OTEL_METRICS_EXPORTER", "otlp"):
        return ""
    url = settings.get("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "")
    base = settings.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")
    if not url and base:
        url = base.rstrip("/") + "/v1/metrics"
    protocol = settings.get("OTEL_EXPORTER_OTLP_PROTOCOL", "")
    return url if url.startswith(("http://", "https://")) and protocol != "grpc" else ""


def _headers(settings: Mapping[str, str]) -> dict[str, str]:
    pairs = (
        pair.partition("=") for pair in settings.get("OTEL_EXPORTER_OTLP_HEADERS", "").split(",")
    )
    return {name.strip(): value.strip() for name, _, value in pairs if name.strip()}


def _named(settings: Mapping[str, str]) -> str:
    pairs = (
        pair.partition("=") for pair in settings.get("OTEL_RESOURCE_ATTRIBUTES", "").split(",")
    )
    return next((value.strip() for name, _, value in pairs if name.strip() == "service.name"), "")


def _metric(service: str, now: int) -> dict[str, object]:
    def attributes(**values: str) -> list[dict[str, object]]:
        return [
            {"key": key.replace("__", "."), "value": {"stringValue": value}}
            for key, value in values.items()
        ]

    point = {
        "asInt": "1",
        "timeUnixNano": str(now),
        "attributes": attributes(library="midwatch", state="failed"),
    }
    metric = {
        "name": "midwatch.instrumented",
        "gauge": {"dataPoints": [point]},
    }
    scopes = [{"scope": {"name": "midwatch.injection"}, "metrics": [metric]}]
    resource = {"attributes": attributes(service__name=service)}
    return {"resourceMetrics": [{"resource": resource, "scopeMetrics": scopes}]}
