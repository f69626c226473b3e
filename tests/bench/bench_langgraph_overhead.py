"""Measures the CPU that the shim adds to a run of a small LangGraph graph.

Four nodes, two model calls, one tool, a history of 2 KB (or `--history-bytes`), everything recorded
and handed to exporters that do nothing. The plain and the instrumented graph run in turns, in one
process, so that the load of the machine meets both; the figure is the median of the rounds.

    python tests/bench/bench_langgraph_overhead.py [--rounds 30] [--runs 20] [--history-bytes 2048]
"""

from __future__ import annotations

import operator
import statistics
from collections.abc import Sequence
from time import process_time
from typing import Annotated, Any, TypedDict

import typer
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from langgraph.graph import START, StateGraph
from midwatch.instrumentors.langchain import LangChainInstrumentor
from midwatch.instruments.model_calls import ModelCalls
from midwatch.instruments.prices import PriceTable
from midwatch.instruments.recorder import Recorder
from midwatch.pipeline.content import ContentPolicy
from midwatch.pipeline.event_logs import LogRecordSink
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import (
    BatchLogRecordProcessor,
    LogRecordExporter,
    LogRecordExportResult,
)
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

PROMISED_MS = 1.0
_WARM_UP = 50


class State(TypedDict):
    """What the nodes pass on."""

    messages: Annotated[list[AnyMessage], operator.add]
    found: str


class InstantModel(BaseChatModel):
    """Answers at once, with the usage that a real model reports."""

    model_name: str = "gpt-4o-mini"

    @property
    def _llm_type(self) -> str:
        return "instant"

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> Any:
        return {"ls_provider": "openai", "ls_model_name": self.model_name, "ls_model_type": "chat"}

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        answer = AIMessage(
            "done",
            usage_metadata={"input_tokens": 500, "output_tokens": 20, "total_tokens": 520},
            response_metadata={"model_name": self.model_name, "finish_reason": "stop"},
        )
        return ChatResult(generations=[ChatGeneration(message=answer)])


class NoSpans(SpanExporter):
    """Takes spans and does nothing."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Succeed."""
        return SpanExportResult.SUCCESS


class NoLogs(LogRecordExporter):
    """Takes log records and does nothing."""

    def export(self, batch: Sequence[Any]) -> LogRecordExportResult:
        """Succeed."""
        return LogRecordExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing is held."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is held."""
        return True


@tool
def look_up(key: str) -> str:
    """Look something up."""
    return key


def build() -> Any:
    """The graph: supervisor, agent, tool step, answer."""
    model = InstantModel()
    graph = StateGraph(State)
    graph.add_node("supervisor", lambda state: {"messages": [model.invoke(state["messages"])]})
    graph.add_node("monitor", lambda _: {"found": "x"})
    graph.add_node("rag_agent", lambda _: {"found": look_up.invoke({"key": "a"})})
    graph.add_node("writer", lambda state: {"messages": [model.invoke(state["messages"])]})
    graph.add_edge(START, "supervisor")
    graph.add_conditional_edges("supervisor", lambda _: "monitor", ["monitor"])
    graph.add_edge("monitor", "rag_agent")
    graph.add_edge("rag_agent", "writer")
    return graph.compile()


def shim(content: bool) -> dict[str, Any]:
    """What the shim records with: as in production, but for the exporters."""
    tracers, loggers = TracerProvider(), LoggerProvider()
    recorder = Recorder(
        MeterProvider([InMemoryMetricReader()]),
        [LogRecordSink(loggers.get_logger("midwatch"))],
        service="bench",
    )
    recorder.content = ContentPolicy("redacted" if content else "off")
    calls = ModelCalls(recorder, PriceTable())
    tracers.add_span_processor(BatchSpanProcessor(NoSpans()))
    loggers.add_log_record_processor(BatchLogRecordProcessor(NoLogs()))
    return {"tracer_provider": tracers, "recorder": recorder, "calls": calls}


def milliseconds_per_run(graph: Any, history: list[AnyMessage], runs: int) -> float:
    """The CPU time of the whole process for one run."""
    started = process_time()
    for _ in range(runs):
        graph.invoke({"messages": history, "found": ""})
    return (process_time() - started) / runs * 1000


def main(
    rounds: int = 30, runs: int = 20, history_bytes: int = 2048, content: bool = False
) -> None:
    """Print the CPU of both, the difference and the ratio.

    Exits with 0 whatever the figure is: the load of the machine is in it, so a person judges it.
    """
    graph = build()
    history: list[AnyMessage] = [
        HumanMessage("x" * (history_bytes // 8)) for _ in range(8 if history_bytes else 0)
    ]
    ours_with = shim(content)
    plain: list[float] = []
    ours: list[float] = []
    milliseconds_per_run(graph, history, _WARM_UP)
    for _ in range(rounds):
        plain.append(milliseconds_per_run(graph, history, runs))
        LangChainInstrumentor().instrument(skip_dep_check=True, **ours_with)
        milliseconds_per_run(graph, history, 2)
        ours.append(milliseconds_per_run(graph, history, runs))
        LangChainInstrumentor().uninstrument()
    before, after = statistics.median(plain), statistics.median(ours)
    added = statistics.median(b - a for a, b in zip(plain, ours, strict=True))
    typer.echo(f"baseline  {before:6.3f} ms CPU a run")
    typer.echo(f"midwatch  {after:6.3f} ms CPU a run")
    typer.echo(f"added     {added:6.3f} ms CPU a run (promised: at most {PROMISED_MS} ms at 2 KB)")
    typer.echo(f"ratio     {after / before:6.2f}")


if __name__ == "__main__":
    typer.run(main)
