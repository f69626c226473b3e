"""Spans of the SDK that are full let the application's attributes go, never our own."""

from __future__ import annotations

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span, SpanProcessor

from midwatch.registry import SPAN_ATTRIBUTES

_CONVENTIONS = """
    error.type
    gen_ai.agent.id gen_ai.agent.name gen_ai.conversation.id gen_ai.data_source.id
    gen_ai.operation.name gen_ai.provider.name gen_ai.request.model gen_ai.response.finish_reasons
    gen_ai.response.id gen_ai.response.model gen_ai.response.time_to_first_chunk
    gen_ai.tool.call.id gen_ai.tool.name gen_ai.usage.cache_creation.input_tokens
    gen_ai.usage.cache_read.input_tokens gen_ai.usage.cache_write.input_tokens
    gen_ai.usage.input_tokens gen_ai.usage.output_tokens gen_ai.usage.reasoning.output_tokens
    gen_ai.workflow.name
"""

OWN_ATTRIBUTES = frozenset(attribute.name for attribute in SPAN_ATTRIBUTES) | frozenset(
    _CONVENTIONS.split()
)
"""What a full span keeps; fewer than any sensible limit."""


class KeptAttributes(BoundedAttributes):
    """The SDK's attributes, of which the oldest goes when it is full, but none of our own."""

    def _setitem_locked(self, key: str, value: object) -> None:
        present = self._dict
        if key not in present and self.maxlen is not None and len(present) >= self.maxlen:
            self.dropped += 1
            oldest = next((name for name in present if name not in OWN_ATTRIBUTES), None)
            if oldest is None:
                # A limit below the number of our own: these are few, and what others set can wait.
                if key not in OWN_ATTRIBUTES:
                    return
            else:
                del present[oldest]
        present.pop(key, None)
        present[key] = value  # type: ignore[assignment]


class KeepOwnAttributes(SpanProcessor):
    """Gives each span of the SDK attributes that keep our own."""

    looks_at_sampled = looks_at_unsampled = False
    """Light spans keep our own by themselves."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Change how the span's attributes make room; nothing is copied."""
        attributes = span._attributes
        if type(attributes) is BoundedAttributes:
            attributes.__class__ = KeptAttributes
