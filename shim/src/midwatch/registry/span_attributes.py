"""The attributes of spans and log records: Midwatch's own, and the conventions' that it leans on.

They are never labels. What the ledger reads and the shim does not write yet is declared here too,
so that both know one name.
"""

from __future__ import annotations

from midwatch.registry import attributes as a
from midwatch.registry.model import Attribute

NODE_NAME = Attribute("midwatch.node.name", "The graph's node that is no agent.")
RUN_OUTCOME = Attribute(
    "midwatch.run.outcome",
    "How the run ended if neither well nor with an error.",
    values=("interrupted", "cancelled"),
)
RUN_ATTEMPT = Attribute(
    "midwatch.run.attempt",
    "Which attempt the span is of a node that was run again after a failure, from 2.",
)
RESUMED_TRACE_ID = Attribute(
    "midwatch.run.resumed_trace_id",
    "The trace of the interrupted run that this one resumes; the span links to it.",
)
LINK_KIND = Attribute(
    "midwatch.link.kind", "What a link to another span means.", values=("resumes",)
)
USER_HASH = Attribute("user.hash", "The user's id, hashed; the id itself never leaves the process.")
RETRIEVED_DOCUMENTS = Attribute(
    "midwatch.retrieval.documents", "How many documents a retrieval brought."
)
TOOL_STATUS = Attribute(
    "midwatch.tool.status",
    "How the tool call ended.",
    values=(*a.TOOL_STATUS.values, "cancelled"),
)

LLM_CACHED = Attribute(
    "midwatch.llm.cached", "Whether the framework's own cache answered, at no cost."
)
INPUT_COST_USD = Attribute(
    "midwatch.llm.input_cost_usd", "The part of the cost that the input made, in US dollars."
)
OUTPUT_COST_USD = Attribute(
    "midwatch.llm.output_cost_usd", "The part of the cost that the output made, in US dollars."
)
PRICE_TABLE = Attribute("midwatch.llm.price.table", "The table that the price is from.")
PRICE_VERSION = Attribute("midwatch.llm.price.version", "The version of that table.")
PRICE_EFFECTIVE_DATE = Attribute(
    "midwatch.llm.price.effective_date", "Since when the price has been valid (ISO 8601)."
)
SERVED_BY_TIER = Attribute(
    "midwatch.llm.service_tier",
    "The service tier that served the call, where the conventions have no name for it.",
)
CACHE_WRITE_1H_TOKENS = Attribute(
    "midwatch.llm.cache_write_1h_tokens",
    "The part of the tokens written to a cache that it keeps for an hour, at a higher price.",
)
STREAM_CHUNKS = Attribute("midwatch.llm.stream_chunks", "The chunks that a stream brought.")
USAGE_MISSING = Attribute(
    "midwatch.llm.usage_missing",
    "Whether the answer came without its token counts, so that its cost is not known.",
)

