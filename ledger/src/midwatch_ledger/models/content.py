"""Columns that hold content: what people wrote and models answered.

They come back hidden to whoever may not see content, from whichever query: no route has to think
of it. A hidden value can't be written back.
"""

from __future__ import annotations

import re
from typing import Any

from midwatch.registry.span_attributes import INPUT, OUTPUT
from sqlalchemy import JSON, Dialect, Text, TypeDecorator
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

from midwatch_ledger.models.boundary import current_boundary

HIDDEN = "[hidden: content is not shown to this role]"

# Names that carry content where attributes are kept: OpenTelemetry's, Midwatch's, and those of
# libraries whose spans come through the collector as they are.
_NAMES = frozenset(
    {
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
        "gen_ai.tool.call.arguments",
        "gen_ai.tool.call.result",
        "gen_ai.tool.definitions",
        "gen_ai.prompt",
        "gen_ai.completion",
        INPUT.name,
        OUTPUT.name,
        "prompt_text",
        "response_text",
        "comment",
        "input.value",
        "output.value",
        "traceloop.entity.input",
        "traceloop.entity.output",
    }
)
_NUMBERED = re.compile(
    r"(gen_ai\.(prompt|completion)\.\d|llm\.(input_messages|output_messages|prompts)\.|"
    r"retrieval\.documents\.)"
)


class _Hidden(str):
    """A value that was hidden: it says so, and is refused where it would be written."""

    __slots__ = ()


def _shown() -> bool:
    boundary = current_boundary()
    return boundary is None or boundary.content


def _refuse_hidden(value: Any) -> None:
    if isinstance(value, _Hidden):
        raise ValueError("a hidden value can't be written: the content itself would be lost")


class ContentText(TypeDecorator[str]):
    """Text that is content."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, _dialect: Dialect) -> str | None:
        """Return the text; refuse what was hidden."""
        _refuse_hidden(value)
        return value

    def process_result_value(self, value: str | None, _dialect: Dialect) -> str | None:
        """Return the text, or that it is hidden."""
        return value if value is None or _shown() else _Hidden(HIDDEN)


class _Document(TypeDecorator[Any]):
    """JSON: JSONB on PostgreSQL."""

    impl = JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return JSONB where there is one."""
        kind = JSONB if dialect.name == "postgresql" else JSON
        return dialect.type_descriptor(kind(none_as_null=True))

    def coerce_compared_value(self, op: Any, value: Any) -> Any:
        """Return what JSON would: keys and indexes are no documents."""
        return self.impl_instance.coerce_compared_value(op, value)

    def process_bind_param(self, value: Any, _dialect: Dialect) -> Any:
        """Return the document; refuse what was hidden."""
        _refuse_hidden(value)
        return value


class ContentDocument(_Document):
    """A document that is content as a whole."""

    cache_ok = True

    def process_result_value(self, value: Any, _dialect: Dialect) -> Any:
        """Return the document, or that it is hidden."""
        return value if value is None or _shown() else _Hidden(HIDDEN)


class AttributesDocument(_Document):
    """A document some of whose names carry content."""

    cache_ok = True

    def process_result_value(self, value: Any, _dialect: Dialect) -> Any:
        """Return the document; what is content in it may be hidden."""
        return value if value is None or _shown() else without_content(value)


def without_content(value: Any) -> Any:
    """Return a document with what is content in it hidden, however deep."""
    if isinstance(value, dict):
        return {
            name: _Hidden(HIDDEN) if _is_content(str(name)) else without_content(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [without_content(inner) for inner in value]
    return value


def _is_content(name: str) -> bool:
    return name in _NAMES or _NUMBERED.match(name) is not None
