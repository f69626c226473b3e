"""The content policy and the sampling in force."""

from __future__ import annotations

from collections.abc import Iterator

from midwatch.doctor.report import Finding, Patient, Status
from midwatch.instrumentors.loader import installed_version

_MEANING = {
    "off": "prompts, answers, arguments and comments stay in the process",
    "redacted": "content leaves the process with personal data and secrets redacted",
    "full": "content leaves the process as it is",
}


def check_content(patient: Patient) -> Iterator[Finding]:
    """What of prompts and answers leaves the process."""
    settings = patient.settings
    patterns = len(settings.redact_patterns)
    more = f", {patterns} patterns of your own" if patterns else ""
    data = {"mode": settings.content, "patterns": patterns, "engine": settings.redact_engine}
    told = f"{settings.content}: {_MEANING[settings.content]}{more}"
    status: Status = "note" if settings.content == "full" else "ok"
    yield Finding("content", "policy", status, told, data=data)
    if settings.redact_engine == "presidio" and not installed_version("presidio-analyzer"):
        yield Finding(
            "content",
            "redaction engine",
            "problem",
            "MIDWATCH_REDACT_ENGINE is presidio, which is not installed",
            "install presidio-analyzer, or unset MIDWATCH_REDACT_ENGINE",
        )


def check_sampling(patient: Patient) -> Iterator[Finding]:
    """Which part of the turns is traced."""
    settings = patient.settings
    data: dict[str, object] = {
        "ratio": settings.sample_ratio,
        "adaptive": settings.adaptive_sampling,
        "sampler": patient.environ.get("OTEL_TRACES_SAMPLER", "").strip() or None,
    }
    if data["sampler"]:
        told = f"OTEL_TRACES_SAMPLER={data['sampler']} decides, not MIDWATCH_SAMPLE_RATIO"
        yield Finding("sampling", "ratio", "note", told, data=data)
        return
    adaptive = (
        f", less while tracing costs more than {settings.max_latency_ms:g} ms or "
        f"{settings.max_overhead_percent:g} % of a turn"
        if settings.adaptive_sampling
        else ""
    )
    told = f"{settings.sample_ratio:.0%} of turns are traced{adaptive}"
    if settings.sample_ratio == 0:
        yield Finding("sampling", "ratio", "note", f"{told}: no turn can be looked at", data=data)
    else:
        yield Finding("sampling", "ratio", "ok", told, data=data)
