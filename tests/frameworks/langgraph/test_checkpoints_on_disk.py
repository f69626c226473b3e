"""A run that a person interrupts is resumed by another process: the two are linked all the same."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt

THREAD: Any = {"configurable": {"thread_id": "t-1"}}


class State(TypedDict):
    log: Annotated[list[str], lambda old, new: [*old, *new]]


def approval() -> Any:
    graph: Any = StateGraph(State)
    graph.add_node("approver", lambda _: {"log": [interrupt("go on?")]})
    graph.add_edge(START, "approver")
    return graph


OTHER_PROCESS = """
import json, sys
import midwatch
from midwatch.pipeline.setup import Exporters
midwatch.init(exporters=Exporters())
from opentelemetry import trace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
spans = InMemorySpanExporter()
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(spans))
sys.path.insert(0, sys.argv[1])
from test_checkpoints_on_disk import THREAD, SqliteSaver, approval
with SqliteSaver.from_conn_string(sys.argv[2]) as saver:
    approval().compile(checkpointer=saver).invoke({"log": []}, THREAD)
(root,) = [span for span in spans.get_finished_spans() if span.name.startswith("invoke_workflow")]
print(json.dumps([root.context.trace_id, root.context.span_id]))
"""


@pytest.mark.programs
def test_a_run_that_is_resumed_by_another_process_links_to_the_first(
    seen: Any, tmp_path: Path
) -> None:
    store = str(tmp_path / "threads.sqlite")
    began = subprocess.run(
        [sys.executable, "-c", OTHER_PROCESS, str(Path(__file__).parent), store],
        env={**os.environ, "MIDWATCH_SPOOL_MODE": "off"},
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert began.returncode == 0, began.stderr
    trace_id, span_id = json.loads(began.stdout.splitlines()[-1])
    with SqliteSaver.from_conn_string(store) as saver:
        approval().compile(checkpointer=saver).invoke(Command(resume="yes"), THREAD)
    (link,) = seen.span("invoke_workflow LangGraph").links
    assert (link.context.trace_id, link.context.span_id) == (trace_id, span_id)
    assert seen.count("agent.turns", outcome="ok") == 1


def test_the_asynchronous_store_keeps_the_link_too(seen: Any, tmp_path: Path) -> None:
    async def run() -> None:
        async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "t.sqlite")) as saver:
            app = approval().compile(checkpointer=saver)
            await app.ainvoke({"log": []}, THREAD)
            async for _ in app.astream(Command(resume="yes"), THREAD, stream_mode="debug"):
                pass

    asyncio.run(run())
    first, second = seen.spans("invoke_workflow LangGraph")
    assert [link.context.span_id for link in second.links] == [first.context.span_id]


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
def test_the_link_is_kept_however_durable_the_run_is(
    seen: Any, tmp_path: Path, durability: Any
) -> None:
    with SqliteSaver.from_conn_string(str(tmp_path / "t.sqlite")) as saver:
        app = approval().compile(checkpointer=saver)
        app.invoke({"log": []}, THREAD, durability=durability)
        app.invoke(Command(resume="yes"), THREAD, durability=durability)
    first, second = seen.spans("invoke_workflow LangGraph")
    assert [link.context.span_id for link in second.links] == [first.context.span_id]
