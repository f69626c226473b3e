"""The metrics of model calls."""

from __future__ import annotations

from midwatch.registry import attributes as a
from midwatch.registry.model import Instrument, Metric

_COUNTER = Instrument.COUNTER
_HISTOGRAM = Instrument.HISTOGRAM

_S1 = "S1 (cost and feedback)"
_S4 = "S4 (execution logs)"

_LLM_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0)
_FIRST_TOKEN_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)

# What a model call is at zero before it first fails: each error by its type, and success.
_LLM_SIBLINGS = (
    (("status", "ok"), ("error_type", "none")),
    *(
        (("status", "error"), ("error_type", error))
        for error in a.ERROR_TYPE.values
        if error != "none"
    ),
)

AGENT_LLM_REQUESTS = Metric(
    "agent.llm.requests",
    _COUNTER,
    "{request}",
    "Model calls, by how they ended.",
    (a.AGENT, a.PROVIDER, a.MODEL, a.LLM_STATUS, a.ERROR_TYPE),
    siblings=_LLM_SIBLINGS,
    origin=_S1,
)
AGENT_LLM_LATENCY = Metric(
    "agent.llm.latency",
    _HISTOGRAM,
    "s",
    "How long model calls took.",
    (a.AGENT, a.PROVIDER, a.MODEL),
    _LLM_SECONDS,
    origin=_S1,
)
AGENT_LLM_TIME_TO_FIRST_TOKEN = Metric(
    "agent.llm.time_to_first_token",
    _HISTOGRAM,
    "s",
    "How long a streamed answer took to begin.",
    (a.AGENT, a.PROVIDER, a.MODEL),
    _FIRST_TOKEN_SECONDS,
    origin=_S1,
)
AGENT_LLM_TOKENS = Metric(
    "agent.llm.tokens",
    _COUNTER,
    "{token}",
    "Tokens of model calls, by kind.",
    (a.AGENT, a.PROVIDER, a.MODEL, a.TOKEN_TYPE),
    origin=_S1,
)
AGENT_LLM_COST_USD = Metric(
    "agent.llm.cost_usd",
    _COUNTER,
    "{USD}",
    "Cost of model calls in US dollars.",
    (a.AGENT, a.PROVIDER, a.MODEL),
    origin=_S1,
)
AGENT_LLM_UNPRICED_TOKENS = Metric(
    "agent.llm.unpriced_tokens",
    _COUNTER,
    "{token}",
    "Tokens of models whose price is not known.",
    (a.PROVIDER, a.MODEL),
    origin=_S4,
)
AGENT_LLM_STREAM_CHUNKS = Metric(
    "agent.llm.stream_chunks",
    _COUNTER,
    "{chunk}",
    "Chunks of streamed answers.",
    (a.AGENT, a.PROVIDER, a.MODEL),
    origin=_S4,
)
LLM_USAGE_MISSING = Metric(
    "midwatch.llm.usage_missing",
    _COUNTER,
    "{call}",
    "Model calls that came without token counts: neither their tokens nor their cost are known.",
    (a.PROVIDER, a.MODEL),
)

LLM_METRICS: tuple[Metric, ...] = (
    AGENT_LLM_REQUESTS,
    AGENT_LLM_LATENCY,
    AGENT_LLM_TIME_TO_FIRST_TOKEN,
    AGENT_LLM_TOKENS,
    AGENT_LLM_COST_USD,
    AGENT_LLM_UNPRICED_TOKENS,
    AGENT_LLM_STREAM_CHUNKS,
    LLM_USAGE_MISSING,
)
"""The metrics of model calls, in the order in which they are documented."""
