"""Every event of Midwatch and what its metadata holds."""

from __future__ import annotations

from midwatch.registry import attributes as a
from midwatch.registry import span_attributes as spans
from midwatch.registry.model import Attribute, Event

_S1 = "S1 (cost and feedback)"
_S2 = "S2 (call monitoring)"
_S3 = "S3 (multi-agent observability)"
_S5 = "S5 (simulation tracing)"

SECONDS = Attribute("seconds", "How long it took.")
ERROR = Attribute("error", "What went wrong, as the type of the exception or a short text.")
DETAIL = Attribute("detail", "Why, in words.")
ATTEMPT = Attribute("attempt", "The number of the attempt, from 1.")
DOCUMENTS = Attribute("documents", "How many documents.")
RELEVANT = Attribute("relevant", "How many of them were graded relevant.")
CONFIDENCE = Attribute("confidence", "How sure the agent was, from 0 to 1.")
CORRECT = Attribute("correct", "Whether the decision has proved right, if that is known.")
PARTICIPANTS = Attribute("participants", "The agents that take part.")
REPEATS = Attribute("repeats", "How often the turn has made this handoff.")
STEPS = Attribute("steps", "Agent invocations of the turn.")
LLM_CALLS = Attribute("llm_calls", "Model calls of the turn.")
COST = Attribute("cost", "The cost in US dollars, as a decimal text; absent if not known.")
FROM_STATE = Attribute("from_state", "The state before.")
TO_STATE = Attribute("to_state", "The state after.")
COMMENT = Attribute("comment", "The user's own words, by content policy.")
SCORE = Attribute("score", "The score, brought to the range from 0 to 1.")
FEEDBACK_LABELS = Attribute("labels", "The labels that the feedback has.")

_LLM_FIELDS = (
    Attribute("agent_id", "The agent that asked."),
    Attribute("task_id", "The task it asked for."),
    Attribute("timestamp_prompt", "When it asked (RFC 3339, UTC)."),
    Attribute("timestamp_response", "When the answer was complete (RFC 3339, UTC)."),
    Attribute("llm_model_name", "The model that answered, else the one asked for."),
    Attribute("llm_parameters", "The parameters of the call."),
    Attribute("prompt_text", "The prompt, by content policy."),
    Attribute("response_text", "The answer, by content policy."),
    Attribute("prompt_tokens", "Input tokens."),
    Attribute("completion_tokens", "Output tokens."),
    Attribute("total_tokens", "Both."),
    COST,
    ERROR,
    a.PROVIDER,
    a.LLM_STATUS,
    a.ERROR_TYPE,
    SECONDS,
    Attribute("time_to_first_token", "Seconds to the first token of a stream."),
    Attribute("cache_read_tokens", "Input tokens read from a cache."),
    Attribute("cache_write_tokens", "Input tokens written to a cache."),
    Attribute("reasoning_tokens", "Output tokens spent on reasoning."),
    a.PROMPT,
    Attribute("prompt_version", "The version of the managed prompt that the call was made with."),
    Attribute("prompt_variant", "The arm of an experiment that chose it, if one did."),
    Attribute("prompt_label", "The label by which it was asked for."),
)

