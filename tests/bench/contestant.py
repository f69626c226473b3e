"""One contestant in a process of its own: `python contestant.py NAME`, then orders on its input.

An order is a JSON object in a line: `{"runs": 20, "bytes": 2048, "async": false}`. The answer is
`{"cpu_ms": ..., "spans": ...}`: the CPU time of the whole process for one run, with everything
that was recorded handed to exporters which take it and do nothing, and how many spans they took.
With `"latency": true` the answer is `{"ms": [...]}`, the time of each run; with `"memory": true` it
is `{"blocks": ..., "rss_mb": ...}`, what is allocated after the runs. Content is `off`, `redacted`
or `full`, as far as the contestant knows the difference. Where `BENCH_EXPORTS` is set telemetry
goes where the `OTEL_*` variables say; nothing can be written to files with `BENCH_FULL_DISK`.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import resource
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, process_time, sleep
from typing import Any

Flush = Callable[[], object]
WARM_UP = 40
PAUSE_SECONDS = 0.002


@dataclass
class Taken:
    """What the exporters took."""

    spans: int = 0


@dataclass
class Instrumented:
    """A contestant that is on: what it wants in a run's configuration, and how it is emptied."""

    flush: Flush = lambda: None
    config: dict[str, Any] = field(default_factory=dict)


def span_exporter(taken: Taken) -> Any:
    """An exporter that counts spans."""
    export = importlib.import_module("opentelemetry.sdk.trace.export")

    class Exporter(export.SpanExporter):  # type: ignore[name-defined]
        def export(self, spans: Sequence[Any]) -> Any:
            taken.spans += len(spans)
            return export.SpanExportResult.SUCCESS

    return Exporter()


def providers(taken: Taken) -> tuple[Any, Any]:
    """A tracer provider and a meter provider of the SDK, in its usual set-up."""
    trace = importlib.import_module("opentelemetry.sdk.trace")
    export = importlib.import_module("opentelemetry.sdk.trace.export")
    metrics = importlib.import_module("opentelemetry.sdk.metrics")
    readers = importlib.import_module("opentelemetry.sdk.metrics.export")
    tracers = trace.TracerProvider()
    tracers.add_span_processor(export.BatchSpanProcessor(span_exporter(taken)))
    return tracers, metrics.MeterProvider([readers.InMemoryMetricReader()])


def _exporting_providers() -> tuple[Any, Any]:
    """The same with the exporters of the SDK's own packages."""
    trace = importlib.import_module("opentelemetry.sdk.trace")
    export = importlib.import_module("opentelemetry.sdk.trace.export")
    metrics = importlib.import_module("opentelemetry.sdk.metrics")
    readers = importlib.import_module("opentelemetry.sdk.metrics.export")
    spans = importlib.import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    values = importlib.import_module("opentelemetry.exporter.otlp.proto.http.metric_exporter")
    tracers = trace.TracerProvider()
    tracers.add_span_processor(export.BatchSpanProcessor(spans.OTLPSpanExporter()))
    reader = readers.PeriodicExportingMetricReader(values.OTLPMetricExporter())
    return tracers, metrics.MeterProvider([reader])


def bare(taken: Taken, content: str) -> Instrumented:
    """Nothing."""
    return Instrumented()


