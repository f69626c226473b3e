"""Every attribute of Midwatch's own signals, with its bound."""

from __future__ import annotations

from midwatch.registry.model import Attribute

AGENT = Attribute("agent", "The agent that acts.", max_values=100)
FROM_AGENT = Attribute("from_agent", "The agent that hands over or speaks.", max_values=100)
TO_AGENT = Attribute("to_agent", "The agent that takes over or listens.", max_values=100)
SELECTED_AGENT = Attribute("selected_agent", "The agent a router chose.", max_values=100)
ENTRY_AGENT = Attribute("entry_agent", "The first agent of the turn.", max_values=100)
TOOL = Attribute("tool", "The tool that was called.", max_values=200)
TOOL_STATUS = Attribute(
    "status", "How the tool call ended.", values=("ok", "error", "denied", "timeout")
)
INVOCATION_STATUS = Attribute(
    "status",
    "How the agent's run ended; an interrupt or a cancellation is not an error.",
    values=("ok", "error", "interrupted", "cancelled"),
)
LLM_STATUS = Attribute("status", "How the model call ended.", values=("ok", "error", "cancelled"))
ERROR_TYPE = Attribute(
    "error_type",
    "Why the model call failed; `none` when it did not.",
    values=(
        "none",
        "rate_limit",
        "timeout",
        "connection",
        "server_error",
        "authentication",
        "bad_request",
        "content_filter",
        "malformed_response",
        "stream_cut",
        "other",
    ),
)
PROVIDER = Attribute("provider", "The model provider, as the conventions name it.", max_values=30)
MODEL = Attribute("model", "The model that answered, else the one asked for.", max_values=100)
TOKEN_TYPE = Attribute(
    "token_type",
    "The kind of token; cached and reasoning tokens are part of input and output.",
    values=("input", "output", "cache_read", "cache_write", "reasoning"),
)
GATE = Attribute("gate", "The guardrail that decided.", max_values=50)
GUARDRAIL_DECISION = Attribute(
    "decision", "What the guardrail decided.", values=("allow", "deny", "escalate", "redact")
)
REASON = Attribute("reason", "Why, as a short code.", max_values=100)
SELFRAG_DECISION = Attribute(
    "decision",
    "What self-RAG decided after grading.",
    values=("final", "retry", "escalate"),
    max_values=20,
)
AGENT_DECISION = Attribute("decision", "The decision an agent took.", max_values=100)
TURN_OUTCOME = Attribute(
    "outcome",
    "How the turn ended.",
    values=("ok", "error", "interrupted", "cancelled"),
    max_values=20,
)
WORKFLOW_TYPE = Attribute("workflow_type", "The kind of collaboration.", max_values=50)
COLLABORATION_OUTCOME = Attribute(
    "outcome", "How the collaboration ended.", values=("ok", "error"), max_values=20
)
CONFLICT_TYPE = Attribute("conflict_type", "What the agents disagreed about.", max_values=50)
RESOLUTION = Attribute("resolution", "How the conflict was settled.", max_values=50)
OUTCOME = Attribute("outcome", "The business outcome of the session.", max_values=50)
SUCCESS = Attribute("success", "Whether that outcome is the wished one.", values=("true", "false"))
FEEDBACK_SCORES = ("0.0-0.2", "0.2-0.4", "0.4-0.6", "0.6-0.8", "0.8-1.0")
"""The fifths that scores are counted by."""
FEEDBACK_KIND = Attribute(
    "kind",
    "The kind of feedback.",
    values=("thumb", "stars", "score", "text", "label"),
    max_values=20,
)
FEEDBACK_VALUE = Attribute(
    "value",
    "The feedback given: up or down, the number of stars, the fifth that the score lies in, the "
    "label; `given` for a text.",
    values=("up", "down", "1", "2", "3", "4", "5", *FEEDBACK_SCORES, "given"),
    max_values=50,
)
PROMPT = Attribute("prompt", "The name of the prompt.", max_values=200)
VERSION = Attribute("version", "The version of the prompt.", max_values=500)
VARIANT = Attribute("variant", "The variant in an experiment.", max_values=20)
SCOPE = Attribute("scope", "What the budget limits, for example `project`.", max_values=20)
SCOPE_VALUE = Attribute("scope_value", "Which of these.", max_values=500)
PERIOD = Attribute("period", "The budget's period.", values=("hour", "day", "week", "month"))
SPAN_RESULT = Attribute(
    "result",
    "What became of the span.",
    values=("created", "sampled_out", "exported", "spooled", "replayed", "dropped"),
)
SPAN_REASON = Attribute(
    "reason",
    "Why it was dropped or sampled out; `none` otherwise. Reasons that begin with `spool_` are of "
    "what was counted as spooled before.",
    values=(
        "none",
        "queue_full",
        "export_failed",
        "not_encoded",
        "refused",
        "shutdown",
        "killed",
        "spool_full",
        "spool_refused",
        "spool_corrupt",
        "sampler",
        "held_full",
        "no_exporter",
    ),
    max_values=20,
)
DESTINATION = Attribute("destination", "The receiver, for example `otlp`.", max_values=20)
DELIVERED_SIGNAL = Attribute(
    "signal", "The kind of telemetry.", values=("traces", "logs", "metrics")
)
DELIVERY_RESULT = Attribute(
    "result",
    "What became of the item.",
    values=("sampled_out", "exported", "spooled", "replayed", "dropped"),
)
REDACTION_KIND = Attribute("kind", "The kind of content that was redacted.", max_values=50)
OVERFLOW_METRIC = Attribute("metric", "The metric whose label overflowed.", max_values=200)
OVERFLOW_LABEL = Attribute("label", "The label that overflowed.", max_values=100)
LIBRARY = Attribute("library", "The library an instrumentor is for.", max_values=50)
INSTRUMENTED_STATE = Attribute(
    "state", "What became of it.", values=("active", "absent", "failed", "rival")
)
WHERE = Attribute("where", "The part of the shim that failed.", max_values=50)
SIGNAL = Attribute("signal", "The kind of telemetry.", values=("traces", "logs"))
REJECT_REASON = Attribute("reason", "Why a record was refused.", max_values=50)
METHOD = Attribute("method", "The HTTP method.", max_values=10)
ROUTE = Attribute("route", "The route's template, never the path itself.", max_values=100)
HTTP_STATUS = Attribute("status", "The HTTP status code.", max_values=60)
ALERT = Attribute("alert", "The name of the alert.", max_values=200)
SEVERITY = Attribute(
    "severity",
    "How urgent the alert is.",
    values=("critical", "warning", "info", "none"),
    max_values=10,
)
TEAM = Attribute("team", "Whose the alert is.", max_values=50)
ALERT_SERVICE = Attribute("service", "The service that the alert is about.", max_values=200)
ALERT_AGENT = Attribute("agent", "The agent that the alert is about.", max_values=200)

