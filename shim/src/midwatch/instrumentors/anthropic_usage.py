"""What decides on the price of an Anthropic call, and its official instrumentation leaves out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import wrapt
from opentelemetry.util.genai._inference_invocation import InferenceInvocation

from midwatch.pipeline.failures import FAILURES
from midwatch.registry.span_attributes import CACHE_WRITE_1H_TOKENS, SERVED_BY_TIER

_READER = "opentelemetry.instrumentation.genai.anthropic.wrappers"
_READS = "set_invocation_response_attributes"


def read_usage() -> None:
    """Have the tier that served a call, and what it wrote to a cache for an hour, on its span.

    Raises:
        AttributeError: the official instrumentation reads answers in another way than it did.
    """
    if not isinstance(_reader(), wrapt.ObjectProxy):
        wrapt.wrap_function_wrapper(_READER, _READS, _after_reading)


def _reader() -> object:
    _, _, reader = wrapt.resolve_path(_READER, _READS)
    return reader


def _after_reading(
    wrapped: Callable[..., None], _: object, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    wrapped(*args, **kwargs)
    try:
        _note(*args, **kwargs)
    except Exception as error:
        FAILURES.note("model_client", error)


def _note(invocation: InferenceInvocation, message: object, *_: object, **__: object) -> None:
    usage = getattr(message, "usage", None)
    tier = getattr(usage, "service_tier", None)
    if isinstance(tier, str) and tier:
        invocation.attributes[SERVED_BY_TIER.name] = tier
    for_an_hour = getattr(getattr(usage, "cache_creation", None), "ephemeral_1h_input_tokens", None)
    if isinstance(for_an_hour, int) and for_an_hour > 0:
        invocation.attributes[CACHE_WRITE_1H_TOKENS.name] = for_an_hour