def midwatch(taken: Taken, content: str) -> Instrumented:
    """The shim as `midwatch.init()` sets it up."""
    os.environ.update({"MIDWATCH_CONTENT": content, "OTEL_SERVICE_NAME": "bench"})
    shim = importlib.import_module("midwatch")
    if os.environ.get("BENCH_EXPORTS"):
        if not shim.init():
            raise RuntimeError("the shim did not start")
        return Instrumented()
    os.environ["MIDWATCH_BUFFER_SIZE"] = "2048"
    setup = importlib.import_module("midwatch.pipeline.setup")
    logs = importlib.import_module("opentelemetry.sdk._logs.export")
    metrics = importlib.import_module("opentelemetry.sdk.metrics.export")

    class Logs(logs.LogRecordExporter):  # type: ignore[name-defined]
        def export(self, batch: Sequence[Any]) -> Any:
            return logs.LogRecordExportResult.SUCCESS

        def shutdown(self) -> None:
            """Nothing is held."""

        def force_flush(self, timeout_millis: int = 30_000) -> bool:
            return True

    class Metrics(metrics.MetricExporter):  # type: ignore[name-defined]
        def export(self, data: Any, timeout_millis: float = 10_000, **kwargs: Any) -> Any:
            return metrics.MetricExportResult.SUCCESS

        def force_flush(self, timeout_millis: float = 10_000) -> bool:
            return True

        def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
            """Nothing is held."""

    exporters = setup.Exporters(spans=(span_exporter(taken),), metrics=(Metrics(),), logs=(Logs(),))
    if not shim.init(exporters=exporters):
        raise RuntimeError("the shim did not start")
    trace = importlib.import_module("opentelemetry.trace")
    loggers = importlib.import_module("opentelemetry._logs")

    def flush() -> None:
        trace.get_tracer_provider().force_flush()
        loggers.get_logger_provider().force_flush()

    return Instrumented(flush)


def opentelemetry(taken: Taken, content: str) -> Instrumented:
    """The official GenAI instrumentation."""
    capture = {"off": "no_content"}.get(content, "span_only")
    os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = capture
    os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "gen_ai_latest_experimental"
    tracers, meters = providers(taken)
    if os.environ.get("BENCH_EXPORTS"):
        tracers, meters = _exporting_providers()
    module = importlib.import_module("opentelemetry.instrumentation.genai.langchain")
    module.LangChainInstrumentor().instrument(tracer_provider=tracers, meter_provider=meters)
    return Instrumented(tracers.force_flush)


def traceloop(taken: Taken, content: str) -> Instrumented:
    """OpenLLMetry."""
    os.environ["TRACELOOP_TRACE_CONTENT"] = "false" if content == "off" else "true"
    tracers, meters = providers(taken)
    module = importlib.import_module("opentelemetry.instrumentation.langchain")
    module.LangchainInstrumentor().instrument(tracer_provider=tracers, meter_provider=meters)
    return Instrumented(tracers.force_flush)


def openinference(taken: Taken, content: str) -> Instrumented:
    """OpenInference."""
    hidden = str(content == "off").lower()
    os.environ.update({"OPENINFERENCE_HIDE_INPUTS": hidden, "OPENINFERENCE_HIDE_OUTPUTS": hidden})
    tracers, _ = providers(taken)
    module = importlib.import_module("openinference.instrumentation.langchain")
    module.LangChainInstrumentor().instrument(tracer_provider=tracers)
    return Instrumented(tracers.force_flush)


def langfuse(taken: Taken, content: str) -> Instrumented:
    """Langfuse."""
    client = importlib.import_module("langfuse").Langfuse(
        public_key="pk-bench",
        secret_key="sk-bench",
        base_url="http://127.0.0.1:9",
        span_exporter=span_exporter(taken),
        mask=(lambda *, data, **_: None) if content == "off" else None,
    )
    handler = importlib.import_module("langfuse.langchain").CallbackHandler()
    return Instrumented(client.flush, {"callbacks": [handler]})


def logfire(taken: Taken, content: str) -> Instrumented:
    """Logfire, which has LangChain's runs over LangSmith."""
    os.environ.update({"LANGSMITH_OTEL_ENABLED": "true", "LANGSMITH_OTEL_ONLY": "true"})
    os.environ.update({"LANGSMITH_TRACING": "true", "LANGSMITH_API_KEY": "bench"})
    hidden = str(content == "off").lower()
    os.environ.update({"LANGSMITH_HIDE_INPUTS": hidden, "LANGSMITH_HIDE_OUTPUTS": hidden})
    module = importlib.import_module("logfire")
    export = importlib.import_module("opentelemetry.sdk.trace.export")
    module.configure(
        send_to_logfire=False,
        console=False,
        additional_span_processors=[export.BatchSpanProcessor(span_exporter(taken))],
    )
    tracers = importlib.import_module("langchain_core.tracers.langchain")

    def flush() -> None:
        tracers.wait_for_all_tracers()
        module.force_flush()

    return Instrumented(flush)