EXECUTION_STEP = Attribute("midwatch.execution.step", "The step of the application's own process.")
ACTION_TYPE = Attribute("midwatch.execution.action_type", "The kind of action that was executed.")
EXECUTION_ID = Attribute(
    "midwatch.execution.id", "The application's id of what several executions belong to."
)
EXECUTION_STATUS = Attribute(
    "midwatch.execution.status",
    "How the execution or the model call ended, as the application says.",
    values=("started", "completed", "failed", "cancelled"),
)
EXECUTION_METADATA = Attribute(
    "midwatch.execution.metadata", "What else the application says of the execution, as JSON."
)
EXECUTION_LOG_ID = Attribute(
    "midwatch.execution.log_id", "The execution that a model call is said to belong to."
)
EVENT_TYPE = Attribute("midwatch.simulation.event_type", "The kind of event that began the work.")
TRIGGER_SOURCE = Attribute("midwatch.simulation.trigger_source", "Where that event came from.")
WORKFLOW_ID = Attribute("midwatch.workflow.id", "The application's id of the agents' joint work.")
PARTICIPANTS = Attribute("midwatch.workflow.participants", "The agents that take part.")
REPORT_ID = Attribute("midwatch.report.id", "The application's report that the work is for.")
COMPLETION_ID = Attribute("midwatch.completion.id", "The application's id of the completion.")
WIDGET_ID = Attribute("midwatch.widget.id", "The application's widget that the work is for.")
STEP_ID = Attribute("midwatch.step.id", "The application's id of the step.")
EXTERNAL_PLATFORM = Attribute(
    "midwatch.external.platform", "The platform outside that the user came from."
)
EXTERNAL_USER_ID = Attribute("midwatch.external.user_id", "The user's id on that platform.")
PROMPT_NAME = Attribute("midwatch.prompt.name", "The managed prompt that was used.")
PROMPT_VERSION = Attribute("midwatch.prompt.version", "The version of the prompt.")
PROMPT_VARIANT = Attribute(
    "midwatch.prompt.variant", "The arm of an experiment that chose the version, if one did."
)
PROMPT_LABEL = Attribute("midwatch.prompt.label", "The label by which the prompt was asked for.")
PROMPTS_USED = Attribute(
    "midwatch.prompt.all",
    "Each prompt of a call that used several, as `name@version`, in the order of their rendering.",
)
SPAN_NAME = Attribute("midwatch.span.name", "The name of a span that was sampled out.")
SPAN_KIND = Attribute(
    "midwatch.span.kind",
    "Its kind.",
    values=("internal", "server", "client", "producer", "consumer"),
)
SPAN_PARENT = Attribute(
    "midwatch.span.parent_id", "The nearest span above it that is told; absent if it is the first."
)
SPAN_STARTED = Attribute(
    "midwatch.span.started_unix_nano", "When it began, in nanoseconds of Unix time."
)
SPAN_ENDED = Attribute(
    "midwatch.span.ended_unix_nano", "When it ended, in nanoseconds of Unix time."
)
SPAN_STATUS = Attribute("midwatch.span.status", "Its status.", values=("unset", "ok", "error"))
SPAN_STATUS_MESSAGE = Attribute(
    "midwatch.span.status_message", "What its status says, by content policy."
)
SAMPLED_OUT = Attribute(
    "midwatch.span.sampled_out",
    "On what the ledger keeps of a span that was sampled out: no other store has its trace.",
)
FEEDBACK_KIND = Attribute(
    "midwatch.feedback.kind",
    "The kind of feedback that the span tells of; samplers keep the trace of such a span.",
)
FEEDBACK_VALUE = Attribute("midwatch.feedback.value", "The feedback itself.")
INPUT = Attribute("midwatch.input", "What the execution was given, by content policy.")
OUTPUT = Attribute("midwatch.output", "What the execution gave back, by content policy.")

SPAN_ATTRIBUTES: tuple[Attribute, ...] = (
    a.SESSION_ID,
    a.TURN_ID,
    a.CALL_ID,
    a.CONVERSATION_ID,
    a.SPAN_AGENT,
    a.TURN_ENTRY_AGENT,
    a.TURN_OUTCOME_SPAN,
    a.TURN_STEPS,
    a.TURN_LLM_CALLS,
    a.TURN_COST_USD,
    NODE_NAME,
    RUN_OUTCOME,
    RUN_ATTEMPT,
    RESUMED_TRACE_ID,
    LINK_KIND,
    USER_HASH,
    RETRIEVED_DOCUMENTS,
    TOOL_STATUS,
    a.COST_USD,
    INPUT_COST_USD,
    OUTPUT_COST_USD,
    PRICE_TABLE,
    PRICE_VERSION,
    PRICE_EFFECTIVE_DATE,
    LLM_CACHED,
    SERVED_BY_TIER,
    CACHE_WRITE_1H_TOKENS,
    STREAM_CHUNKS,
    USAGE_MISSING,
    EXECUTION_STEP,
    ACTION_TYPE,
    EXECUTION_ID,
    EXECUTION_STATUS,
    EXECUTION_METADATA,
    EXECUTION_LOG_ID,
    EVENT_TYPE,
    TRIGGER_SOURCE,
    WORKFLOW_ID,
    PARTICIPANTS,
    REPORT_ID,
    COMPLETION_ID,
    WIDGET_ID,
    STEP_ID,
    EXTERNAL_PLATFORM,
    EXTERNAL_USER_ID,
    PROMPT_NAME,
    PROMPT_VERSION,
    PROMPT_VARIANT,
    PROMPT_LABEL,
    PROMPTS_USED,
    FEEDBACK_KIND,
    FEEDBACK_VALUE,
    INPUT,
    OUTPUT,
    SAMPLED_OUT,
)
"""Every attribute of spans and log records, in the order in which they are documented."""