TURN_STARTED = Event("turn.started", "A turn began.", origin=_S2)
TURN_FINISHED = Event(
    "turn.finished",
    "A turn ended.",
    (a.ENTRY_AGENT, a.TURN_OUTCOME, SECONDS, STEPS, LLM_CALLS, COST, ERROR),
    origin=_S2,
)
ROUTE_SELECTED = Event(
    "route.selected",
    "A router chose an agent.",
    (a.SELECTED_AGENT, DETAIL),
    identity=("selected_agent",),
    origin=_S3,
)
HANDOFF = Event(
    "handoff",
    "An agent handed over to another.",
    (a.FROM_AGENT, a.TO_AGENT, DETAIL),
    identity=("from_agent", "to_agent"),
    origin=_S3,
)
HANDOFF_LOOP = Event(
    "handoff.loop",
    "A turn repeats a handoff.",
    (a.FROM_AGENT, a.TO_AGENT, REPEATS),
    identity=("from_agent", "to_agent"),
    origin=_S3,
)
TOOL_STARTED = Event(
    "tool.started", "A tool call began.", (a.AGENT, a.TOOL), identity=("agent", "tool"), origin=_S3
)
TOOL_FINISHED = Event(
    "tool.finished",
    "A tool call ended.",
    (a.AGENT, a.TOOL, a.TOOL_STATUS, SECONDS, ERROR),
    identity=("agent", "tool", "status"),
    origin=_S3,
)
GUARDRAIL_DECIDED = Event(
    "guardrail.decided",
    "A guardrail decided.",
    (a.GATE, a.GUARDRAIL_DECISION, a.REASON, DETAIL),
    identity=("gate", "decision", "reason"),
    origin=_S3,
)
SELFRAG_RETRIEVED = Event(
    "selfrag.retrieved",
    "Self-RAG retrieved documents.",
    (DOCUMENTS, ATTEMPT),
    identity=("attempt",),
    origin=_S3,
)
SELFRAG_GRADED = Event(
    "selfrag.graded",
    "Self-RAG graded what it retrieved.",
    (DOCUMENTS, RELEVANT, ATTEMPT),
    identity=("attempt",),
    origin=_S3,
)
SELFRAG_DECIDED = Event(
    "selfrag.decided",
    "Self-RAG decided.",
    (a.SELFRAG_DECISION, a.REASON, ATTEMPT),
    identity=("decision", "reason"),
    origin=_S3,
)
LLM_CALLED = Event("llm.called", "A model was called.", _LLM_FIELDS, origin=_S1)
DECISION_MADE = Event(
    "decision.made",
    "An agent decided.",
    (a.AGENT, a.AGENT_DECISION, CONFIDENCE, CORRECT, DETAIL),
    identity=("agent", "decision"),
    origin=_S5,
)
MESSAGE_SENT = Event(
    "message.sent",
    "An agent sent another a message.",
    (a.FROM_AGENT, a.TO_AGENT),
    identity=("from_agent", "to_agent"),
    origin=_S5,
)
COLLABORATION_STARTED = Event(
    "collaboration.started",
    "Agents began to work together.",
    (a.WORKFLOW_TYPE, PARTICIPANTS),
    identity=("workflow_type",),
    origin=_S5,
)
COLLABORATION_FINISHED = Event(
    "collaboration.finished",
    "Agents ended their work together.",
    (a.WORKFLOW_TYPE, a.COLLABORATION_OUTCOME, PARTICIPANTS, SECONDS),
    identity=("workflow_type", "outcome"),
    origin=_S5,
)
CONFLICT_DETECTED = Event(
    "conflict.detected",
    "Agents disagreed.",
    (a.CONFLICT_TYPE, PARTICIPANTS),
    identity=("conflict_type",),
    origin=_S5,
)
CONFLICT_RESOLVED = Event(
    "conflict.resolved",
    "A conflict was settled.",
    (a.CONFLICT_TYPE, a.RESOLUTION, PARTICIPANTS),
    identity=("conflict_type", "resolution"),
    origin=_S5,
)
STATE_CHANGED = Event(
    "state.changed",
    "The state of a session or an agent changed.",
    (a.AGENT, FROM_STATE, TO_STATE),
    identity=("agent", "from_state", "to_state"),
    origin=_S2,
)
OUTCOME_RECORDED = Event(
    "outcome.recorded",
    "A business outcome was recorded.",
    (a.OUTCOME, a.SUCCESS),
    identity=("outcome",),
    origin=_S2,
)
FEEDBACK_RECORDED = Event(
    "feedback.recorded",
    "A user gave feedback.",
    (a.FEEDBACK_KIND, a.FEEDBACK_VALUE, SCORE, FEEDBACK_LABELS, COMMENT),
    identity=("kind", "value"),
    origin=_S1,
)
PROMPT_USED = Event(
    "prompt.used",
    "A managed prompt was used.",
    (a.PROMPT, a.VERSION, a.VARIANT),
    identity=("prompt", "version"),
    origin=_S1,
)
BUDGET_EXCEEDED = Event(
    "budget.exceeded",
    "A budget was exceeded.",
    (a.SCOPE, a.SCOPE_VALUE, a.PERIOD, COST),
    identity=("scope", "scope_value", "period"),
    origin=_S2,
)
SPAN_SAMPLED_OUT = Event(
    "span.sampled_out",
    "A span of agents' work was sampled out; with all attributes of the span besides these. "
    "It is told by OTLP only, and the ledger makes of it what it would have made of the span.",
    (
        spans.SPAN_NAME,
        spans.SPAN_KIND,
        spans.SPAN_PARENT,
        spans.SPAN_STARTED,
        spans.SPAN_ENDED,
        spans.SPAN_STATUS,
        spans.SPAN_STATUS_MESSAGE,
    ),
)

EVENTS: tuple[Event, ...] = (
    TURN_STARTED,
    TURN_FINISHED,
    ROUTE_SELECTED,
    HANDOFF,
    HANDOFF_LOOP,
    TOOL_STARTED,
    TOOL_FINISHED,
    GUARDRAIL_DECIDED,
    SELFRAG_RETRIEVED,
    SELFRAG_GRADED,
    SELFRAG_DECIDED,
    LLM_CALLED,
    DECISION_MADE,
    MESSAGE_SENT,
    COLLABORATION_STARTED,
    COLLABORATION_FINISHED,
    CONFLICT_DETECTED,
    CONFLICT_RESOLVED,
    STATE_CHANGED,
    OUTCOME_RECORDED,
    FEEDBACK_RECORDED,
    PROMPT_USED,
    BUDGET_EXCEEDED,
    SPAN_SAMPLED_OUT,
)
"""Every event, in the order in which they are documented."""

EVENTS_BY_NAME: dict[str, Event] = {event.name: event for event in EVENTS}
"""Every event by its name."""
