"""Labels stay within the bounds of the registry."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from midwatch.instruments.recorder import Recorder
from midwatch.pipeline.rendering import RenderReader, local_meter_provider
from midwatch.registry.attributes import SELECTED_AGENT

BOUND = SELECTED_AGENT.max_values or 0


def series(text: str, family: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(f"{family}{{")]


def test_values_beyond_the_bound_become_other_and_are_counted(observed):
    bound = BOUND
    for number in range(bound + 25):
        observed.recorder.route(f"agent-{number}")
    assert len(series(observed.text(), "agent_route_total")) == bound + 1
    samples = observed.samples()
    assert samples['agent_route_total{selected_agent="other"}'] == 25
    overflow = 'midwatch_label_overflow_total{metric="agent_route_total",label="selected_agent"}'
    assert samples[overflow] == 25


def test_known_values_keep_their_series_when_the_bound_is_reached(observed):
    for number in range(BOUND + 5):
        observed.recorder.route(f"agent-{number}")
    observed.recorder.route("agent-0")
    assert observed.samples()['agent_route_total{selected_agent="agent-0"}'] == 2


def test_a_value_outside_a_closed_set_becomes_other(observed):
    observed.recorder.tool_call("monitor", "search", "exploded", 0.1)
    samples = observed.samples()
    assert samples['agent_tool_calls_total{agent="monitor",tool="search",status="other"}'] == 1


def test_the_series_of_all_statuses_exist_as_soon_as_a_tool_is_first_called(observed):
    observed.recorder.tool_call("monitor", "search", "ok", 0.1)
    samples = observed.samples()
    for status, count in {"ok": 1, "error": 0, "denied": 0, "timeout": 0}.items():
        name = f'agent_tool_calls_total{{agent="monitor",tool="search",status="{status}"}}'
        assert samples[name] == count


def test_an_empty_label_is_called_unknown(observed):
    observed.recorder.route("")
    assert observed.samples()['agent_route_total{selected_agent="unknown"}'] == 1


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=200), max_size=150))
def test_no_input_makes_more_series_than_the_bound(names):
    reader = RenderReader()
    recorder = Recorder(local_meter_provider(reader), reader=reader)
    for name in names:
        recorder.route(name)
    text = "".join(family.text for family in recorder.families("", ("agent_",)))
    assert len(series(text, "agent_route_total")) <= BOUND + 1
