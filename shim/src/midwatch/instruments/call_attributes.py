"""What is on the span of a model call: read before it is priced, written before it ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import Span

from midwatch.instruments.facts import ModelCall
from midwatch.instruments.prices import Cost
from midwatch.registry.attributes import COST_USD, SPAN_AGENT
from midwatch.registry.span_attributes import (
    PRICE_EFFECTIVE_DATE,
    PRICE_TABLE,
    PRICE_VERSION,
    PROMPT_LABEL,
    PROMPT_NAME,
    PROMPT_VARIANT,
    PROMPT_VERSION,
    SERVED_BY_TIER,
    STREAM_CHUNKS,
    USAGE_MISSING,
)

_SERVICE_TIER = "openai.response.service_tier"
"""The conventions' name of the tier that served a call, which decides on its price."""


def with_prompt(call: ModelCall, span: Span | ReadableSpan) -> ModelCall:
    """The call with its prompt; the same call if it was made with none."""
    found = getattr(span, "attributes", None)
    # Nearly always a dictionary, which is quickly told.
    if not (type(found) is dict or isinstance(found, Mapping)) or PROMPT_NAME.name not in found:
        return call
    return replace(
        call,
        prompt=str(found[PROMPT_NAME.name]),
        prompt_version=str(found.get(PROMPT_VERSION.name, "")),
        prompt_variant=str(found.get(PROMPT_VARIANT.name, "")),
        prompt_label=str(found.get(PROMPT_LABEL.name, "")),
    )


def tier_in(attributes: Mapping[str, object]) -> str:
    """The service tier that a span's attributes tell, or nothing."""
    return str(attributes.get(_SERVICE_TIER) or attributes.get(SERVED_BY_TIER.name) or "")


def described(call: ModelCall, cost: Cost | None) -> dict[str, str | int | float]:
    """What a call says on its span: agent, cost, and where the price is from."""
    attributes: dict[str, str | int | float] = {SPAN_AGENT.name: call.agent}
    if call.chunks:
        attributes[STREAM_CHUNKS.name] = call.chunks
    if call.usage_missing:
        # A stream that was not asked for its usage, for example.
        attributes[USAGE_MISSING.name] = True
    if cost is not None:
        attributes[COST_USD.name] = float(cost.usd)
        attributes[PRICE_TABLE.name] = cost.table
        attributes[PRICE_VERSION.name] = cost.version
        if cost.effective_date:
            attributes[PRICE_EFFECTIVE_DATE.name] = cost.effective_date
    return attributes