def agento11y(taken: Taken, content: str) -> Instrumented:
    """Grafana's agento11y, with its own exporter of generations off."""
    module = importlib.import_module("agento11y")
    tracers, meters = providers(taken)
    modes = module.ContentCaptureMode
    client = module.Client(
        module.ClientConfig(
            generation_export=module.GenerationExportConfig(protocol="none"),
            content_capture=modes.METADATA_ONLY if content == "off" else modes.FULL,
            tracer_provider=tracers,
            meter_provider=meters,
        )
    )
    langgraph = importlib.import_module("agento11y_langgraph")
    handlers = {
        False: langgraph.create_agento11y_langgraph_handler(client=client),
        True: langgraph.create_agento11y_langgraph_handler(client=client, async_handler=True),
    }
    return Instrumented(tracers.force_flush, {"handlers": handlers})


CONTESTANTS: dict[str, Callable[[Taken, str], Instrumented]] = {
    one.__name__: one
    for one in (
        bare,
        midwatch,
        opentelemetry,
        traceloop,
        openinference,
        langfuse,
        logfire,
        agento11y,
    )
}


class Obedient:
    """Carries orders out.

    Args:
        instrumented: the contestant.
        taken: what its exporters took.
    """

    def __init__(self, instrumented: Instrumented, taken: Taken) -> None:
        work = importlib.import_module("workload")
        self._instrumented = instrumented
        self._taken = taken
        self._workloads = {flag: work.Workload(is_async=flag) for flag in (False, True)}
        self._history = work.history
        self._histories: dict[int, Any] = {}
        self._warm: set[tuple[int, bool]] = set()

    def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        """The answer to an order."""
        size, is_async, runs = order["bytes"], order.get("async", False), order["runs"]
        if size not in self._histories:
            self._histories[size] = self._history(size)
        if (size, is_async) not in self._warm:
            self._run(size, is_async, WARM_UP)
            self._instrumented.flush()
            self._warm.add((size, is_async))
        if order.get("latency"):
            return {"ms": [self._latency(size, is_async) for _ in range(runs)]}
        if order.get("memory"):
            return self._memory(size, runs, order["sessions"])
        before, began = self._taken.spans, process_time()
        self._run(size, is_async, runs)
        self._instrumented.flush()
        spent = process_time() - began
        return {"cpu_ms": spent / runs * 1000, "spans": (self._taken.spans - before) / runs}

    def _latency(self, size: int, is_async: bool) -> float:
        # A pause as between the turns of a service: threads in the background get their time.
        sleep(PAUSE_SECONDS)
        began = perf_counter()
        self._run(size, is_async, 1)
        return (perf_counter() - began) * 1000

    def _memory(self, size: int, runs: int, sessions: int) -> dict[str, Any]:
        for number in range(runs):
            self._run(size, False, 1, {"metadata": {"session_id": f"session-{number % sessions}"}})
            if number % 100 == 99:
                self._instrumented.flush()
        self._instrumented.flush()
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        megabytes = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
        return {"blocks": sys.getallocatedblocks(), "rss_mb": megabytes}

    def _run(
        self, size: int, is_async: bool, runs: int, more: dict[str, Any] | None = None
    ) -> None:
        config = {**self._instrumented.config, **(more or {})}
        handlers = config.pop("handlers", None)
        if handlers:
            config["callbacks"] = [handlers[is_async]]
        self._workloads[is_async].run(self._histories[size], runs, config)


def main(name: str, content: str) -> None:
    """Obey orders until the input ends."""
    if os.environ.get("BENCH_FULL_DISK"):
        # No file grows any more, as on a disk that is full.
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    taken = Taken()
    obedient = Obedient(CONTESTANTS[name](taken, content), taken)
    for line in sys.stdin:
        sys.stdout.write(json.dumps(obedient.obey(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
