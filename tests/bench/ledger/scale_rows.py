"""The statements that make rows for the bench with millions of model calls.

A number says all of a turn and of a call: who, how long, how dear. So the same rows are made each
time, and a child knows the ids of its parents.
"""

from __future__ import annotations

FUNCTIONS = """
CREATE FUNCTION pg_temp.agent(turn bigint) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT (ARRAY['supervisor', 'monitor', 'researcher', 'writer', 'planner', 'reviewer'])
    [1 + turn % 6] $$;
CREATE FUNCTION pg_temp.model(call bigint) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT (ARRAY['gpt-small', 'gpt-small', 'gpt-large', 'claude-small'])
    [1 + (call * 7 + call / 5) % 4] $$;
CREATE FUNCTION pg_temp.span(number bigint) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT lpad(to_hex(number), 16, '0') $$;
"""

CALLS = """
INSERT INTO {table} (id, execution_log_id, provider, model_id, call_type, status, start_time,
    end_time, duration_ms, prompt, response, error_message, input_tokens, output_tokens,
    total_tokens, cache_read_tokens, input_cost, output_cost, total_cost, is_streaming, metadata,
    created_at, updated_at, trace_id, span_id, agent, prompt_name, prompt_version, prompt_label,
    service, service_version, project)
SELECT md5('c' || call)::uuid, md5('a' || turn)::uuid,
    CASE WHEN model LIKE 'claude%' THEN 'anthropic' ELSE 'openai' END, model, 'inference',
    CASE WHEN failed THEN 'failed' ELSE 'completed' END, start_time,
    start_time + took * interval '1 millisecond', took,
    '[{{"role":"user","parts":[{{"type":"text","content":"question ' || turn || ' of many"}}]}}]',
    '[{{"role":"assistant","parts":[{{"type":"text","content":"answer ' || call || '"}}]}}]',
    CASE WHEN failed THEN 'the model did not answer in time' END,
    tokens, tokens / 4, tokens + tokens / 4, tokens / 5,
    tokens * 0.000002, (tokens / 4) * 0.000008, tokens * 0.000002 + (tokens / 4) * 0.000008,
    false, '{{"gen_ai.operation.name": "chat", "gen_ai.request.temperature": 0.2}}',
    start_time, start_time, md5('t' || turn), pg_temp.span(2 + call), pg_temp.agent(turn),
    'answer', (1 + {day} / 20)::text, 'production',
    'service-' || turn % 3, '1.' || {day} / 15, 'project-' || turn % 3
FROM (
    SELECT call, call / {calls} AS turn, pg_temp.model(call) AS model, call % 53 = 7 AS failed,
        200 + (call * 7919) % 2800 AS took, 100 + (call * 104729) % 900 AS tokens,
        timestamptz '{begin}'
            + (call - {first}::bigint * {calls}) * interval '{step} microseconds' AS start_time
    FROM generate_series({first}::bigint * {calls}, {last}::bigint * {calls} + {calls} - 1) AS call
) AS calls
"""

EXECUTIONS = """
INSERT INTO {table} (id, execution_id, agent_type, execution_step, action_type, status, start_time,
    end_time, duration_ms, metadata, created_at, updated_at, trace_id, span_id,
    parent_execution_log_id, service, service_version, project)
SELECT md5(kind || turn)::uuid, md5('t' || turn), pg_temp.agent(turn),
    CASE kind WHEN 'w' THEN 'turn' ELSE 'invoke_agent' END, NULL,
    CASE WHEN failed THEN 'failed' ELSE 'completed' END,
    start_time, start_time + took * interval '1 millisecond', took,
    '{{"session.id": "session", "http.request.method": "POST"}}', start_time, start_time,
    md5('t' || turn), pg_temp.span(CASE kind WHEN 'w' THEN 0 ELSE 1 END),
    CASE kind WHEN 'a' THEN md5('w' || turn)::uuid END,
    'service-' || turn % 3, '1.' || {day} / 15, 'project-' || turn % 3
FROM (
    SELECT turn, kind, turn % 101 = 9 AS failed, 2000 + (turn * 7919) % 9000 AS took,
        timestamptz '{begin}'
            + (turn - {first}) * {calls} * interval '{step} microseconds' AS start_time
    FROM generate_series({first}::bigint, {last}::bigint) AS turn,
        unnest(ARRAY['w', 'a']) AS kind
) AS executions
"""

