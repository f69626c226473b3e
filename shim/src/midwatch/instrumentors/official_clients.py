"""Clients of model providers: the official instrumentation, with each call recorded and priced."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Collection
from typing import Any, ClassVar, cast

import wrapt
from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined]
    BaseInstrumentor,
)

from midwatch.instrumentors.release_train import tell_skew
from midwatch.instruments.model_calls import ModelCalls, process_model_calls, watch_spans
from midwatch.instruments.recorder import Recorder, get_recorder
from midwatch.pipeline.failures import FAILURES


class OfficialClientInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Instruments a client by its official package, as soon as the client is imported.

    The official package makes spans and the conventions' metrics. What it lacks is added while the
    span still takes attributes: the agent, the cost, the count of chunks. The official package's
    own upper bound of versions is not obeyed: it makes it decline a new release in silence.
    """

    module: ClassVar[str]
    """The client's module."""
    official: ClassVar[str]
    """The official instrumentor, as `module:Class`."""
    requires: ClassVar[str]
    """The client's distribution, with the oldest release that is supported."""

    def instrumentation_dependencies(self) -> Collection[str]:
        """What must be installed."""
        return (self.requires,)

    def _instrument(self, **kwargs: Any) -> None:
        """Begin to follow calls.

        Args:
            **kwargs: `tracer_provider`, `meter_provider`, `logger_provider`; `recorder` and `calls`
                (by default those of the process).
        """
        tell_skew()
        recorder: Recorder = kwargs.get("recorder") or get_recorder()
        calls: ModelCalls = kwargs.get("calls") or process_model_calls(recorder)
        providers = {
            name: kwargs.get(name)
            for name in ("tracer_provider", "meter_provider", "logger_provider")
        }
        watch_spans(calls, kwargs.get("tracer_provider"))
        self._wanted = True
        if self.module in sys.modules:
            self._take_hold(calls, providers)
        else:
            wrapt.register_post_import_hook(
                lambda _: self._on_import(calls, providers), self.module
            )

    def _uninstrument(self, **kwargs: Any) -> None:
        """Leave calls alone from now on."""
        from midwatch.instrumentors import official_calls

        self._wanted = False
        official_calls.stop(self.module)
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
            FAILURES.note(self.module, error)

    def _take_hold(self, calls: ModelCalls, providers: dict[str, Any]) -> None:
        # The official package imports the client as a whole, so it waits for the application to.
        from midwatch.instrumentors import official_calls

        module, _, name = self.official.partition(":")
        kind = cast("type[BaseInstrumentor]", getattr(importlib.import_module(module), name))
        self._official = kind()
        if not self._official.is_instrumented_by_opentelemetry:
            self._official.instrument(skip_dep_check=True, **providers)
        official_calls.record_with(calls, self.module)
        calls.prices.load()


class OpenAIInstrumentor(OfficialClientInstrumentor):
    """Instruments `openai`."""

    module = "openai"
    official = "opentelemetry.instrumentation.genai.openai:OpenAIInstrumentor"
    requires = "openai >= 1.26.0"


class AnthropicInstrumentor(OfficialClientInstrumentor):
    """Instruments `anthropic`."""

    module = "anthropic"
    official = "opentelemetry.instrumentation.genai.anthropic:AnthropicInstrumentor"
    requires = "anthropic >= 0.51.0"

    def _take_hold(self, calls: ModelCalls, providers: dict[str, Any]) -> None:
        # Since 2.0 the client makes a span for each request itself: the same call a second time.
        os.environ.setdefault("ANTHROPIC_OPEN_TELEMETRY", "false")
        super()._take_hold(calls, providers)
        from midwatch.instrumentors import anthropic_usage

        anthropic_usage.read_usage()


class GoogleGenAIInstrumentor(OfficialClientInstrumentor):
    """Instruments `google-genai`."""

    module = "google.genai"
    official = "opentelemetry.instrumentation.google_genai:GoogleGenAiSdkInstrumentor"
    requires = "google-genai >= 1.32.0"


class BedrockInstrumentor(OfficialClientInstrumentor):
    """Instruments the Bedrock runtime of `boto3`."""

    module = "boto3"
    official = "opentelemetry.instrumentation.genai.bedrock:BedrockInstrumentor"
    requires = "boto3 >= 1.40.46"
