"""The `openai` client: the official instrumentation, with each call recorded once and priced."""

from __future__ import annotations

import functools
from collections.abc import Collection
from typing import Any

import wrapt
from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined]
    BaseInstrumentor,
)

from midwatch.instruments.model_calls import ModelCalls, process_model_calls
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
        self._wanted = True
        wrapt.register_post_import_hook(
            functools.partial(self._on_import, calls, providers), "openai"
        )

    def _uninstrument(self, **kwargs: Any) -> None:
        """Leave calls alone from now on."""
        from midwatch.instrumentors import openai_calls

        self._wanted = False
        openai_calls.stop()
        official = self._official
        if official is not None and official.is_instrumented_by_opentelemetry:
            official.uninstrument()

    _wanted = False
    _official: BaseInstrumentor | None = None

    def _on_import(self, calls: ModelCalls, providers: dict[str, Any], _: object) -> None:
        if not self._wanted:
            return
        try:
            # The official package imports `openai` as a whole, so it waits for the application to.
            from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor as Official

            from midwatch.instrumentors import openai_calls

            official = Official()
            if not official.is_instrumented_by_opentelemetry:
                official.instrument(**providers)
            self._official = official
            openai_calls.record_with(calls)
            calls.prices.load()
        except Exception as error:
            FAILURES.note("openai", error)
