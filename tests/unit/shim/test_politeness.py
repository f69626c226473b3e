"""Batches whose readers let others go first."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from midwatch.config import load_settings
from midwatch.pipeline import otlp_json, otlp_json_metrics, otlp_protobuf, politeness
from midwatch.pipeline.batching import BatchQueue
from midwatch.pipeline.content import ContentPolicy
from midwatch.pipeline.content_gate import ContentGate
from midwatch.pipeline.politeness import Unhurried, alike
from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

ATTRIBUTES = {f"name.{number}": f"value {number}" for number in range(12)}


def test_a_batch_is_a_sequence_like_the_one_it_holds():
    batch = Unhurried([1, 2, 3])
    assert (len(batch), batch[0], batch[-1], list(batch[1:])) == (3, 1, 3, [2, 3])
    assert [*batch] == [1, 2, 3]
    assert 2 in batch


def test_who_goes_through_a_batch_pauses_after_each_slice_of_work(monkeypatch):
    now, paused = [0.0], list[float]()
    monkeypatch.setattr(politeness, "perf_counter", lambda: now[0])
    monkeypatch.setattr(politeness, "sleep", paused.append)
    for _ in Unhurried(range(10)):
        now[0] += politeness.SLICE_SECONDS * 0.4
    assert paused == [politeness.PAUSE_SECONDS] * 3


def test_other_threads_run_while_a_batch_is_gone_through():
    ran = threading.Event()

    def work() -> None:
        ran.set()

    def busy() -> None:
        until = time.perf_counter() + politeness.SLICE_SECONDS * 2
        while time.perf_counter() < until:
            """Hold the interpreter's lock."""

    other = threading.Thread(target=work)
    steps = 0
    for number in Unhurried(range(10_000)):
        steps = number
        if number == 1:
            other.start()
        if ran.is_set():
            break
        busy()
    other.join()
    assert steps < 1_000


def test_who_hurries_does_not_pause(monkeypatch):
    now, paused = [0.0], list[float]()
    monkeypatch.setattr(politeness, "perf_counter", lambda: now[0])
    monkeypatch.setattr(politeness, "sleep", paused.append)
    batch = Unhurried(range(10), hurries=lambda: now[0] > politeness.SLICE_SECONDS * 4.5)
    for _ in alike([*batch[:5], *batch[5:]], batch[2:4]):
        now[0] += politeness.SLICE_SECONDS * 1.1
    assert len(paused) == 4


def test_a_queue_that_fills_or_closes_hurries_its_exporter():
    hurried: list[bool] = []
    began, goes_on = threading.Event(), threading.Event()

    def export(batch) -> bool:
        hurried.append(batch._hurries())
        began.set()
        goes_on.wait(10)
        hurried.append(batch._hurries())
        return True

    queue = BatchQueue(
        "tested", export, lambda *_: None, capacity=10, batch_size=2, interval_seconds=0.01
    )
    queue.put(1)
    assert began.wait(10)
    queue.put(2)
    queue.put(3)
    goes_on.set()
    assert queue.close(10)
    assert hurried[:2] == [False, True]


def test_a_flush_that_somebody_waits_for_hurries_the_exporter_to_its_end():
    hurried: list[bool] = []

    def export(batch) -> bool:
        hurried.append(batch._hurries())
        return True

    queue = BatchQueue(
        "tested", export, lambda *_: None, capacity=10, batch_size=5, interval_seconds=60
    )
    queue.put(1)
    assert queue.flush(10)
    assert queue.close(10)
    assert hurried == [True]


def spans(gate: ContentGate, count: int):
    tracer = TracerProvider(resource=Resource({})).get_tracer("tested")
    made: list[Any] = [tracer.start_span("step", attributes=ATTRIBUTES) for _ in range(count)]
    return gate.spans(Unhurried([span._readable_span() for span in made]))


def logs(gate: ContentGate, count: int):
    record = LogRecord(body="said", attributes=ATTRIBUTES, trace_id=1, span_id=2)
    return gate.logs(Unhurried([ReadableLogRecord(record, Resource({}))] * count))


def metrics(gate: ContentGate, count: int):
    reader = InMemoryMetricReader()
    counter = MeterProvider([reader], Resource({})).get_meter("tested").create_counter("calls")
    for number in range(count):
        counter.add(1, {**ATTRIBUTES, "number": number})
    data = reader.get_metrics_data()
    assert data is not None
    return [gate.metrics(data)]


@pytest.fixture
def stretches(monkeypatch) -> Iterator[Callable[[], list[float]]]:
    """The CPU seconds of this thread between its pauses; that of others' work is not in them."""
    ends = [time.thread_time()]
    monkeypatch.setattr(politeness, "sleep", lambda _: ends.append(time.thread_time()))

    def told() -> list[float]:
        points = [*ends, time.thread_time()]
        return [after - before for before, after in pairwise(points)]

    gc.disable()
    yield told
    gc.enable()


@pytest.mark.parametrize(
    ("made", "encode"),
    [
        (spans, otlp_protobuf.encode_spans),
        (spans, otlp_json.encode_spans),
        (logs, otlp_protobuf.encode_logs),
        (logs, otlp_json.encode_logs),
        (metrics, otlp_protobuf.encode_metrics),
        (metrics, otlp_json_metrics.encode_metrics),
    ],
)
def test_a_batch_is_encoded_in_slices_and_none_of_it_is_lost(made, encode, stretches):
    gate = ContentGate(ContentPolicy.from_settings(load_settings({"MIDWATCH_CONTENT": "off"})))
    batch = made(gate, 512)
    began = len(stretches()) - 1
    assert encode(batch).count == 512
    found = stretches()[began:]
    assert max(found) < sum(found) / 3
