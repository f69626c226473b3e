"""The parts of OpenTelemetry's declarative configuration that its variables can say as well.

Each reader takes what it understands out of the parsed file; what is left was not understood.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

SIGNALS = ("traces", "metrics", "logs")

_PROVIDERS = {"traces": "tracer_provider", "metrics": "meter_provider", "logs": "logger_provider"}
_BATCHING = {"traces": "OTEL_BSP", "logs": "OTEL_BLRP"}
_OTLP_PROTOCOLS = {"otlp_http": "", "otlp_grpc": "grpc"}
_ENCODINGS = {"protobuf": "http/protobuf", "json": "http/json"}
_OTLP_FIELDS = {"endpoint": "ENDPOINT", "compression": "COMPRESSION"}
_TLS_FIELDS = {
    "ca_file": "CERTIFICATE",
    "cert_file": "CLIENT_CERTIFICATE",
    "key_file": "CLIENT_KEY",
    "insecure": "INSECURE",
}
_BATCH_FIELDS = {
    "schedule_delay": "SCHEDULE_DELAY",
    "max_queue_size": "MAX_QUEUE_SIZE",
    "max_export_batch_size": "MAX_EXPORT_BATCH_SIZE",
}
_METRIC_FIELDS = {
    "temporality_preference": "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
    "default_histogram_aggregation": "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
}
_PULLED = ("prometheus/development", "prometheus")
_PROMETHEUS_FIELDS = {
    "host": "OTEL_EXPORTER_PROMETHEUS_HOST",
    "port": "OTEL_EXPORTER_PROMETHEUS_PORT",
}
_LIMITS = {
    "attribute_value_length_limit": "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "attribute_count_limit": "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "event_count_limit": "OTEL_SPAN_EVENT_COUNT_LIMIT",
    "link_count_limit": "OTEL_SPAN_LINK_COUNT_LIMIT",
    "event_attribute_count_limit": "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
    "link_attribute_count_limit": "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
}
_GENERAL_LIMITS = {
    "attribute_value_length_limit": "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "attribute_count_limit": "OTEL_ATTRIBUTE_COUNT_LIMIT",
}
_DETECTORS = {"host": "host", "os": "os", "process": "process", "service": "service_instance"}
"""The detectors of the SDK's own, by their names in the file."""
_SAMPLERS = ("always_on", "always_off", "trace_id_ratio_based")
_DEFAULT_PROPAGATORS = {"tracecontext", "baggage"}


@dataclass
class Translation:
    """What was understood: variables of the process and of each signal's exporters, propagators."""

    variables: dict[str, str] = field(default_factory=dict)
    exporters: dict[str, dict[str, str]] = field(default_factory=dict)
    propagators: str = ""


def translated(file: dict[str, Any], environ: Mapping[str, str]) -> Translation:
    """Take out of the file what variables can say."""
    into = Translation()
    if _text(file.pop("disabled", None)).lower() == "true":
        into.variables["OTEL_SDK_DISABLED"] = "true"
    if _text(file.get("log_level")).lower() == "info":
        del file["log_level"]  # as it is anyway
    _resource(_mapping(file, "resource"), environ, into)
    _detectors(_mapping(_mapping(file, "resource"), "detection/development"), into)
    _take(_mapping(file, "attribute_limits"), _GENERAL_LIMITS, into.variables)
    for signal in SIGNALS:
        provider = _mapping(file, _PROVIDERS[signal])
        ways_out = provider.get("readers" if signal == "metrics" else "processors")
        for way_out in ways_out if isinstance(ways_out, list) else []:
            _way_out(way_out, signal, into)
    metering = _mapping(file, _PROVIDERS["metrics"])
    _take(metering, {"exemplar_filter": "OTEL_METRICS_EXEMPLAR_FILTER"}, into.variables)
    tracing = _mapping(file, _PROVIDERS["traces"])
    _take(_mapping(tracing, "limits"), _LIMITS, into.variables)
    _sampler(tracing, into)
    _propagators(_mapping(file, "propagator"), into)
    return into


def _resource(part: dict[str, Any], environ: Mapping[str, str], into: Translation) -> None:
    """The file's attributes before those of the environment, which stay beside them.

    There OpenTelemetry would drop them; but a cluster tells by them whose telemetry this is.
    """
    attributes = _pairs(environ.get("OTEL_RESOURCE_ATTRIBUTES", ""))
    said = _pairs(_text(part.pop("attributes_list", None)))
    for one in _listed(part, "attributes"):
        if isinstance(one.get("value"), str | int | float):
            said[_text(one.get("name"))] = _text(one.get("value"))
            one.clear()
    if not said:
        return
    if "service.name" in said:
        into.variables["OTEL_SERVICE_NAME"] = said["service.name"]
    both = {**attributes, **said}
    into.variables["OTEL_RESOURCE_ATTRIBUTES"] = ",".join(
        f"{name}={quote(value)}" for name, value in both.items()
    )


def _detectors(part: dict[str, Any], into: Translation) -> None:
    """What looks for attributes of the resource; which of its findings count no variable says."""
    names: list[str] = []
    for one in _listed(part, "detectors"):
        for name in [name for name in one if name in _DETECTORS and not one[name]]:
            del one[name]
            names.append(_DETECTORS[name])
    if names:
        into.variables["OTEL_EXPERIMENTAL_RESOURCE_DETECTORS"] = ",".join(names)


