"""Values of attributes as OTLP/JSON text.

The text is put together by hand: half the time of building objects for `json.dumps`, and nothing
to import. OTLP/JSON differs from plain JSON: 64-bit integers are strings, bytes are base64, and
what JSON has no number for (NaN, infinities) is a string.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from json.encoder import encode_basestring
from typing import TypeVar

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from midwatch.pipeline.failures import FAILURES

Item = TypeVar("Item")

Groups = list[tuple[Resource, list[tuple["InstrumentationScope | None", list[Item]]]]]
"""Items by their resource and, within it, by the scope that made them."""

quote = encode_basestring
"""A string as JSON, in its quotes."""

_SMALLEST, _LARGEST = -(1 << 63), (1 << 63) - 1


def attributes_json(attributes: Mapping[str, object] | None) -> str:
    """Attributes as a JSON array; one that OTLP cannot carry is left out and counted."""
    if not attributes:
        return "[]"
    # The SDK's own mapping copies itself under a lock for each iteration; what is inside does not.
    pairs = getattr(attributes, "_dict", attributes)
    parts: list[str] = []
    for key, value in pairs.items():
        if type(value) is str:
            parts.append(f'{{"key":{quote(key)},"value":{{"stringValue":{quote(value)}}}}}')
            continue
        try:
            parts.append(f'{{"key":{quote(key)},"value":{value_json(value)}}}')
        except (TypeError, ValueError, RecursionError) as error:
            FAILURES.note("encode.attribute", error)
    return f"[{','.join(parts)}]"


def value_json(value: object) -> str:
    """A value as an OTLP `AnyValue`.

    An integer of more than 64 bits is given as text, which is better than none.

    Raises:
        TypeError: OTLP has no such value.
        RecursionError: the value contains itself.
    """
    if value is None:
        return "{}"
    if isinstance(value, str):
        return f'{{"stringValue":{quote(value)}}}'
    if isinstance(value, bool):
        return '{"boolValue":true}' if value else '{"boolValue":false}'
    if isinstance(value, int):
        kind = "intValue" if _SMALLEST <= value <= _LARGEST else "stringValue"
        return f'{{"{kind}":"{int.__repr__(value)}"}}'
    if isinstance(value, float):
        return f'{{"doubleValue":{double_json(value)}}}'
    if isinstance(value, bytes):
        return f'{{"bytesValue":"{b64encode(value).decode("ascii")}"}}'
    if isinstance(value, Sequence):
        return f'{{"arrayValue":{{"values":[{",".join(map(value_json, value))}]}}}}'
    if isinstance(value, Mapping):
        pairs = (f'{{"key":{quote(str(k))},"value":{value_json(v)}}}' for k, v in value.items())
        return f'{{"kvlistValue":{{"values":[{",".join(pairs)}]}}}}'
    raise TypeError(f"OTLP has no value of type {type(value).__qualname__}")


def double_json(value: float) -> str:
    """A floating-point number, also where JSON has none."""
    if math.isfinite(value):
        return float.__repr__(float(value))
    if math.isnan(value):
        return '"NaN"'
    return '"Infinity"' if value > 0 else '"-Infinity"'


def resource_json(resource: Resource) -> str:
    """A resource."""
    return f'{{"attributes":{attributes_json(resource.attributes)}}}'


def scope_json(scope: InstrumentationScope | None) -> str:
    """The scope that made an item."""
    if scope is None:
        return "{}"
    return (
        f'{{"name":{quote(scope.name or "")},"version":{quote(scope.version or "")},'
        f'"attributes":{attributes_json(scope.attributes)}}}'
    )


def schema_json(schema_url: str | None) -> str:
    """The member that names the schema, if there is one."""
    return f',"schemaUrl":{quote(schema_url)}' if schema_url else ""


def to_bytes(text: str) -> bytes:
    """The text in UTF-8; a half of a surrogate pair, which has no UTF-8, becomes `?`."""
    return text.encode("utf-8", "replace")


def grouped(
    items: Iterable[tuple[Resource, InstrumentationScope | None, Item]],
) -> Groups[Item]:
    """Group items by resource and scope, in the order in which these first appear.

    Resources are told apart by identity: the hash of one is that of its JSON, at the price of
    encoding a whole span.
    """
    resources: dict[int, tuple[Resource, dict[InstrumentationScope | None, list[Item]]]] = {}
    for resource, scope, item in items:
        entry = resources.get(id(resource))
        if entry is None:
            entry = resources[id(resource)] = (resource, {})
        entry[1].setdefault(scope, []).append(item)
    return [(resource, list(scopes.items())) for resource, scopes in resources.values()]
