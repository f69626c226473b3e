"""What is not sampled is recorded and held: errors, loops, denials and feedback go on after all."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from midwatch.pipeline.sampling import AdaptiveSampler
from midwatch.pipeline.sampling_held import HeldTraces
from midwatch.pipeline.sampling_ratio import Budget, RatioController
from midwatch.pipeline.spans import CountingSampler, SpanAccount
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

BUDGET = Budget(0.1, 0.05)


class Taker(SpanProcessor):
    """Stands for the export queue."""

    def __init__(self, account: SpanAccount) -> None:
        self.names: list[str] = []
        self.spans: list = []
        self._account = account

    def on_end(self, span) -> None:
        if span.get_span_context().trace_flags.sampled:
            self.names.append(span.name)
            self.spans.append(span)
            self._account.settle("exported", "none", 1)


class Tracing:
    def __init__(self, ratio: float = 0.0, most_spans: int = 10_000) -> None:
        self.account = SpanAccount()
        self.taker = Taker(self.account)
        self.held = HeldTraces(self.account.settle, [self.taker], most_spans)
        self.controller = RatioController(ratio, BUDGET, adaptive=False)
        sampler = CountingSampler(AdaptiveSampler(self.controller, self.held), self.account)
        self.provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.provider.add_span_processor(self.taker)
        self.provider.add_span_processor(self.held)
        self.tracer = self.provider.get_tracer("test")

    def start(self, name: str, parent=None):
        context = set_span_in_context(parent) if parent is not None else None
        return self.tracer.start_span(name, context)

    def count(self, result: str, reason: str = "none") -> int:
        return self.account.counts().get((result, reason), 0)


def failed(span) -> None:
    span.set_status(Status(StatusCode.ERROR))


def test_a_trace_without_anything_of_note_is_sampled_out_when_its_root_ends():
    tracing = Tracing()
    root = tracing.start("root")
    tracing.start("child", root).end()
    assert tracing.account.in_flight() == 2
    root.end()
    assert tracing.taker.names == []
    assert tracing.count("sampled_out", "sampler") == 2
    assert tracing.account.in_flight() == 0


def test_an_error_keeps_the_whole_trace_what_came_before_and_what_comes_after():
    tracing = Tracing()
    root = tracing.start("root")
    tracing.start("before", root).end()
    bad = tracing.start("bad", root)
    failed(bad)
    bad.end()
    tracing.start("after", root).end()
    root.end()
    assert tracing.taker.names == ["before", "bad", "after", "root"]
    assert tracing.count("sampled_out", "sampler") == 0
    assert tracing.account.in_flight() == 0


def test_a_trace_can_be_kept_by_a_word_while_it_runs():
    tracing = Tracing()
    root = tracing.start("root")
    tracing.start("before", root).end()
    tracing.held.keep(root.get_span_context().trace_id)
    root.end()
    assert tracing.taker.names == ["before", "root"]


def test_what_is_kept_looks_sampled_to_whoever_gets_it():
    tracing = Tracing()
    root = tracing.start("root")
    failed(root)
    root.end()
    (span,) = tracing.taker.spans
    assert span.get_span_context().trace_flags.sampled
    assert span.get_span_context().span_id == root.get_span_context().span_id


def test_a_child_that_ends_after_the_decision_follows_it():
    tracing = Tracing()
    for is_kept in (True, False):
        root = tracing.start("root")
        late = tracing.start("late", root)
        if is_kept:
            failed(root)
        root.end()
        late.end()
        tracing.start("later", root).end()
    assert tracing.taker.names == ["root", "late", "later"]
    assert tracing.count("sampled_out", "sampler") == 3
    assert tracing.account.in_flight() == 0


def test_a_late_error_goes_on_although_its_trace_is_gone():
    tracing = Tracing()
    root = tracing.start("root")
    late = tracing.start("late", root)
    root.end()
    failed(late)
    late.end()
    assert tracing.taker.names == ["late"]
    assert tracing.account.in_flight() == 0


def test_the_decision_of_another_process_is_obeyed_both_ways():
    tracing = Tracing(ratio=1.0)
    for flags, decided in ((1, True), (0, False)):
        parent = NonRecordingSpan(SpanContext(5, 7, is_remote=True, trace_flags=TraceFlags(flags)))
        span = tracing.start("served", parent)
        assert span.get_span_context().trace_flags.sampled is decided
        failed(span)
        span.end()
    assert tracing.taker.names == ["served"]
    assert tracing.count("sampled_out", "sampler") == 1


def test_two_services_with_one_ratio_choose_the_same_traces():
    ids = RandomIdGenerator()
    here, there = Tracing(0.3), Tracing(0.3)
    numbers = [ids.generate_trace_id() for _ in range(2000)]
    chosen = [
        [
            number
            for number in numbers
            if AdaptiveSampler(one.controller, one.held)
            .should_sample(None, number, "root")
            .decision.is_sampled()
        ]
        for one in (here, there)
    ]
    assert chosen[0] == chosen[1]
    assert 450 < len(chosen[0]) < 750


@given(
    number=st.integers(1, 2**128 - 1),
    low=st.floats(0.0, 1.0),
    high=st.floats(0.0, 1.0),
)
def test_what_is_sampled_at_a_ratio_is_sampled_at_every_higher_one(number, low, high):
    low, high = sorted((low, high))
    tracing = Tracing()
    decisions = [
        AdaptiveSampler(RatioController(ratio, BUDGET, adaptive=False), tracing.held)
        .should_sample(None, number, "root")
        .decision.is_sampled()
        for ratio in (low, high)
    ]
    assert decisions[0] <= decisions[1]


@pytest.mark.parametrize(("ratio", "sampled"), [(1.0, True), (0.0, False)])
def test_the_outermost_ratios_take_all_and_none(ratio, sampled):
    tracing = Tracing(ratio)
    for number in (1, 2**64 - 1, 2**64, 2**128 - 1):
        sampler = AdaptiveSampler(tracing.controller, tracing.held)
        assert sampler.should_sample(None, number, "x").decision.is_sampled() is sampled


def test_what_is_held_is_bounded_and_what_goes_for_it_is_counted():
    tracing = Tracing(most_spans=50)
    open_roots = [tracing.start(f"root {number}") for number in range(30)]
    for root in open_roots:
        for _ in range(5):
            tracing.start("child", root).end()
    assert tracing.count("sampled_out", "held_full") == 100
    for root in open_roots:
        root.end()
    assert tracing.account.in_flight() == 0
    assert tracing.count("sampled_out", "sampler") == 180 - 100


def test_a_trace_of_very_many_spans_is_bounded_too_and_its_error_is_kept():
    tracing = Tracing()
    root = tracing.start("root")
    for _ in range(1500):
        tracing.start("child", root).end()
    assert tracing.count("sampled_out", "held_full") == 500
    failed(root)
    root.end()
    assert len(tracing.taker.names) == 1001
    assert tracing.account.in_flight() == 0


def test_what_is_held_at_the_end_is_counted():
    tracing = Tracing()
    root = tracing.start("root")
    tracing.start("child", root).end()
    tracing.held.shutdown()
    root.end()
    assert tracing.count("sampled_out", "shutdown") == 2
    assert tracing.account.in_flight() == 0


def test_nothing_is_remembered_of_traces_that_are_over_beyond_a_bound():
    tracing = Tracing()
    for _ in range(11_000):
        tracing.start("root").end()
    assert len(tracing.held._traces) == 0
    assert len(tracing.held._decided) == 10_000


steps = st.lists(
    st.tuples(
        st.sampled_from(["root", "child", "end", "fail", "keep", "remote"]), st.integers(0, 9)
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(steps=steps, ratio=st.sampled_from([0.0, 0.5, 1.0]), most=st.sampled_from([3, 10_000]))
def test_created_is_always_the_rest_plus_what_is_in_flight(steps, ratio, most):
    tracing = Tracing(ratio, most)
    spans: list = []
    ended: set[int] = set()
    for what, which in steps:
        if what == "root":
            spans.append(tracing.start("root"))
        elif what == "remote":
            parent = SpanContext(which + 1, 9, is_remote=True, trace_flags=TraceFlags(which % 2))
            spans.append(tracing.start("remote", NonRecordingSpan(parent)))
        elif spans:
            index = which % len(spans)
            span = spans[index]
            if what == "child":
                spans.append(tracing.start("child", span))
            elif what == "keep" and not span.get_span_context().trace_flags.sampled:
                tracing.held.keep(span.get_span_context().trace_id)
            elif what in ("end", "fail") and index not in ended:
                if what == "fail":
                    failed(span)
                span.end()
                ended.add(index)
    for index, span in enumerate(spans):
        if index not in ended:
            span.end()
    tracing.held.shutdown()
    counts = tracing.account.counts()
    assert counts[("created", "none")] == len(spans)
    assert tracing.account.in_flight() == 0
    assert min(counts.values()) >= 0
