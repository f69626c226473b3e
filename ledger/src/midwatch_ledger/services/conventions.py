"""The attribute names that the ledger reads, and what its spans can be.

Names of Midwatch's own come from the shim's registry. The rest are OpenTelemetry's GenAI
conventions, the newer name first where a name has changed.
"""

from __future__ import annotations

from typing import Final

from midwatch.registry import attributes as registry
from midwatch.registry import span_attributes as spans

OPERATION: Final = "gen_ai.operation.name"
AGENT: Final = (registry.SPAN_AGENT.name, "gen_ai.agent.id")
WORKFLOW: Final = ("gen_ai.workflow.name",)
TOOL: Final = ("gen_ai.tool.name",)
PROVIDER: Final = ("gen_ai.provider.name", "gen_ai.system")
# The model that answered, else the one asked for: as the metric label `model` has it.
MODEL: Final = ("gen_ai.response.model", "gen_ai.request.model")
SESSION: Final = (registry.SESSION_ID.name, registry.CONVERSATION_ID.name)
TURN: Final = (registry.TURN_ID.name,)
PROJECT: Final = (registry.PROJECT.name,)
USER_HASH: Final = (spans.USER_HASH.name,)
SERVICE_VERSION: Final = ("service.version",)
ENTRY_AGENT: Final = (registry.TURN_ENTRY_AGENT.name,)
TURN_OUTCOME: Final = (registry.TURN_OUTCOME_SPAN.name,)
RUN_OUTCOME: Final = (spans.RUN_OUTCOME.name,)
ERROR_TYPE: Final = ("error.type",)

INPUT_TOKENS: Final = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens")
OUTPUT_TOKENS: Final = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens")
CACHE_READ_TOKENS: Final = ("gen_ai.usage.cache_read.input_tokens",)
CACHE_WRITE_TOKENS: Final = (
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation.input_tokens",
)
REASONING_TOKENS: Final = ("gen_ai.usage.reasoning.output_tokens",)
TIME_TO_FIRST_CHUNK: Final = ("gen_ai.response.time_to_first_chunk",)
STREAMING: Final = ("gen_ai.request.stream",)
STREAM_CHUNKS: Final = (spans.STREAM_CHUNKS.name,)
COST: Final = (registry.COST_USD.name,)
INPUT_COST: Final = (spans.INPUT_COST_USD.name,)
OUTPUT_COST: Final = (spans.OUTPUT_COST_USD.name,)
PRICE_TABLE: Final = (spans.PRICE_TABLE.name,)
PRICE_VERSION: Final = (spans.PRICE_VERSION.name,)
PRICE_EFFECTIVE_DATE: Final = (spans.PRICE_EFFECTIVE_DATE.name,)

PROMPT: Final = ("gen_ai.input.messages", "gen_ai.prompt")
RESPONSE: Final = ("gen_ai.output.messages", "gen_ai.completion")
INPUT_DATA: Final = ("gen_ai.tool.call.arguments", spans.INPUT.name, *PROMPT)
OUTPUT_DATA: Final = ("gen_ai.tool.call.result", spans.OUTPUT.name, *RESPONSE)
CONTENT: Final = frozenset((*INPUT_DATA, *OUTPUT_DATA))

# What S4's loggers say of an execution.
EXECUTION_ID: Final = (spans.EXECUTION_ID.name,)
EXECUTION_STATUS: Final = (spans.EXECUTION_STATUS.name,)
EXECUTION_METADATA: Final = (spans.EXECUTION_METADATA.name,)
EXECUTION_STEP: Final = (spans.EXECUTION_STEP.name,)
# The execution that a model call belongs to, where the application names it.
EXECUTION_LOG_ID: Final = (spans.EXECUTION_LOG_ID.name,)
ACTION_TYPE: Final = (spans.ACTION_TYPE.name,)
CALL_ID: Final = (registry.CALL_ID.name,)
REPORT_ID: Final = (spans.REPORT_ID.name,)
COMPLETION_ID: Final = (spans.COMPLETION_ID.name,)
WIDGET_ID: Final = (spans.WIDGET_ID.name,)
STEP_ID: Final = (spans.STEP_ID.name,)
EXTERNAL_PLATFORM: Final = (spans.EXTERNAL_PLATFORM.name,)
EXTERNAL_USER_ID: Final = (spans.EXTERNAL_USER_ID.name,)
PROMPT_NAME: Final = ("gen_ai.prompt.name", spans.PROMPT_NAME.name)
PROMPT_VERSION: Final = ("gen_ai.prompt.version", spans.PROMPT_VERSION.name)
PROMPT_LABEL: Final = (spans.PROMPT_LABEL.name,)
PROMPT_VARIANT: Final = (spans.PROMPT_VARIANT.name,)

MODEL_CALLS: Final = frozenset({"chat", "generate_content", "text_completion", "embeddings"})
EXECUTIONS: Final = frozenset(
    {"invoke_workflow", "invoke_agent", "create_agent", "execute_tool", "plan", "retrieval"}
)
# Executions that an agent makes, as opposed to those that are an agent or a workflow themselves.
DONE_BY_AGENT: Final = frozenset({"execute_tool", "plan", "retrieval"})
TOOL_CALL: Final = "execute_tool"

LLM_CALL_ROLE: Final = "llm_call"
EXECUTION_ROLE: Final = "execution"
TURN_STEP: Final = "turn"
