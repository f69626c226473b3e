"""A running application, by what it tells of itself on `/metrics`."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

from midwatch.doctor.report import Finding, Patient
from midwatch.registry import Metric
from midwatch.registry.own_metrics import (
    EXPORT_BREAKER_STATE,
    INSTRUMENTED,
    INTERNAL_ERRORS,
    LABEL_OVERFLOW,
    SAMPLING_RATIO,
    SPANS,
    SPOOL_BYTES,
)

_SECTION = "process"
_MAX_BYTES = 16 << 20
_BREAKER = {0: "closed", 1: "half open", 2: "open"}
_SAMPLE = re.compile(r"^(?P<name>[a-zA-Z_:]\w*)(?:\{(?P<labels>.*)\})? (?P<value>[^ ]+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class _Sample:
    name: str
    labels: dict[str, str]
    value: float


def check_process(patient: Patient) -> Iterator[Finding]:
    """What is instrumented in the application, and what became of its telemetry."""
    if not patient.process:
        return
    try:
        samples = _read(patient.process, patient.timeout_seconds)
    except (OSError, ValueError) as error:
        told = f"{patient.process} gives no metrics ({error})"
        remedy = "give the URL of the application's metrics, such as http://localhost:8000/metrics"
        yield Finding(_SECTION, "metrics", "problem", told, remedy)
        return
    instrumented = _of(samples, INSTRUMENTED)
    if not instrumented:
        told = f"{patient.process} knows nothing of Midwatch"
        remedy = "start the application with midwatch-run, or call midwatch.init() in it"
        yield Finding(_SECTION, "metrics", "problem", told, remedy)
        return
    yield from _libraries(instrumented)
    yield from _spans(_of(samples, SPANS))
    yield from _errors(_of(samples, INTERNAL_ERRORS), _of(samples, LABEL_OVERFLOW))
    yield from _gauges(samples)


def _libraries(samples: list[_Sample]) -> Iterator[Finding]:
    library, state = INSTRUMENTED.attribute_names
    by_state: dict[str, list[str]] = {}
    for sample in samples:
        if sample.value:
            by_state.setdefault(sample.labels[state], []).append(sample.labels[library])
    told = "; ".join(f"{state}: {', '.join(names)}" for state, names in sorted(by_state.items()))
    yield Finding(_SECTION, "libraries", "ok", told, data=by_state)
    for wrong, remedy in (
        ("failed", "see the application's log"),
        ("rival", "uninstall the rival, or disable this library"),
    ):
        for name in by_state.get(wrong, ()):
            yield Finding(_SECTION, f"library {name}", "problem", wrong, remedy)


def _spans(samples: list[_Sample]) -> Iterator[Finding]:
    result, reason = SPANS.attribute_names
    counts: dict[str, int] = {}
    lost: dict[str, int] = {}
    for sample in samples:
        key = sample.labels[result]
        counts[key] = counts.get(key, 0) + int(sample.value)
        if key == "dropped" and sample.value:
            lost[sample.labels[reason]] = int(sample.value)
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "none yet"
    yield Finding(_SECTION, "spans", "ok", told, data=counts)
    if lost:
        told = ", ".join(f"{count} by {name}" for name, count in lost.items())
        remedy = "see whether its destinations answer, and MIDWATCH_SPOOL_MODE and its size"
        yield Finding(_SECTION, "lost spans", "problem", told, remedy, lost)


def _errors(errors: list[_Sample], overflows: list[_Sample]) -> Iterator[Finding]:
    (where,) = INTERNAL_ERRORS.attribute_names
    failed = {one.labels[where]: int(one.value) for one in errors if one.value}
    if failed:
        told = ", ".join(f"{name} ({count})" for name, count in failed.items())
        remedy = "see the application's log: each kind is told there once"
        yield Finding(_SECTION, "failures inside Midwatch", "problem", told, remedy, failed)
    full = sorted({".".join(one.labels.values()) for one in overflows if one.value})
    if full:
        yield Finding(_SECTION, "labels at their bound", "note", ", ".join(full))


def _gauges(samples: list[_Sample]) -> Iterator[Finding]:
    for sample in _of(samples, EXPORT_BREAKER_STATE):
        told = _BREAKER.get(int(sample.value), "unknown")
        if sample.value:
            remedy = "see whether its destinations answer"
            yield Finding(_SECTION, "export breaker", "problem", told, remedy)
        else:
            yield Finding(_SECTION, "export breaker", "ok", told)
    for metric, name in ((SPOOL_BYTES, "bytes in the spool"), (SAMPLING_RATIO, "sampling ratio")):
        for sample in _of(samples, metric):
            told = f"{sample.value:g}"
            yield Finding(_SECTION, name, "ok", told, data={"value": sample.value})


def _of(samples: list[_Sample], metric: Metric) -> list[_Sample]:
    """The samples of a metric, whatever prefix the application's namespace gives it."""
    name = metric.prometheus_name
    return [one for one in samples if one.name == name or one.name.endswith(f"_{name}")]


def _read(url: str, timeout_seconds: float) -> list[_Sample]:
    if not url.startswith(("http://", "https://")):
        raise ValueError("no URL")
    with urllib.request.urlopen(url, timeout=timeout_seconds) as answer:  # noqa: S310 (checked)
        text = answer.read(_MAX_BYTES).decode("utf-8", "replace")
    found = map(_SAMPLE.match, text.splitlines())
    return [
        _Sample(one["name"], dict(_LABEL.findall(one["labels"] or "")), float(one["value"]))
        for one in found
        if one is not None
    ]