SPANS = """
INSERT INTO {table} (trace_id, span_id, parent_span_id, resource_id, service, service_version, name,
    kind, start_unix_nanoseconds, end_unix_nanoseconds, status, role, operation, agent, model,
    session_id, user_hash, project, attributes, events, links, nearest_agent, execution_span_id)
SELECT md5('t' || turn),
    pg_temp.span(CASE WHEN place < 2 THEN place ELSE turn * {calls} + place END),
    CASE WHEN place > 0 THEN pg_temp.span(least(1, place - 1)) END,
    'resource', 'service-' || turn % 3, '1.' || {day} / 15,
    CASE place WHEN 0 THEN 'POST /chat' WHEN 1 THEN 'invoke_agent' ELSE 'chat' END, 'internal',
    start + place * 200000000, start + place * 200000000 + 1500000000, 'ok',
    CASE WHEN place < 2 THEN 'execution' ELSE 'llm_call' END,
    CASE place WHEN 0 THEN NULL WHEN 1 THEN 'invoke_agent' ELSE 'chat' END,
    CASE WHEN place > 0 THEN pg_temp.agent(turn) END,
    CASE WHEN place > 1 THEN pg_temp.model(turn * {calls} + place - 2) END,
    'session-' || turn / 5, lpad(to_hex(turn % 9973), 16, '0'), 'project-' || turn % 3,
    '{{}}', '[]', '[]', CASE WHEN place > 0 THEN pg_temp.agent(turn) END,
    CASE WHEN place > 0 THEN pg_temp.span(least(1, place - 1)) END
FROM (
    SELECT turn, place, (extract(epoch FROM timestamptz '{begin}') * 1000000)::bigint * 1000
        + ((turn - {first}) * {calls} * {step} * 1000)::bigint AS start
    FROM generate_series({first}::bigint, {last}::bigint) AS turn,
        generate_series(0, 6) AS place
) AS spans
"""

TURNS = """
INSERT INTO workflow_traces (trace_id, session_id, call_id, user_hash, project, service,
    service_version, name, entry_agent, status, complete, start_time, end_time, duration_ms,
    span_count, error_count, llm_calls, tool_calls, input_tokens, output_tokens, total_tokens,
    total_cost, outcome, created_at, updated_at)
SELECT md5('t' || turn), 'session-' || turn / 5, 'task-' || turn / 10,
    lpad(to_hex(turn % 9973), 16, '0'), 'project-' || turn % 3, 'service-' || turn % 3,
    '1.' || {day} / 15, 'POST /chat', pg_temp.agent(turn),
    CASE WHEN turn % 101 = 9 THEN 'failed' ELSE 'completed' END, true, start_time,
    start_time + took * interval '1 millisecond', took, 7, 0, 5, 0, 2500, 625, 3125, 0.01,
    CASE WHEN turn % 101 = 9 THEN 'error' ELSE 'ok' END, start_time, start_time
FROM (
    -- A turn is over when the last of its calls is, however far apart they are.
    SELECT turn, 2000 + (turn * 7919) % 9000 + ({calls} * {step} / 1000)::bigint AS took,
        timestamptz '{begin}'
            + (turn - {first}) * {calls} * interval '{step} microseconds' AS start_time
    FROM generate_series({first}::bigint, {last}::bigint) AS turn
) AS turns
"""

BESIDE = """
INSERT INTO resources (id, attributes) VALUES ('resource', '{"service.name": "service-0"}');
INSERT INTO events (id, name, occurred_at, trace_id, span_id, session_id, service, project,
    metadata)
SELECT md5('o' || trace_id)::uuid, 'outcome.recorded', end_time, trace_id, '0000000000000000',
    session_id, service, project, '{"outcome": "resolved", "success": "true"}'
FROM workflow_traces WHERE trace_id < '3';
INSERT INTO agent_transitions (id, kind, from_agent, to_agent, occurred_at, trace_id, session_id,
    service, project, metadata)
SELECT md5('h' || trace_id)::uuid,
    CASE WHEN trace_id < '01' THEN 'handoff_loop' ELSE 'handoff' END, entry_agent, 'writer',
    start_time, trace_id, session_id, service, project, '{}'
FROM workflow_traces WHERE trace_id < '2';
INSERT INTO feedback (id, kind, value, labels, source, given_at, state, updated_at, trace_id,
    session_id, service, project)
SELECT md5('f' || trace_id)::uuid, 'thumb', CASE WHEN trace_id < '02' THEN 'down' ELSE 'up' END,
    '[]', 'application', end_time, 'new', end_time, trace_id, session_id, service, project
FROM workflow_traces WHERE trace_id < '08';
"""
