"""`init()`: everything that has to happen once in a process."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Mapping, Sequence

from opentelemetry import propagate, trace

from midwatch.config import ConfigFile, Problem, Settings, load_settings
from midwatch.instrumentors.chat import EXCLUDED_URLS
from midwatch.instrumentors.langsmith import leave_langsmith_to_direct_export
from midwatch.instrumentors.loader import installed_version, load_lazily
from midwatch.instrumentors.log_records import add_ids_to_log_records
from midwatch.instrumentors.official_content import govern_official_capture
from midwatch.instrumentors.states import STATES
from midwatch.instruments.recorder import get_recorder
from midwatch.instruments.recording import SCOPE
from midwatch.pipeline.content_logs import govern_own_log_lines
from midwatch.pipeline.event_logs import LogRecordSink
from midwatch.pipeline.events import EventSink, JsonLinesSink
from midwatch.pipeline.failures import FAILURES
from midwatch.pipeline.otlp_settings import DEFAULT_PROTOCOL
from midwatch.pipeline.setup import (
    Exporters,
    Pipeline,
    build_pipeline,
    exporters_from_environment,
    install,
)
from midwatch.pipeline.shutdown import flush_at_end

_logger = logging.getLogger("midwatch")
_lock = threading.Lock()
_started: Pipeline | None = None

_PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"
_PROPAGATORS = "OTEL_PROPAGATORS"

DEFAULTS = {
    "OTEL_TRACES_EXPORTER": "otlp",
    "OTEL_METRICS_EXPORTER": "otlp",
    "OTEL_LOGS_EXPORTER": "otlp",
    _PROTOCOL: DEFAULT_PROTOCOL,
    "OTEL_SEMCONV_STABILITY_OPT_IN": "http",
    "OTEL_PYTHON_EXCLUDED_URLS": EXCLUDED_URLS,
}
"""OpenTelemetry's own variables, where the shim's default is another than OpenTelemetry's."""


def init(*, exporters: Exporters | None = None) -> bool:
    """Set up export and instrumentation for this process; never raises.

    Returns whether telemetry is on after the call. A second call changes nothing. Programs started
    by `midwatch-run` or `opentelemetry-instrument` need no call.

    Args:
        exporters: where telemetry goes, instead of what the `OTEL_*` variables say.
    """
    global _started
    with _lock:
        if _started is not None:
            return True
        _show_own_log_lines()
        settings = load_settings()
        _report_problems(settings.problems)
        if settings.config_file is not None:
            _take_over(settings.config_file)
        if not settings.enabled or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
            _logger.info("midwatch: off, as the environment says")
            return False
        try:
            _started = start(settings, exporters)
        except Exception as error:
            FAILURES.note("init", error)
        return _started is not None


def start(settings: Settings, exporters: Exporters | None = None) -> Pipeline:
    """Set up export, then instrumentation.

    Raises:
        RuntimeError: a variable of OpenTelemetry names something that is not installed.
    """
    set_defaults()
    pipeline = build_pipeline(settings, exporters or _exporters(settings), _resource())
    install(pipeline)
    if trace.get_tracer_provider() is not pipeline.tracer_provider:
        _stand_beside(pipeline)
    govern_own_log_lines(pipeline.content)
    govern_official_capture(pipeline.content)
    sinks: list[EventSink] = [LogRecordSink(pipeline.logger_provider.get_logger(SCOPE))]
    if settings.trace_jsonl_path is not None:
        sinks.append(JsonLinesSink(settings.trace_jsonl_path))
    recorder = get_recorder()
    recorder.enabled = True
    recorder.content = pipeline.content
    recorder.sampling = pipeline.sampling
    recorder.bind(
        pipeline.meter_provider,
        sinks,
        service=str(pipeline.tracer_provider.resource.attributes["service.name"]),
        reader=pipeline.reader,
    )
    STATES.observe_on(pipeline.meter_provider)
    flush_at_end(pipeline)
    add_ids_to_log_records()
    load_lazily()
    _say_what_is_active()
    return pipeline


def _stand_beside(pipeline: Pipeline) -> None:
    """Another one's tracing was set up first, and OpenTelemetry has one for a process.

    Its exporters get spans as they are, so that nothing may be on them that is to be redacted.
    """
    FAILURES.count("tracing")
    content = ""
    if pipeline.content.mode == "redacted":
        pipeline.content.mode = "off"
        content = " Since nobody redacts them there, content is off."
    _logger.warning(
        "midwatch: OpenTelemetry's tracing was set up before Midwatch started: spans go where that "
        "sends them and nowhere else, without Midwatch's redaction, sampling, spool and accounts; "
        "metrics and events are not affected.%s Start with midwatch-run, or call midwatch.init() "
        "first, and name other receivers by the OTEL_* variables",
        content,
    )


def set_defaults() -> None:
    """Set OpenTelemetry's variables that the environment leaves open.

    The protocol is not set for others to see: OpenTelemetry's own exporters know no JSON.
    """
    for name, value in DEFAULTS.items():
        if name != _PROTOCOL:
            os.environ.setdefault(name, value)


def _resource() -> Mapping[str, str]:
    # Without a version where the package was copied rather than installed.
    version = installed_version("midwatch") or "unknown"
    return {"telemetry.distro.name": "midwatch", "telemetry.distro.version": version}


def _exporters(settings: Settings) -> Exporters:
    exporters = exporters_from_environment(settings)
    _report_problems(exporters.destinations.problems)
    if any(destination.name == "langsmith" for destination in exporters.destinations.spans):
        leave_langsmith_to_direct_export()
    return exporters


def _take_over(file: ConfigFile) -> None:
    """Set what the file of declarative configuration says of this process, and say what wins."""
    os.environ.update(file.variables)
    if file.propagators:
        _propagate_by(file.propagators)
    _logger.log(logging.WARNING if file.problem else logging.INFO, "midwatch: %s", file.told())
    if file.unused:
        _logger.warning("midwatch: %s", file.left_out())


def _propagate_by(names: str) -> None:
    """Have traces carried on by these; where one is not installed, as before."""
    before = os.environ.get(_PROPAGATORS)
    os.environ[_PROPAGATORS] = names
    try:
        propagate.set_global_textmap(propagate._load_propagators())
    except Exception as error:
        # No child may find it: OpenTelemetry's API cannot even be imported then.
        os.environ.pop(_PROPAGATORS)
        if before is not None:
            os.environ[_PROPAGATORS] = before
        FAILURES.note("propagators", error)


def _report_problems(problems: Sequence[Problem]) -> None:
    if problems:
        lines = "\n  ".join(str(problem) for problem in problems)
        _logger.warning("midwatch: wrong settings, defaults are used instead:\n  %s", lines)


def _say_what_is_active() -> None:
    by_state: dict[str, list[str]] = {}
    for library, state in STATES.known():
        by_state.setdefault(state, []).append(library)
    described = "; ".join(f"{state}: {', '.join(names)}" for state, names in by_state.items())
    _logger.info("midwatch: on; %s; others when they are imported", described)


class _FallbackHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to stderr as long as the application has not set up logging."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record unless the root logger has a handler."""
        if not logging.getLogger().handlers:
            super().emit(record)


def _show_own_log_lines() -> None:
    if _logger.handlers:
        return
    handler = _FallbackHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    _logger.addHandler(handler)
    if _logger.level == logging.NOTSET:
        _logger.setLevel(logging.INFO)
