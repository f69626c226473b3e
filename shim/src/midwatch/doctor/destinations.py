"""Whether telemetry reaches where it goes: a real, empty request of each signal."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

from midwatch.doctor.report import Finding, Patient
from midwatch.pipeline.destinations import Destination, destinations_from_environment
from midwatch.pipeline.payloads import Misconfigured, Outcome, Refused, Sent, Unavailable
from midwatch.prompts.ledger import LedgerClient
from midwatch.startup import DEFAULTS

_SECTION = "destinations"
_LANGFUSE = "see LANGFUSE_PUBLIC_KEY, LANGFUSE_SECRET_KEY and LANGFUSE_HOST"
_LANGSMITH = "see LANGSMITH_API_KEY and LANGSMITH_ENDPOINT"


@dataclass(frozen=True)
class _Probe:
    signal: str
    destination: Destination[Any]


def check_destinations(patient: Patient) -> Iterator[Finding]:
    """Each receiver of each signal with its answer, and the ledger if it is asked for prompts."""
    settings = patient.settings
    if not settings.enabled:
        return
    given = {name: value for name, value in patient.environ.items() if value.strip()}
    found = destinations_from_environment(settings, {**DEFAULTS, **given})
    for problem in found.problems:
        yield Finding(
            _SECTION,
            problem.variable,
            "problem",
            f"{problem.variable}={problem.given!r} is not allowed",
            f"set it to {problem.allowed}, or unset it (in use now: {problem.used})",
        )
    probes = [
        _Probe(signal, destination)
        for signal, group in (
            ("traces", found.spans),
            ("logs", found.logs),
            ("metrics", found.metrics),
        )
        for destination in group
    ]
    for signal, names in found.others.items():
        if names:
            told = f"{signal} also go to the exporter {', '.join(names)}, which is not tried"
            yield Finding(_SECTION, f"{signal} exporters", "note", told)
    if not probes and not any(found.others.values()):
        yield Finding(_SECTION, "none", "note", "nothing is exported, as OTEL_*_EXPORTER say")
    if patient.offline:
        yield from map(_untried, probes)
        return
    if probes:
        with ThreadPoolExecutor(len(probes)) as pool:
            yield from pool.map(lambda probe: _try(probe, patient.timeout_seconds), probes)
    yield from _ledger(patient)


def _name(probe: _Probe) -> str:
    return f"{probe.signal} to {probe.destination.name}"


def _untried(probe: _Probe) -> Finding:
    told = f"{probe.destination.endpoint}, not tried"
    return Finding(_SECTION, _name(probe), "ok", told, data=_data(probe, "untried", None))


def _try(probe: _Probe, timeout_seconds: float) -> Finding:
    """Send nothing, which receivers take with the same authentication as something."""
    destination = probe.destination
    started = perf_counter()
    try:
        payload = destination.encode([])
        outcome: Outcome = destination.transport.send(payload, timeout_seconds)
    except ImportError as error:
        outcome = Unavailable(f"{type(error).__name__}: {error}")
    finally:
        destination.transport.close()
    seconds = perf_counter() - started
    if isinstance(outcome, Sent):
        told = f"{destination.endpoint} answered in {seconds * 1000:.0f} ms"
        data = _data(probe, "sent", seconds)
        return Finding(_SECTION, _name(probe), "ok", told, data=data)
    kind = "refused" if isinstance(outcome, Refused | Misconfigured) else "unavailable"
    return Finding(
        _SECTION,
        _name(probe),
        "problem",
        f"{destination.endpoint} {_HOW[kind]}: {outcome.reason}",
        remedy(destination.name, destination.endpoint, outcome.reason),
        _data(probe, kind, seconds),
    )


_HOW = {"refused": "refuses", "unavailable": "cannot be reached"}


def _data(probe: _Probe, outcome: str, seconds: float | None) -> dict[str, object]:
    return {
        "signal": probe.signal,
        "destination": probe.destination.name,
        "endpoint": probe.destination.endpoint,
        "outcome": outcome,
        "latency_ms": None if seconds is None else round(seconds * 1000, 1),
    }


def remedy(destination: str, endpoint: str, reason: str) -> str:
    """What to do when a receiver does not take telemetry."""
    low = reason.lower()
    if "no module named" in low or "not installed" in low:
        return "install midwatch[grpc] or midwatch[protobuf], or use http/json, which needs neither"
    keys = {"langfuse": _LANGFUSE, "langsmith": _LANGSMITH}.get(destination)
    if any(mark in low for mark in ("401", "403", "unauthenticated", "permission")):
        return f"give the right key: {keys or 'see OTEL_EXPORTER_OTLP_HEADERS'}"
    if "certificate" in low or "ssl" in low or "tls" in low:
        return "trust its certificate with OTEL_EXPORTER_OTLP_CERTIFICATE, or see http or https"
    port = urlsplit(endpoint if "://" in endpoint else f"//{endpoint}").port
    if "://" in endpoint and port == 4317:
        return "4317 is usually the port of gRPC: use 4318, or OTEL_EXPORTER_OTLP_PROTOCOL=grpc"
    if "://" not in endpoint and port == 4318:
        return "4318 is usually the port of HTTP: use 4317, or another OTEL_EXPORTER_OTLP_PROTOCOL"
    if "404" in low or "405" in low or "unimplemented" in low:
        return (
            keys or "it is no OTLP receiver: see the path and port of OTEL_EXPORTER_OTLP_ENDPOINT"
        )
    if any(mark in low for mark in ("429", "502", "503", "504", "exhausted")):
        return "it is up but takes nothing now; what is recorded meanwhile waits in the spool"
    return keys or "start it, or set OTEL_EXPORTER_OTLP_ENDPOINT to where it is"


def _ledger(patient: Patient) -> Iterator[Finding]:
    settings = patient.settings
    if not settings.ledger_url:
        return
    started = perf_counter()
    try:
        LedgerClient(settings.ledger_url, settings.ledger_api_key).fetch("midwatch-doctor")
    except (OSError, ValueError) as error:
        yield Finding(
            _SECTION,
            "prompts from the ledger",
            "problem",
            f"{settings.ledger_url} gives no prompts: {error}",
            "see MIDWATCH_LEDGER_URL and MIDWATCH_LEDGER_API_KEY; until then prompts come from "
            "the cache and the files",
            {"endpoint": settings.ledger_url, "outcome": "unavailable"},
        )
    else:
        seconds = perf_counter() - started
        told = f"{settings.ledger_url} answered in {seconds * 1000:.0f} ms"
        data = {"endpoint": settings.ledger_url, "outcome": "sent"}
        yield Finding(_SECTION, "prompts from the ledger", "ok", told, data=data)
