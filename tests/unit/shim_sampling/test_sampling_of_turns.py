"""Sampling in the whole pipeline: which turns are kept, what metrics show, what is spared."""

from __future__ import annotations

from typing import Any

import pytest
from midwatch.config import Settings
from midwatch.instruments.recorder import Recorder
from midwatch.instruments.turns import turn
from midwatch.pipeline.sampling_ratio import WINDOW_SECONDS
from midwatch.pipeline.setup import Exporters, build_pipeline
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Status, StatusCode


class Service:
    """A pipeline into memory, with the recorder that goes with it."""

    def __init__(self, **given) -> None:
        self.exporter = InMemorySpanExporter()
        self.pipeline = build_pipeline(Settings(**given), Exporters(spans=(self.exporter,)))
        self.recorder = Recorder(self.pipeline.meter_provider, [], reader=self.pipeline.reader)
        self.recorder.content = self.pipeline.content
        self.recorder.sampling = self.pipeline.sampling
        self.tracer = self.pipeline.tracer_provider.get_tracer("test")

    def take_turn(self, name: str, work) -> None:
        """A turn with a span of its own, as a graph or a web request has it."""
        with (
            self.tracer.start_as_current_span(name, record_exception=False),
            turn(recorder=self.recorder),
        ):
            work(self.recorder)

    def exported(self) -> list[str]:
        self.pipeline.flush(5)
        return [span.name for span in self.exporter.get_finished_spans()]

    def value(self, metric: str, **labels) -> float:
        data: Any = self.pipeline.reader.get_metrics_data()
        return next(
            point.value
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for found in scope.metrics
            if found.name == metric
            for point in found.data.data_points
            if labels.items() <= dict(point.attributes).items()
        )


@pytest.fixture
def make_service():
    made: list[Service] = []

    def make(**given) -> Service:
        made.append(Service(**given))
        return made[-1]

    yield make
    for service in made:
        service.pipeline.close(2)


def loop(recorder: Recorder) -> None:
    for _ in range(3):
        recorder.handoff("supervisor", "worker")


def failure(recorder: Recorder) -> None:
    raise ValueError("unwell")


KEPT = {
    "loop": loop,
    "denial": lambda recorder: recorder.guardrail("pii", "deny", "ssn"),
    "uncounted denial": lambda recorder: recorder.guardrail("pii", "deny", "x", event=False),
    "feedback": lambda recorder: recorder.feedback("thumb", "down"),
}


@pytest.mark.parametrize("what", KEPT)
def test_a_turn_with_something_of_note_is_traced_at_ratio_zero(make_service, what):
    service = make_service(sample_ratio=0.0)
    service.take_turn("quiet", lambda recorder: recorder.route("worker"))
    service.take_turn(what, KEPT[what])
    assert service.exported() == [what]
    counts = service.pipeline.account.counts()
    assert counts[("created", "none")] == 2
    assert counts[("exported", "none")] == counts[("sampled_out", "sampler")] == 1


def test_a_turn_that_fails_is_traced_although_no_span_says_so(make_service):
    service = make_service(sample_ratio=0.0)

    def work(recorder: Recorder) -> None:
        with pytest.raises(ValueError), turn(recorder=recorder):  # noqa: PT011
            failure(recorder)

    with service.tracer.start_as_current_span("request"):
        work(service.recorder)
    assert service.exported() == ["request"]


def test_an_error_in_a_child_keeps_the_turn(make_service):
    service = make_service(sample_ratio=0.0)

    def work(_: Recorder) -> None:
        with service.tracer.start_as_current_span("tool") as span:
            span.set_status(Status(StatusCode.ERROR))

    service.take_turn("turn", work)
    assert service.exported() == ["tool", "turn"]


def test_an_allowed_guardrail_keeps_nothing(make_service):
    service = make_service(sample_ratio=0.0)
    service.take_turn("turn", lambda recorder: recorder.guardrail("pii", "allow", "clean"))
    assert service.exported() == []


def test_metrics_count_every_turn_at_every_ratio(make_service):
    service = make_service(sample_ratio=0.0)
    for _ in range(7):
        service.take_turn("turn", lambda recorder: recorder.route("worker"))
    assert service.value("agent.route", selected_agent="worker") == 7
    assert service.value("agent.turns", outcome="ok") == 7


def test_the_ratio_in_force_is_a_metric(make_service):
    service = make_service(sample_ratio=0.25)
    assert service.value("midwatch.sampling_ratio") == 0.25


def test_turns_that_cost_too_much_lower_the_ratio(make_service, monkeypatch):
    service = make_service(max_latency_ms=1.0)
    controller = service.pipeline.sampling.controller
    for _ in range(10):
        with turn(recorder=service.recorder) as running:
            running.overhead_seconds += 0.5
    began = controller._window.began
    monkeypatch.setattr(controller, "_clock", lambda: began + WINDOW_SECONDS)
    assert service.value("midwatch.sampling_ratio") == 0.5
    assert service.pipeline.content.sparing is True


def test_opentelemetrys_own_variable_decides_alone(make_service, monkeypatch):
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    service = make_service(sample_ratio=1.0)
    service.take_turn("denied", lambda recorder: recorder.guardrail("pii", "deny", "x"))
    assert service.exported() == []
    assert service.pipeline.account.counts()[("sampled_out", "sampler")] == 1
    assert service.pipeline.account.in_flight() == 0


def test_what_is_still_held_when_the_pipeline_closes_is_counted(make_service):
    service = make_service(sample_ratio=0.0)
    root = service.tracer.start_span("root")
    with service.tracer.start_as_current_span("x"):
        pass
    child = service.tracer.start_span("open")
    service.pipeline.close(2)
    root.end()
    child.end()
    assert service.pipeline.account.in_flight() == 0
