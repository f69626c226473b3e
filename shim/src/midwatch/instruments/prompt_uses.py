"""The managed prompts in force, carried from where they are rendered to the model calls they make.

A rendered prompt is in force in its context (with the threads and tasks that inherit it) within the
turn and the agent that rendered it, until others are rendered after a model call. Rendered outside
any turn it belongs to the first turn that calls a model with it.
"""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass, field
from typing import cast

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider

from midwatch.instruments.agent_context import current_agent, turn_of
from midwatch.instruments.model_calls import MODEL_OPERATIONS, OPERATION
from midwatch.instruments.turn_state import Turn
from midwatch.pipeline.failures import FAILURES
from midwatch.registry.span_attributes import (
    PROMPT_LABEL,
    PROMPT_NAME,
    PROMPT_VARIANT,
    PROMPT_VERSION,
    PROMPTS_USED,
)

_KEY = context.create_key("midwatch-prompts")


@dataclass(frozen=True)
class PromptUse:
    """A version of a prompt that is in use; variant and label are empty where there are none."""

    name: str
    version: str
    variant: str = ""
    label: str = ""


@dataclass(eq=False)
class _InForce:
    """The prompts that model calls use; `pinned` ones wherever they are seen."""

    uses: tuple[PromptUse, ...]
    turn: Turn | None = None
    agent: str = ""
    pinned: bool = False
    called: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def holds(self, turn: Turn | None, agent: str) -> bool:
        """Whether a model call of this turn and agent uses them; the first turn takes them."""
        if self.pinned:
            return True
        with self._lock:
            if self.turn is None:
                self.turn = turn
        same_agent = not self.agent or not agent or self.agent == agent
        return self.turn is turn and same_agent


def rendered(use: PromptUse) -> None:
    """Put a prompt in force that was just rendered here."""
    watch_model_spans()
    turn, agent = turn_of(), current_agent()
    before = _in_force(None)
    uses: tuple[PromptUse, ...] = (use,)
    if before is not None and not before.called and before.turn is turn and not before.pinned:
        # Several prompts of one call, such as that of the system and that of the user.
        uses = (*(one for one in before.uses if one.name != use.name), use)
    context.attach(context.set_value(_KEY, _InForce(uses, turn, agent)))


def pinned(*uses: PromptUse) -> Context:
    """A context in which exactly these prompts are in force for every model call."""
    watch_model_spans()
    return context.set_value(_KEY, _InForce(uses, pinned=True))


def _in_force(within: Context | None) -> _InForce | None:
    return cast("_InForce | None", context.get_value(_KEY, within))


class PromptSpans(SpanProcessor):
    """Names on each span of a model call the prompts that it is made with."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Put name, version, variant and label on the span."""
        try:
            if (span.attributes or {}).get(OPERATION) not in MODEL_OPERATIONS:
                return
            # A span with an explicit parent is started beside the code that rendered.
            found = _in_force(None) or _in_force(parent_context)
            if found is None or not found.holds(turn_of(parent_context), _agent(parent_context)):
                return
            found.called = True
            _describe(span, found.uses)
        except Exception as error:
            FAILURES.note("prompts.spans", error)


def watch_model_spans() -> None:
    """See the model calls of the process's tracer provider; once for each provider."""
    provider = trace.get_tracer_provider()
    if provider in _watched or not isinstance(provider, TracerProvider):
        return
    with _watched_lock:
        if provider not in _watched:
            _watched.add(provider)
            provider.add_span_processor(PromptSpans())


_watched: weakref.WeakSet[trace.TracerProvider] = weakref.WeakSet()
_watched_lock = threading.Lock()


def _agent(within: Context | None) -> str:
    return current_agent(within) or current_agent()


def _describe(span: Span, uses: tuple[PromptUse, ...]) -> None:
    last = uses[-1]
    span.set_attribute(PROMPT_NAME.name, last.name)
    span.set_attribute(PROMPT_VERSION.name, last.version)
    if last.variant:
        span.set_attribute(PROMPT_VARIANT.name, last.variant)
    if last.label:
        span.set_attribute(PROMPT_LABEL.name, last.label)
    if len(uses) > 1:
        span.set_attribute(PROMPTS_USED.name, [f"{one.name}@{one.version}" for one in uses])