# Text and ids: they belong to spans and events, and are never labels.
SESSION_ID = Attribute("session.id", "The session (conversation) of the turn.")
TURN_ID = Attribute("midwatch.turn.id", "The turn within the session.")
CALL_ID = Attribute("midwatch.call_id", "The application's own id of the turn or call.")
CONVERSATION_ID = Attribute("gen_ai.conversation.id", "The conventions' name of the session.")
TURN_ENTRY_AGENT = Attribute("midwatch.turn.entry_agent", "The first agent of the turn.")
TURN_OUTCOME_SPAN = Attribute("midwatch.turn.outcome", "How the turn ended.")
TURN_STEPS = Attribute("midwatch.turn.steps", "The agent invocations of the turn.")
TURN_LLM_CALLS = Attribute("midwatch.turn.llm_calls", "The model calls of the turn.")
TURN_COST_USD = Attribute("midwatch.turn.cost_usd", "The cost of the turn.")
COST_USD = Attribute("midwatch.llm.cost_usd", "The cost of the model call, in US dollars.")
SPAN_AGENT = Attribute("gen_ai.agent.name", "The conventions' name of the acting agent.")

PROJECT = Attribute("midwatch.project", "The project (tenant) that the cost belongs to.")

RESOURCE_ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute("service.name", "The service."),
    Attribute("service.namespace", "The group of services it belongs to."),
    Attribute("service.version", "The version that runs."),
    Attribute("k8s.namespace.name", "The Kubernetes namespace of the pod."),
    Attribute("k8s.pod.name", "The pod."),
    Attribute("deployment.environment.name", "The environment, for example `production`."),
    PROJECT,
)
"""Resource attributes that Prometheus promotes to labels, dots written as underscores."""
