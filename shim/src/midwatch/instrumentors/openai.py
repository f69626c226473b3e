"""The `openai` client: the official instrumentation, with each call recorded once and priced."""

from __future__ import annotations

import sys
from collections.abc import Collection
from typing import Any

import wrapt
from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined]
    BaseInstrumentor,
)

from midwatch.instruments.model_calls import ModelCalls, process_model_calls, watch_spans
from midwatch.instruments.recorder import Recorder, get_recorder
from midwatch.pipeline.failures import FAILURES


class OpenAIInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Instruments the `openai` client by the official package, as soon as `openai` is imported.

    The official package makes spans and the conventions' metrics. What it lacks is added while the
    span still takes attributes: the agent, the cost, the count of chunks.
    """

    def instrumentation_dependencies(self) -> Collection[str]:
        """What must be installed."""
        return ("openai >= 1.26.0",)

    def _instrument(self, **kwargs: Any) -> None:
        """Begin to follow calls.

        Args:
            **kwargs: `tracer_provider`, `meter_provider`, `logger_provider`; `recorder` and `calls`
                (by default those of the process).
        """
        recorder: Recorder = kwargs.get("recorder") or get_recorder()
        calls: ModelCalls = kwargs.get("calls") or process_model_calls(recorder)
        providers = {
            name: kwargs.get(name)
            for name in ("tracer_provider", "meter_provider", "logger_provider")
        }
        watch_spans(calls, kwargs.get("tracer_provider"))
        self._wanted = True
        if "openai" in sys.modules:
            self._take_hold(calls, providers)
        else:
            wrapt.register_post_import_hook(lambda _: self._on_import(calls, providers), "openai")

    def _uninstrument(self, **kwargs: Any) -> None:
        """Leave calls alone from now on."""
        from midwatch.instrumentors import openai_calls

        self._wanted = False
        openai_calls.stop()
        if self._official is not None and self._official.is_instrumented_by_opentelemetry:
            self._official.uninstrument()

    _wanted = False
    _official: BaseInstrumentor | None = None

    def _on_import(self, calls: ModelCalls, providers: dict[str, Any]) -> None:
        if not self._wanted:
            return
        try:
            self._take_hold(calls, providers)
        except Exception as error:
            FAILURES.note("openai", error)

    def _take_hold(self, calls: ModelCalls, providers: dict[str, Any]) -> None:
        # The official package imports `openai` as a whole, so it waits for the application to.
        from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor as Official

        from midwatch.instrumentors import openai_calls

        self._official = Official()
        if not self._official.is_instrumented_by_opentelemetry:
            self._official.instrument(skip_dep_check=True, **providers)
        openai_calls.record_with(calls)
        calls.prices.load()
