"""Models and spend: which model is slow, failing or dear, and who pays for it."""

from __future__ import annotations

from builders import links
from builders.models_spend import BUDGETS, PROMPTS, SPEND, UNKNOWN
from builders.promql import AGENT as _AGENT
from builders.promql import (
    AGENTS,
    MODELS,
    NAMESPACE,
    SERVICES,
    in_range,
    marks,
    per_second,
    share,
    spread,
)
from builders.promql import RATE as _RATE
from builders.promql import SERVICE as _SERVICE
from builders.spec import Board, Panel, Query, Row

UID = "midwatch-models"

_MODEL = f'{_AGENT},model=~"$model"'
_CALLS = "agent_llm_requests_total"
_OF_MODEL = 'span.gen_ai.request.model="${__field.labels.model}"'


def _now(panel: int, title: str, description: str, unit: str, query: str) -> Panel:
    return Panel(panel, title, description, unit, (Query(query),), kind="stat", width=4, height=4)


_RIGHT_NOW = Row(
    10,
    "Right now",
    (
        _now(
            11,
            "Model calls a second",
            "Calls that ended, successful or not.",
            "reqps",
            f"sum(rate({_CALLS}{{{_MODEL}}}{_RATE}))",
        ),
        _now(
            12,
            "Failed calls",
            "Share of the calls that ended in an error, rate limits among them.",
            "percentunit",
            f'(sum(rate({_CALLS}{{{_MODEL},status="error"}}{_RATE})) or vector(0)) / '
            f"(sum(rate({_CALLS}{{{_MODEL}}}{_RATE})) > 0)",
        ),
        _now(
            13,
            "Tokens a second",
            "Input and output; cached and reasoning tokens are part of them.",
            "short",
            f'sum(rate(agent_llm_tokens_total{{{_MODEL},token_type=~"input|output"}}{_RATE}))',
        ),
        _now(
            14,
            "Spend an hour",
            "Cost of model calls at the present rate.",
            "currencyUSD",
            f"3600 * sum(rate(agent_llm_cost_usd_total{{{_MODEL}}}{_RATE}))",
        ),
        _now(
            15,
            "Total cost",
            "Cost of the model calls in the time that the board shows.",
            "currencyUSD",
            in_range("agent_llm_cost_usd_total", "", _MODEL),
        ),
        _now(
            16,
            "Model calls",
            "Calls in the time that the board shows.",
            "short",
            in_range(_CALLS, "", _MODEL),
        ),
    ),
)

_PERFORMANCE = Row(
    20,
    "Performance",
    (
        Panel(
            21,
            "Calls by model",
            "Calls a second, by provider and model.",
            "reqps",
            (
                Query(
                    per_second(_CALLS, "provider, model", _MODEL),
                    "{{provider}} {{model}}",
                ),
            ),
            links=(links.traces(_OF_MODEL),),
        ),
        Panel(
            22,
            "Failed calls by model",
            "Share of the calls that ended in an error, rate limits among them.",
            "percentunit",
            (Query(share(_CALLS, "model", _MODEL, 'status="error"'), "{{model}}"),),
            links=(links.traces(_OF_MODEL, links.FAILED),),
        ),
        Panel(
            23,
            "Failures by kind",
            "Failed calls a second, by kind of error; rate_limit is the provider's 429.",
            "reqps",
            (
                Query(
                    per_second(_CALLS, "provider, error_type", f'{_MODEL},status="error"'),
                    "{{provider}} {{error_type}}",
                ),
            ),
            no_value="none fails",
        ),
        Panel(
            24,
            "Call duration",
            "95 % of the calls are faster than p95, half of them than p50. The dots are single "
            "calls; click one for its trace.",
            "s",
            spread("agent_llm_latency_seconds", "model", _MODEL, "{{model}}"),
            links=(links.traces(_OF_MODEL),),
        ),
        Panel(
            25,
            "Time to the first token",
            "How long people look at nothing: of streamed calls only.",
            "s",
            spread("agent_llm_time_to_first_token_seconds", "model", _MODEL, "{{model}}"),
            no_value="no streams",
        ),
        Panel(
            26,
            "Pieces of streams",
            "Chunks a second that streamed answers came in.",
            "short",
            (Query(per_second("agent_llm_stream_chunks_total", "model", _MODEL), "{{model}}"),),
            no_value="no streams",
        ),
    ),
)

_KIND = f"{_MODEL},token_type="

_TOKENS = Row(
    30,
    "Tokens",
    (
        Panel(
            31,
            "Tokens by kind",
            "Tokens a second; cached and reasoning tokens are part of input and output.",
            "short",
            (
                Query(
                    per_second("agent_llm_tokens_total", "model, token_type", _MODEL),
                    "{{model}} {{token_type}}",
                ),
            ),
        ),
        Panel(
            32,
            "Tokens of a call",
            "Mean of the tokens that one call uses.",
            "short",
            (
                Query(
                    per_second("agent_llm_tokens_total", "model", f'{_KIND}~"input|output"')
                    + f" / ({per_second(_CALLS, 'model', _MODEL)} > 0)",
                    "{{model}}",
                ),
            ),
        ),
        Panel(
            33,
            "Input read from the cache",
            "Share of the input tokens that the provider had cached; these are cheaper.",
            "percentunit",
            (
                Query(
                    per_second("agent_llm_tokens_total", "model", f'{_KIND}"cache_read"')
                    + " / ("
                    + per_second("agent_llm_tokens_total", "model", f'{_KIND}"input"')
                    + " > 0)",
                    "{{model}}",
                ),
            ),
            no_value="nothing cached",
        ),
    ),
)

MODELS_BOARD = Board(
    UID,
    "Midwatch / Models and spend",
    "Which model is slow, failing or dear, and where does the money go?",
    (NAMESPACE, SERVICES, AGENTS, MODELS),
    (_RIGHT_NOW, _PERFORMANCE, _TOKENS, SPEND, BUDGETS, UNKNOWN, PROMPTS),
    marks(_SERVICE),
)
