"""LangChain and LangGraph, instrumented by one callback handler in every callback manager."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined]
    BaseInstrumentor,
)
from opentelemetry.trace import get_tracer

from midwatch.instrumentors.langchain_hooks import Hooks
from midwatch.instrumentors.libraries import LIBRARIES
from midwatch.instrumentors.release_train import tell_skew
from midwatch.instruments.model_calls import ModelCalls, process_model_calls, watch_spans
from midwatch.instruments.recorder import Recorder, get_recorder
from midwatch.instruments.recording import SCOPE
from midwatch.pipeline.light_tracer import light

_NAME = "langchain"


class LangChainInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Instruments LangChain and LangGraph; needs `langchain-core` only, never `langchain`.

    Nothing is imported by it: it takes hold of each module when the application imports it.
    """

    def instrumentation_dependencies(self) -> Collection[str]:
        """What must be installed."""
        return ("langchain-core >= 1.0",)

    def _instrument(self, **kwargs: Any) -> None:
        """Begin to follow runs.

        Args:
            **kwargs: `tracer_provider`; `recorder` and `calls` (by default those of the process).
        """
        tell_skew()
        recorder: Recorder = kwargs.get("recorder") or get_recorder()
        calls: ModelCalls = kwargs.get("calls") or process_model_calls(recorder)
        tracer = light(get_tracer(SCOPE, tracer_provider=kwargs.get("tracer_provider")))
        for library in LIBRARIES:
            if library.name == _NAME:
                calls.ignore(library.rivals)
        watch_spans(calls, kwargs.get("tracer_provider"))
        _hooks.activate(tracer, recorder, calls)

    def _uninstrument(self, **kwargs: Any) -> None:
        """Leave runs alone from now on; what was wrapped stays and passes everything through."""
        _hooks.deactivate()


_hooks = Hooks()
