"""Where telemetry goes by the environment: OTLP receivers, Langfuse and LangSmith.

Exporters of other names (`console`, those of other packages) are left to OpenTelemetry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics.export import MetricsData
from opentelemetry.sdk.trace import ReadableSpan

from midwatch.config import Settings
from midwatch.config.config_file import VARIABLE
from midwatch.config.reading import Problem
from midwatch.pipeline.destination import Destination, Item, Limits
from midwatch.pipeline.direct import direct_destinations
from midwatch.pipeline.otlp_encoders import log_encoder, metric_encoder, span_encoder
from midwatch.pipeline.otlp_settings import OtlpReader, OtlpSettings
from midwatch.pipeline.payloads import Encoder, Signal, Transport

__all__ = ["Destination", "Destinations", "Limits", "destinations_from_environment"]

_OTLP_NAMES = {"otlp": None, "otlp_proto_http": "http/protobuf", "otlp_proto_grpc": "grpc"}


@dataclass(frozen=True)
class Destinations:
    """All receivers, the names of exporters that are OpenTelemetry's to load, and wrong values."""

    spans: tuple[Destination[ReadableSpan], ...] = ()
    logs: tuple[Destination[ReadableLogRecord], ...] = ()
    metrics: tuple[Destination[MetricsData], ...] = ()
    others: Mapping[Signal, tuple[str, ...]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


def destinations_from_environment(settings: Settings, environ: Mapping[str, str]) -> Destinations:
    """Read everything; never raises: wrong values are in `problems`, their defaults in use."""
    problems: dict[str, Problem] = {}
    others: dict[Signal, tuple[str, ...]] = {}

    def otlp(signal: Signal) -> list[OtlpSettings]:
        file = settings.config_file
        given = environ if file is None else file.environ_of(signal, environ)
        wrong: dict[str, Problem] = {}
        found, others[signal] = _otlp_settings(given, signal, wrong)
        for problem in wrong.values():
            said = (
                problem
                if given is environ
                else replace(problem, variable=f"{problem.variable} (by {VARIABLE})")
            )
            problems.setdefault(said.variable, said)
        return found

    return Destinations(
        spans=(
            *(_otlp(span_encoder(each.protocol), each) for each in otlp("traces")),
            *direct_destinations(settings, problems),
        ),
        logs=tuple(_otlp(log_encoder(each.protocol), each) for each in otlp("logs")),
        metrics=tuple(_otlp(metric_encoder(each.protocol), each) for each in otlp("metrics")),
        others=others,
        problems=tuple(problems.values()),
    )


def _otlp_settings(
    environ: Mapping[str, str], signal: Signal, problems: dict[str, Problem]
) -> tuple[list[OtlpSettings], tuple[str, ...]]:
    """The OTLP receivers of a signal, and the exporters of other names."""
    given = environ.get(f"OTEL_{signal.upper()}_EXPORTER", "").strip() or "otlp"
    names = dict.fromkeys(name.strip() for name in given.split(","))
    found: list[OtlpSettings] = []
    for name in names:
        if name in _OTLP_NAMES:
            reader = OtlpReader(environ, signal)
            found.append(reader.settings(_OTLP_NAMES[name]))
            for problem in reader.problems:
                problems.setdefault(problem.variable, problem)
    return found, tuple(n for n in names if n not in _OTLP_NAMES and n not in {"none", ""})


def _otlp(encode: Encoder[Item], settings: OtlpSettings) -> Destination[Item]:
    return Destination(
        name="otlp",
        endpoint=settings.endpoint,
        encode=encode,
        transport=transport_of(settings, "otlp"),
        timeout_seconds=settings.timeout_seconds,
    )


def transport_of(settings: OtlpSettings, destination: str) -> Transport:
    """What sends by the settings' protocol."""
    if settings.protocol == "grpc":
        from midwatch.pipeline.transport_grpc import GrpcTarget, GrpcTransport

        return GrpcTransport(
            GrpcTarget(
                settings.endpoint,
                settings.headers,
                settings.compression,
                settings.insecure,
                settings.tls,
            ),
            destination,
        )
    from midwatch.pipeline.transport_http import HttpTarget, HttpTransport

    return HttpTransport(
        HttpTarget(settings.endpoint, settings.headers, settings.compression, settings.tls),
        destination,
    )
