"""Examples by JSON Schema: one value that a schema allows, always the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Document = Mapping[str, Any]

_BY_NAME: Mapping[str, object] = {
    "name": "greeting",
    "prompt": "greeting",
    "label": "production",
    "version": "1",
    "by": "ada",
    "table": "house",
    "project": "shop",
    "agent": "supervisor",
    "provider": "openai",
    "model": "gpt-small",
    "model_id": "gpt-small",
    "service": "security-agent",
    "session_id": "session-7",
    "call_id": "session-7",
    "trace_id": "0123456789abcdef0123456789abcdef",
    "execution_id": "0123456789abcdef0123456789abcdef",
    "span_id": "0123456789abcdef",
    "day": "2026-11-20",
    "effective_date": "2026-11-01",
    "kind": "thumbs",
    "value": "up",
    "user_hash": "5e884898da280471",
}
_BY_FORMAT: Mapping[str, object] = {
    "uuid": "00000000-0000-4000-8000-000000000001",
    "date": "2026-11-20",
    "date-time": "2026-11-20T10:00:00Z",
}
_DEEPEST_LIST = 5
_DEEPEST = 12


def resolved(document: Document, schema: Document) -> Document:
    """The schema itself, where it only refers to another."""
    while "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        schema = document["components"]["schemas"][name]
    return schema


def example_of(document: Document, schema: Document, name: str = "", depth: int = 0) -> Any:
    """A value that the schema allows; `name` is what it is called where it stands."""
    schema = resolved(document, schema)
    for key in ("const", "default"):
        if schema.get(key) is not None:
            return schema[key]
    if schema.get("examples"):
        return schema["examples"][0]
    if "enum" in schema:
        return schema["enum"][0]
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            choices = [resolved(document, one) for one in schema[key]]
            filled = [one for one in choices if one.get("type") != "null"]
            return example_of(document, (filled or choices)[0], name, depth)
    return _of_type(document, schema, name, depth)


def _of_type(document: Document, schema: Document, name: str, depth: int) -> Any:
    kind = schema.get("type")
    if kind == "object" or "properties" in schema:
        if depth >= _DEEPEST:
            return {}
        return {
            key: example_of(document, one, key, depth + 1)
            for key, one in schema.get("properties", {}).items()
        }
    if kind == "array":
        return (
            []
            if depth >= _DEEPEST_LIST
            else [example_of(document, schema["items"], name, depth + 1)]
        )
    if kind == "integer":
        return max(1, int(schema.get("minimum", 1)))
    if kind == "number":
        return float(schema.get("minimum", 0.5)) or 0.5
    if kind == "boolean":
        return True
    if kind == "null":
        return None
    return _BY_FORMAT.get(str(schema.get("format")), _BY_NAME.get(name, "text"))
