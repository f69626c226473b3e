"""The tests that the source document gives for `AgentTelemetry`, word for word."""

from midwatch import AgentTelemetry


def test_route_and_tool_metrics_render_with_labels():
    t = AgentTelemetry(namespace="security_agent")
    t.inc_route("monitor")
    t.observe_tool_call("config_manager", "tool_set_protection_mode", "ok", 0.12)
    text = t.render_prometheus()
    assert 'security_agent_agent_route_total{selected_agent="monitor"} 1' in text
    assert 'security_agent_agent_tool_calls_total{agent="config_manager",tool="tool_set_protection_mode",status="ok"} 1' in text  # fmt: skip  # noqa: E501


def test_trace_event_is_written_with_correlation_ids(tmp_path):
    p = tmp_path / "agent-traces.jsonl"
    t = AgentTelemetry(namespace="security_agent", trace_jsonl_path=p, enabled=True)
    t.emit_event("route.selected", trace_id="tr1", session_id="s1", turn_id="u1", metadata={"selected_agent": "monitor"})  # fmt: skip  # noqa: E501
    row = p.read_text(encoding="utf-8").strip()
    assert '"trace_id": "tr1"' in row
    assert '"event": "route.selected"' in row
