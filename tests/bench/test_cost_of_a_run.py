"""What a run of the benchmark's graph makes the shim do: counted, since time tells of the machine.

The bounds are a tenth above what was counted; who exceeds one has made each turn of each agent
slower, and either finds a cheaper way or says here why it is worth it.
"""

from __future__ import annotations

import gc
import importlib.util
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import midwatch
import opentelemetry.sdk
import pytest
from midwatch.config import load_settings
from midwatch.instrumentors.langchain import LangChainInstrumentor
from midwatch.instruments.model_calls import ModelCalls
from midwatch.instruments.prices import PriceTable
from midwatch.instruments.recorder import Recorder
from midwatch.pipeline.event_logs import LogRecordSink
from midwatch.pipeline.setup import Exporters, Pipeline, build_pipeline
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

SHIM = str(Path(str(midwatch.__file__)).parent)
SDK = str(Path(str(opentelemetry.sdk.__path__[0])).parent)

SPANS, EVENTS = 8, 7
MOST_CALLS = 1_260
MOST_CONTAINERS = 43
MOST_COPIES_OF_THE_HISTORY = 0


def workload() -> Any:
    path = Path(__file__).with_name("workload.py")
    spec = importlib.util.spec_from_file_location("bench_workload", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_workload"] = module
    spec.loader.exec_module(module)
    return module


class Measured:
    """The shim with its real pipeline, and a graph."""

    def __init__(self, pipeline: Pipeline, exporters: Exporters, work: Any) -> None:
        self._pipeline = pipeline
        (self.spans,), (self.logs,) = exporters.spans, exporters.logs
        self._graph = work.Workload(is_async=False)
        self._history = work.history

    def flush(self) -> None:
        assert self._pipeline.tracer_provider.force_flush(5_000)
        assert self._pipeline.logger_provider.force_flush(5_000)

    def run(self, times: int = 1, size: int = 2048) -> None:
        self._graph.run(self._history(size), times, {})


@pytest.fixture(scope="module")
def measured() -> Iterator[Measured]:
    settings = load_settings({"MIDWATCH_FLUSH_INTERVAL": "3600"})
    exporters = Exporters(spans=(InMemorySpanExporter(),), logs=(InMemoryLogRecordExporter(),))
    pipeline = build_pipeline(settings, exporters)
    recorder = Recorder(
        pipeline.meter_provider, [LogRecordSink(pipeline.logger_provider.get_logger("midwatch"))]
    )
    instrumentor = LangChainInstrumentor()
    instrumentor.instrument(
        skip_dep_check=True,
        tracer_provider=pipeline.tracer_provider,
        recorder=recorder,
        calls=ModelCalls(recorder, PriceTable()),
    )
    one = Measured(pipeline, exporters, workload())
    one.run(5)
    yield one
    instrumentor.uninstrument()
    pipeline.tracer_provider.shutdown()
    pipeline.logger_provider.shutdown()
    pipeline.meter_provider.shutdown()


def calls_in(work: Callable[[], None], folders: Sequence[str]) -> Counter[str]:
    """How often each Python function below the folders is called, by file and name."""
    found: Counter[str] = Counter()

    def note(frame: FrameType, event: str, _: object) -> None:
        file = frame.f_code.co_filename
        if event == "call" and file.startswith(tuple(folders)):
            found[f"{file}:{frame.f_code.co_name}"] += 1

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return found


def test_a_run_makes_no_more_calls_than_it_did(measured):
    found = calls_in(measured.run, [SHIM, SDK])
    most = "\n".join(f"{count:5} {name}" for name, count in found.most_common(12))
    assert found.total() <= MOST_CALLS, f"{found.total()} calls, most of\n{most}"


def test_a_run_touches_no_instrument_of_the_sdk(measured):
    found = calls_in(measured.run, [f"{SDK}/sdk/metrics"])
    assert found == Counter()


def test_a_run_makes_no_log_records_before_they_are_exported(measured):
    found = calls_in(measured.run, [f"{SDK}/_logs", f"{SDK}/sdk/_logs", f"{SDK}/attributes"])
    assert not [name for name in found if name.endswith("__init__")]


def test_a_run_leaves_few_objects_for_the_garbage_collector_to_visit(measured):
    measured.run(5)
    measured.flush()
    gc.collect()
    gc.freeze()
    try:
        # So many that what other threads leave once weighs nothing, and fewer than are exported.
        measured.run(50)
        gc.collect()
        # Those that are frozen are not among them.
        assert len(gc.get_objects()) / 50 <= MOST_CONTAINERS
    finally:
        gc.unfreeze()


def test_a_run_without_content_does_nothing_with_a_long_history(measured):
    short = calls_in(measured.run, [SHIM, SDK]).total()
    long = calls_in(lambda: measured.run(size=100 << 10), [SHIM, SDK]).total()
    assert abs(long - short) <= MOST_COPIES_OF_THE_HISTORY


def test_what_is_counted_is_a_run_with_all_its_spans_and_events(measured):
    measured.flush()
    measured.spans.clear()
    measured.logs.clear()
    measured.run()
    measured.flush()
    assert len(measured.spans.get_finished_spans()) == SPANS
    assert len(measured.logs.get_finished_logs()) == EVENTS
