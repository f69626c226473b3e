"""Direct export to LangSmith: its OTLP endpoint, its key, and the attributes it reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan

from midwatch.config import Langsmith
from midwatch.pipeline.direct_mapping import Attributes, MappedEncoder, as_json, is_root, usage_of
from midwatch.pipeline.otlp_encoders import span_encoder
from midwatch.pipeline.transport_http import HttpTarget, HttpTransport
from midwatch.registry import attributes as a
from midwatch.registry import span_attributes as s

PATH = "/otel/v1/traces"

_KINDS = {
    "chat": "llm",
    "text_completion": "llm",
    "generate_content": "llm",
    "embeddings": "embedding",
    "execute_tool": "tool",
    "retrieval": "retriever",
}
_METADATA = {
    "session_id": a.SESSION_ID,
    "thread_id": a.CONVERSATION_ID,
    "user_id": s.USER_HASH,
    "agent": a.SPAN_AGENT,
    "prompt_name": s.PROMPT_NAME,
    "prompt_version": s.PROMPT_VERSION,
    "outcome": a.TURN_OUTCOME_SPAN,
    "price_table": s.PRICE_TABLE,
    "price_version": s.PRICE_VERSION,
}


def langsmith_transport(settings: Langsmith) -> HttpTransport:
    """Sends to the OTLP endpoint with the key, into the project."""
    headers = {"x-api-key": settings.api_key, "Langsmith-Project": settings.project}
    if settings.workspace_id:
        headers["x-tenant-id"] = settings.workspace_id
    return HttpTransport(HttpTarget(f"{settings.endpoint.rstrip('/')}{PATH}", headers), "langsmith")


def langsmith_encoder() -> MappedEncoder:
    """Encodes spans with LangSmith's attributes."""
    return MappedEncoder(span_encoder("http/protobuf"), langsmith_attributes)


def langsmith_attributes(span: ReadableSpan) -> Attributes:
    """What LangSmith reads besides the conventions."""
    own = span.attributes or {}
    kind = _KINDS.get(str(own.get("gen_ai.operation.name", "")), "chain")
    found: Attributes = {"langsmith.span.kind": kind, "langsmith.trace.name": span.name}
    for key, attribute in _METADATA.items():
        if own.get(attribute.name):
            found[f"langsmith.metadata.{key}"] = str(own[attribute.name])
    resource = span.resource.attributes
    for key, name in (
        ("environment", "deployment.environment.name"),
        ("release", "service.version"),
    ):
        if resource.get(name):
            found[f"langsmith.metadata.{key}"] = str(resource[name])
    found |= _model_call(own)
    if is_root(span):
        tags = [str(own[t.name]) for t in (a.TURN_ENTRY_AGENT, s.PROMPT_VARIANT) if own.get(t.name)]
        found |= {"langsmith.span.tags": ",".join(tags)} if tags else {}
    for name, attribute in (("gen_ai.prompt", s.INPUT), ("gen_ai.completion", s.OUTPUT)):
        if attribute.name in own:
            found[name] = str(own[attribute.name])
    return found


def _model_call(own: Mapping[str, Any]) -> Attributes:
    """Provider, model, tokens and cost."""
    found: Attributes = {}
    model = own.get("gen_ai.response.model") or own.get("gen_ai.request.model")
    provider = own.get("gen_ai.provider.name")
    if provider:
        found["gen_ai.system"] = found["langsmith.metadata.ls_provider"] = str(provider)
    if model:
        found["langsmith.metadata.ls_model_name"] = str(model)
    usage = usage_of(own)
    if usage is None:
        return found
    told: dict[str, Any] = {
        "input_tokens": usage.input,
        "output_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
    }
    cached = {"cache_read": usage.cache_read, "cache_creation": usage.cache_write}
    if any(cached.values()):
        told["input_token_details"] = {kind: count for kind, count in cached.items() if count}
    if usage.reasoning:
        told["output_token_details"] = {"reasoning": usage.reasoning}
    for key, attribute in (
        ("input_cost", s.INPUT_COST_USD),
        ("output_cost", s.OUTPUT_COST_USD),
        ("total_cost", a.COST_USD),
    ):
        if attribute.name in own:
            told[key] = own[attribute.name]
    return found | {"langsmith.usage_metadata": as_json(told)}
