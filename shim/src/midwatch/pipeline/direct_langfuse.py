"""Direct export to Langfuse: its OTLP endpoint, its keys, and the attributes it reads.

Langfuse reads the conventions' own attributes too. What is set here is what it reads first, and
where the conventions leave a choice: cached and reasoning tokens are not counted twice.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode

from midwatch.config import Langfuse
from midwatch.pipeline.direct_mapping import (
    Attributes,
    MappedEncoder,
    TraceShare,
    as_json,
    is_root,
    usage_of,
)
from midwatch.pipeline.otlp_encoders import span_encoder
from midwatch.pipeline.transport_http import HttpTarget, HttpTransport
from midwatch.registry import attributes as a
from midwatch.registry import span_attributes as s

PATH = "/api/public/otel/v1/traces"

_TYPES = {
    "chat": "generation",
    "text_completion": "generation",
    "generate_content": "generation",
    "embeddings": "embedding",
    "execute_tool": "tool",
    "invoke_agent": "agent",
    "create_agent": "agent",
    "invoke_workflow": "chain",
    "retrieval": "retriever",
}
_ENVIRONMENT = re.compile(r"^(?!langfuse)[a-z0-9_-]{1,40}$")
_PARAMETERS = "gen_ai.request."


def langfuse_transport(settings: Langfuse) -> HttpTransport:
    """Sends to the host's OTLP endpoint with the two keys."""
    pair = f"{settings.public_key}:{settings.secret_key}".encode()
    headers = {"Authorization": f"Basic {b64encode(pair).decode('ascii')}"}
    target = HttpTarget(f"{settings.host.rstrip('/')}{PATH}", headers, compression="gzip")
    return HttpTransport(target, "langfuse")


def langfuse_encoder(settings: Langfuse) -> MappedEncoder:
    """Encodes the share of traces that the settings ask for, with Langfuse's attributes."""
    ratio = settings.sample_rate if settings.enable_sampling else 1.0
    share = TraceShare(ratio, settings.max_latency_ms) if settings.enable_sampling else None
    return MappedEncoder(span_encoder("http/json"), langfuse_attributes, share)


def langfuse_attributes(span: ReadableSpan) -> Attributes:
    """What Langfuse reads besides the conventions."""
    own = span.attributes or {}
    found = {**_whose(span, own), **_kind(own), **_model_call(span, own), **_prompt(own)}
    if is_root(span):
        found["langfuse.trace.name"] = span.name
        found |= _tags(own)
    if span.status.status_code is StatusCode.ERROR:
        found["langfuse.observation.level"] = "ERROR"
        found["langfuse.observation.status_message"] = span.status.description or str(
            own.get("error.type", "")
        )
    elif s.RUN_OUTCOME.name in own:
        found["langfuse.observation.level"] = "WARNING"
        found["langfuse.observation.status_message"] = str(own[s.RUN_OUTCOME.name])
    return found


def _whose(span: ReadableSpan, own: Mapping[str, Any]) -> Attributes:
    """Session, user, environment and release."""
    found: Attributes = {}
    session = own.get(a.SESSION_ID.name) or own.get(a.CONVERSATION_ID.name)
    if session:
        found["langfuse.session.id"] = str(session)
    user = own.get(s.USER_HASH.name) or own.get(s.EXTERNAL_USER_ID.name)
    if user:
        found["langfuse.user.id"] = str(user)
    resource = span.resource.attributes
    environment = str(resource.get("deployment.environment.name", "")).lower()
    if _ENVIRONMENT.match(environment):
        found["langfuse.environment"] = environment
    if resource.get("service.version"):
        found["langfuse.release"] = str(resource["service.version"])
    return found


def _kind(own: Mapping[str, Any]) -> Attributes:
    kind = _TYPES.get(str(own.get("gen_ai.operation.name", "")), "span")
    found: Attributes = {"langfuse.observation.type": kind}
    for name, attribute in (("input", s.INPUT), ("output", s.OUTPUT)):
        if attribute.name in own:
            found[f"langfuse.observation.{name}"] = str(own[attribute.name])
    return found


def _model_call(span: ReadableSpan, own: Mapping[str, Any]) -> Attributes:
    """Model, parameters, tokens, cost, and when the answer began."""
    model = own.get("gen_ai.response.model") or own.get("gen_ai.request.model")
    if not model:
        return {}
    found: Attributes = {"langfuse.observation.model.name": str(model)}
    parameters = {
        name.removeprefix(_PARAMETERS): value
        for name, value in own.items()
        if name.startswith(_PARAMETERS)
        and name != "gen_ai.request.model"
        and isinstance(value, (str, int, float))
    }
    if parameters:
        found["langfuse.observation.model.parameters"] = as_json(parameters)
    found |= _usage(own) | _cost(own)
    first = own.get("gen_ai.response.time_to_first_chunk")
    if isinstance(first, (int, float)) and span.start_time:
        began = datetime.fromtimestamp(span.start_time / 1e9 + first, UTC)
        found["langfuse.observation.completion_start_time"] = began.isoformat()
    return found


def _usage(own: Mapping[str, Any]) -> Attributes:
    """Tokens by kind. Langfuse adds the kinds up, so that each token must be in one only."""
    usage = usage_of(own)
    if usage is None:
        return {}
    details = {
        "input": max(usage.input - usage.cache_read - usage.cache_write, 0),
        "output": max(usage.output - usage.reasoning, 0),
        "input_cache_read": usage.cache_read,
        "input_cache_creation": usage.cache_write,
        "output_reasoning": usage.reasoning,
        "total": usage.input + usage.output,
    }
    kept = {kind: count for kind, count in details.items() if count or "_" not in kind}
    return {"langfuse.observation.usage_details": as_json(kept)}


def _cost(own: Mapping[str, Any]) -> Attributes:
    names = (("input", s.INPUT_COST_USD), ("output", s.OUTPUT_COST_USD), ("total", a.COST_USD))
    costs = {kind: own[attribute.name] for kind, attribute in names if attribute.name in own}
    return {"langfuse.observation.cost_details": as_json(costs)} if "total" in costs else {}


def _prompt(own: Mapping[str, Any]) -> Attributes:
    """The prompt; Langfuse counts versions, so that others than numbers cannot be linked."""
    version = str(own.get(s.PROMPT_VERSION.name, ""))
    if s.PROMPT_NAME.name not in own or not version.isdigit():
        return {}
    return {
        "langfuse.observation.prompt.name": str(own[s.PROMPT_NAME.name]),
        "langfuse.observation.prompt.version": int(version),
    }


def _tags(own: Mapping[str, Any]) -> Attributes:
    """Few words to filter by: the entry agent, the outcome, the experiment's arm."""
    names = (a.TURN_ENTRY_AGENT, a.TURN_OUTCOME_SPAN, s.PROMPT_VARIANT)
    tags = tuple(str(own[attribute.name]) for attribute in names if own.get(attribute.name))
    return {"langfuse.trace.tags": tags} if tags else {}
