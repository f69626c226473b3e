"""Small, valid values for JSON schemas, for callers that ask for structured answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from random import Random


def example_text(schema: Mapping[str, object], random: Random) -> str:
    """A JSON text that is valid for the schema."""
    return json.dumps(example_of(schema, random))


def example_of(
    schema: Mapping[str, object], random: Random, root: Mapping[str, object] | None = None
) -> object:
    """A small value that is valid for the common subset of JSON schema that callers use."""
    root = schema if root is None else root
    schema = _resolved(schema, root)
    if "const" in schema:
        return schema["const"]
    choices = schema.get("enum")
    if isinstance(choices, list) and choices:
        return random.choice(choices)
    for combination in ("anyOf", "oneOf", "allOf"):
        options = schema.get(combination)
        if isinstance(options, list) and options and isinstance(options[0], Mapping):
            return example_of(options[0], random, root)
    return _by_type(schema, random, root)


def _resolved(schema: Mapping[str, object], root: Mapping[str, object]) -> Mapping[str, object]:
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        return schema
    target: object = root
    for part in reference.removeprefix("#/").split("/"):
        target = target.get(part, {}) if isinstance(target, Mapping) else {}
    return target if isinstance(target, Mapping) else {}


def _by_type(schema: Mapping[str, object], random: Random, root: Mapping[str, object]) -> object:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = kind[0] if kind else "null"
    if kind == "object":
        properties = schema.get("properties")
        named = properties if isinstance(properties, Mapping) else {}
        return {
            key: example_of(value, random, root)
            for key, value in named.items()
            if isinstance(value, Mapping)
        }
    if kind == "array":
        items = schema.get("items")
        count = _integer(schema.get("minItems"), 1)
        return [example_of(items if isinstance(items, Mapping) else {}, random, root)] * count
    if kind in {"integer", "number"}:
        return _integer(schema.get("minimum"), 1)
    return {"boolean": True, "null": None}.get(str(kind), "example")


def _integer(value: object, default: int) -> int:
    return int(value) if isinstance(value, int | float) else default
