"""The text of `/metrics` is what Prometheus' own parser reads."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from midwatch import AgentTelemetry, get_agent_telemetry
from midwatch.instruments.recorder import Recorder
from midwatch.pipeline.rendering import Family, RenderReader, join_families, local_meter_provider
from prometheus_client.parser import text_string_to_metric_families


def parsed(text: str) -> dict[str, Any]:
    return {family.name: family for family in text_string_to_metric_families(text)}


@settings(max_examples=60, deadline=None)
@given(st.text(min_size=1, max_size=40))
def test_any_label_value_survives_the_text(value):
    reader = RenderReader()
    recorder = Recorder(local_meter_provider(reader), reader=reader)
    recorder.route(value)
    text = "".join(family.text for family in recorder.families("", ("agent_route",)))
    (sample,) = parsed(text)["agent_route"].samples
    assert sample.labels == {"selected_agent": value}
    assert sample.value == 1


def test_a_histogram_has_cumulative_buckets_sum_and_count():
    telemetry = AgentTelemetry(namespace="x")
    for seconds in (0.01, 0.2, 99.0):
        telemetry.observe_tool_call("monitor", "search", "ok", seconds)
    family = parsed(telemetry.render_prometheus())["x_agent_tool_latency_seconds"]
    buckets = [s for s in family.samples if s.name.endswith("_bucket")]
    values = [sample.value for sample in buckets]
    assert values == sorted(values)
    assert buckets[-1].labels["le"] == "+Inf"
    assert buckets[-1].value == 3
    (total,) = (s.value for s in family.samples if s.name.endswith("_sum"))
    assert total == 99.21


def test_each_family_is_described_and_typed():
    telemetry = AgentTelemetry(namespace="x")
    telemetry.inc_route("monitor")
    family = parsed(telemetry.render_prometheus())["x_agent_route"]
    assert family.type == "counter"
    assert family.documentation


def test_only_families_of_agents_and_of_midwatch_are_rendered():
    telemetry = AgentTelemetry(namespace="")
    telemetry.inc_route("monitor")
    names = parsed(telemetry.render_prometheus())
    assert all(name.startswith(("agent_", "midwatch_")) for name in names)


def test_each_telemetry_made_by_hand_renders_its_own_numbers():
    one, two = AgentTelemetry(namespace="one"), AgentTelemetry(namespace="two")
    one.inc_route("monitor")
    assert 'one_agent_route_total{selected_agent="monitor"} 1' in one.render_prometheus()
    assert "agent_route_total" not in two.render_prometheus()


def test_the_telemetry_of_the_process_is_one_and_renders_what_others_record():
    telemetry = get_agent_telemetry()
    assert telemetry is get_agent_telemetry()
    AgentTelemetry(namespace="mine").inc_route("seen_by_the_process")
    assert 'selected_agent="seen_by_the_process"' in telemetry.render_prometheus()


def test_a_disabled_telemetry_records_and_renders_nothing(tmp_path):
    path = tmp_path / "events.jsonl"
    telemetry = AgentTelemetry(namespace="x", trace_jsonl_path=path, enabled=False)
    telemetry.inc_route("monitor")
    telemetry.emit_event("route.selected")
    assert telemetry.render_prometheus() == ""
    assert not path.exists()


def test_a_body_keeps_its_own_families_when_ours_are_joined_to_it():
    ours = [Family("a_total", "# TYPE a_total counter\na_total 1\n"), Family("b", "b 2\n")]
    body = "# TYPE a_total counter\na_total 5"
    assert join_families(ours, body) == "# TYPE a_total counter\na_total 5\nb 2\n"
