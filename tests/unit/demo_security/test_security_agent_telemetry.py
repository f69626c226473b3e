"""S3's registry as the application gets it."""

from __future__ import annotations

from security_agent.assistant.telemetry import AgentTelemetry, get_agent_telemetry


def test_route_and_tool_metrics_render_with_labels():
    t = AgentTelemetry(namespace="security_agent")
    t.inc_route("monitor")
    t.observe_tool_call("config_manager", "tool_set_protection_mode", "ok", 0.12)
    text = t.render_prometheus()
    assert 'security_agent_agent_route_total{selected_agent="monitor"} 1' in text
    assert (
        'security_agent_agent_tool_calls_total{agent="config_manager",'
        'tool="tool_set_protection_mode",status="ok"} 1' in text
    )


def test_trace_event_is_written_with_correlation_ids(tmp_path):
    p = tmp_path / "agent-traces.jsonl"
    t = AgentTelemetry(namespace="security_agent", trace_jsonl_path=p, enabled=True)
    t.emit_event(
        "route.selected",
        trace_id="tr1",
        session_id="s1",
        turn_id="u1",
        metadata={"selected_agent": "monitor"},
    )
    row = p.read_text(encoding="utf-8").strip()
    assert '"trace_id": "tr1"' in row
    assert '"event": "route.selected"' in row


def test_the_application_has_one_telemetry():
    assert get_agent_telemetry() is get_agent_telemetry()