def _way_out(way_out: Any, signal: str, into: Translation) -> None:
    """A processor or reader with the exporter at its end."""
    if not isinstance(way_out, dict):
        return
    for kind in ("batch", "simple", "periodic", "pull"):
        processor = _mapping(way_out, kind)
        exporter = _mapping(processor, "exporter")
        if not exporter or not _exporter(exporter, signal, into):
            continue
        if kind == "batch":
            fields = {name: f"{_BATCHING[signal]}_{end}" for name, end in _BATCH_FIELDS.items()}
            _take(processor, fields, into.variables)
        _take(processor, {"interval": "OTEL_METRIC_EXPORT_INTERVAL"}, into.variables)


def _exporter(exporter: dict[str, Any], signal: str, into: Translation) -> bool:
    """Whether the exporter is one that the variables can name beside those before it."""
    (name, config), *_ = exporter.items()
    chosen = f"OTEL_{signal.upper()}_EXPORTER"
    variables = into.exporters.get(signal, {})
    names = [each for each in variables.get(chosen, "").split(",") if each]
    config = {} if config is None else config
    if not isinstance(config, dict):
        return False
    if name in _OTLP_PROTOCOLS and "otlp" not in names:
        _otlp(config, signal, _OTLP_PROTOCOLS[name], variables)
        if _text(config.get("temporality_preference")) == "low_memory":
            config["temporality_preference"] = "lowmemory"
        _take(config, _METRIC_FIELDS, into.variables)
        named = "otlp"
    elif name in _PULLED and "prometheus" not in names:
        _take(config, _PROMETHEUS_FIELDS, into.variables)
        named = "prometheus"
    elif not config and name.isidentifier() and name not in (*_OTLP_PROTOCOLS, *names):
        named = name
    else:
        return False
    if not config:
        del exporter[name]
    variables[chosen] = ",".join([*names, named])
    into.exporters[signal] = variables
    return True


def _otlp(config: dict[str, Any], signal: str, protocol: str, variables: dict[str, str]) -> None:
    prefix = f"OTEL_EXPORTER_OTLP_{signal.upper()}_"
    _take(config, {name: prefix + end for name, end in _OTLP_FIELDS.items()}, variables)
    _take(_mapping(config, "tls"), {k: prefix + end for k, end in _TLS_FIELDS.items()}, variables)
    encoding = _text(config.get("encoding"))
    if encoding in _ENCODINGS:
        del config["encoding"]
    protocol = protocol or _ENCODINGS.get(encoding, "")
    if protocol:
        variables[f"{prefix}PROTOCOL"] = protocol
    timeout = config.get("timeout")
    if _text(timeout).isdigit() and int(_text(timeout)):
        # The file has milliseconds; the variable is read in seconds below a thousand.
        variables[f"{prefix}TIMEOUT"] = str(int(_text(config.pop("timeout"))) / 1000)
    headers = _pairs(_text(config.pop("headers_list", None)))
    for one in _listed(config, "headers"):
        headers[_text(one.pop("name", None))] = _text(one.pop("value", None))
    if headers:
        pairs = (f"{quote(name)}={quote(value)}" for name, value in headers.items() if name)
        variables[f"{prefix}HEADERS"] = ",".join(pairs)


def _sampler(part: dict[str, Any], into: Translation) -> None:
    sampler = _mapping(part, "sampler")
    parent_based = "parent_based" in sampler
    owner = _mapping(_mapping(sampler, "parent_based"), "root") if parent_based else sampler
    name = next(iter(owner), "")
    if name not in _SAMPLERS:
        return
    plain = name.replace("trace_id_ratio_based", "traceidratio")
    into.variables["OTEL_TRACES_SAMPLER"] = f"parentbased_{plain}" if parent_based else plain
    into.variables["OTEL_TRACES_SAMPLER_ARG"] = "1.0"
    _take(_mapping(owner, name), {"ratio": "OTEL_TRACES_SAMPLER_ARG"}, into.variables)
    del owner[name]


def _propagators(part: dict[str, Any], into: Translation) -> None:
    listed = [name.strip() for name in _text(part.get("composite_list")).split(",") if name.strip()]
    names = dict.fromkeys([*(name for one in _listed(part, "composite") for name in one), *listed])
    if names:
        part.clear()
    if not names.keys() <= _DEFAULT_PROPAGATORS or len(names) == 1:
        into.propagators = ",".join(names)


def _take(part: Any, variables: Mapping[str, str], into: dict[str, str]) -> None:
    """Take the fields that have a variable."""
    if not isinstance(part, dict):
        return
    for name, variable in variables.items():
        value = part.get(name)
        if isinstance(value, str | int | float):
            into[variable] = _text(part.pop(name))


def _mapping(part: Any, key: str) -> dict[str, Any]:
    found = part.get(key) if isinstance(part, dict) else None
    return found if isinstance(found, dict) else {}


def _listed(part: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """The mappings of a list."""
    found = part.get(key)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _pairs(text: str) -> dict[str, str]:
    """Pairs as in `OTEL_RESOURCE_ATTRIBUTES`."""
    pairs = (pair.partition("=") for pair in text.split(","))
    return {name.strip(): unquote(value.strip()) for name, equals, value in pairs if equals}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value).strip()
