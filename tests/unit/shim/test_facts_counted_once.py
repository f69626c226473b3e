"""A fact that the application reports by hand and instrumentation sees too is one fact."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from midwatch.instruments.reconcile import By, Reconciler
from midwatch.instruments.turns import turn

_REPORTS = st.lists(
    st.tuples(st.sampled_from(["hand", "instrumentation"]), st.sampled_from(["a", "b", "c"])),
    max_size=40,
)


@given(_REPORTS)
def test_a_turn_has_as_many_facts_as_the_more_complete_reporter_reports(reports):
    reconciler = Reconciler()
    counted = Counter(
        label for by, label in reports if reconciler.is_new(by, "fact", ("label",), (label,))
    )
    reported = Counter(reports)
    for label in "abc":
        expected = max(reported[("hand", label)], reported[("instrumentation", label)])
        assert counted[label] == expected


@given(st.integers(0, 8), st.integers(0, 8), st.randoms())
def test_the_order_of_the_reports_does_not_matter(by_hand, by_instrumentation, random):
    hand: By = "hand"
    instrumentation: By = "instrumentation"
    reports = [hand] * by_hand + [instrumentation] * by_instrumentation
    random.shuffle(reports)
    reconciler = Reconciler()
    assert sum(reconciler.is_new(by, "fact") for by in reports) == max(by_hand, by_instrumentation)


def test_a_label_that_only_one_reporter_gives_does_not_tell_facts_apart():
    reconciler = Reconciler()
    assert reconciler.is_new("hand", "tool.finished", ("tool",), ("search",))
    assert not reconciler.is_new(
        "instrumentation", "tool.finished", ("agent", "tool"), ("monitor", "search")
    )


def test_a_route_reported_twice_is_counted_once_and_is_one_event(observed):
    with turn(recorder=observed.recorder):
        observed.recorder.route("monitor", by="hand")
        observed.recorder.route("monitor", by="instrumentation")
    assert observed.samples()['agent_route_total{selected_agent="monitor"}'] == 1
    assert observed.events.names().count("route.selected") == 1


def test_two_real_routes_remain_two(observed):
    with turn(recorder=observed.recorder):
        for _ in range(2):
            observed.recorder.route("monitor", by="instrumentation")
            observed.recorder.route("monitor", by="hand")
    assert observed.samples()['agent_route_total{selected_agent="monitor"}'] == 2


def test_the_same_fact_in_the_next_turn_is_another_fact(observed):
    for reporter in ("hand", "instrumentation"):
        with turn(recorder=observed.recorder):
            observed.recorder.route("monitor", by=reporter)
    assert observed.samples()['agent_route_total{selected_agent="monitor"}'] == 2


def test_outside_of_turns_every_report_is_a_fact(observed):
    observed.recorder.route("monitor", by="hand")
    observed.recorder.route("monitor", by="instrumentation")
    assert observed.samples()['agent_route_total{selected_agent="monitor"}'] == 2


def test_a_tool_call_that_only_the_event_reports_keeps_its_event(observed):
    with turn(recorder=observed.recorder):
        observed.recorder.tool_call("monitor", "search", "ok", 0.1, event=False, by="hand")
        observed.recorder.tool_call("monitor", "search", "ok", 0.1, by="instrumentation")
    assert observed.events.names().count("tool.finished") == 1
    assert (
        observed.samples()['agent_tool_latency_seconds_count{agent="monitor",tool="search"}'] == 1
    )


def test_a_turn_that_the_application_measures_inside_it_has_one_latency(observed):
    with turn(recorder=observed.recorder):
        observed.recorder.turn_observed(3.0, by="hand")
    samples = observed.samples()
    assert samples["agent_turn_latency_seconds_count"] == 1
    assert samples["agent_turn_latency_seconds_sum"] == 3.0


def test_a_turn_that_the_application_measures_just_after_it_has_one_latency(observed):
    with turn(recorder=observed.recorder):
        pass
    observed.recorder.turn_observed(3.0, by="hand")
    samples = observed.samples()
    assert samples["agent_turn_latency_seconds_count"] == 1
    assert samples['agent_turns_total{entry_agent="unknown",outcome="ok"}'] == 1


def test_a_turn_that_only_the_application_measures_is_counted(observed):
    observed.recorder.turn_observed(3.0, entry_agent="supervisor", outcome="error", by="hand")
    samples = observed.samples()
    assert samples["agent_turn_latency_seconds_count"] == 1
    assert samples['agent_turns_total{entry_agent="supervisor",outcome="error"}'] == 1


def tell(observed, name, **metadata):
    observed.recorder.event(
        name, metadata, trace_id="app-1", session_id="s1", turn_id="7", by="hand"
    )


def test_a_turn_that_the_application_begins_and_ends_too_has_one_of_each_event(observed):
    with turn(recorder=observed.recorder):
        tell(observed, "turn.started", channel="web")
        observed.recorder.invocation("supervisor", "ok", 0.1)
        tell(observed, "turn.finished", outcome="escalated")
    started, finished = observed.events.records
    assert (started.event, finished.event) == ("turn.started", "turn.finished")
    assert started.metadata == {"channel": "web"}
    assert finished.metadata["outcome"] == "escalated"
    assert finished.metadata["steps"] == 1
    assert {(r.session_id, r.turn_id) for r in observed.events.records} == {("s1", "7")}
    assert (
        observed.samples()['agent_turns_total{entry_agent="supervisor",outcome="escalated"}'] == 1
    )


def test_a_turn_that_the_application_begins_before_and_ends_after_has_one_of_each_event(observed):
    tell(observed, "turn.started")
    with turn(recorder=observed.recorder):
        pass
    tell(observed, "turn.finished")
    assert observed.events.names() == ["turn.started", "turn.finished"]
    assert {record.turn_id for record in observed.events.records} == {"7"}


def test_the_beginning_of_a_turn_is_written_before_everything_else_in_it(observed):
    with turn(session_id="s1", recorder=observed.recorder):
        observed.recorder.route("monitor")
    assert observed.events.names() == ["turn.started", "route.selected", "turn.finished"]
    times = [record.ts for record in observed.events.records]
    assert times == sorted(times)


def test_each_model_call_is_an_event_although_nothing_tells_them_apart(observed):
    with turn(recorder=observed.recorder):
        for _ in range(2):
            observed.recorder.event("llm.called", {"agent_id": "monitor"})
    assert observed.events.names().count("llm.called") == 2
