"""LangChain as an earlier or a later version may have it."""

from __future__ import annotations

import subprocess

PROGRAM = """
from langchain_core.callbacks.base import BaseCallbackManager

usual = BaseCallbackManager.__init__

def another(self, handlers, inheritable_handlers=None, parent_run_id=None, *, colour="", **more):
    usual(self, handlers, inheritable_handlers, parent_run_id, **more)

BaseCallbackManager.__init__ = another

import midwatch
midwatch.init()
from langgraph.graph import START, MessagesState, StateGraph

graph = StateGraph(MessagesState)
graph.add_node("writer", lambda state: {"messages": [("ai", "done")]})
graph.add_edge(START, "writer")
print(graph.compile().invoke({"messages": [("user", "write")]})["messages"][-1].content)
"""


def test_managers_of_callbacks_that_take_other_arguments_are_followed_too(
    environment, collector, tmp_path
):
    done = subprocess.run(
        ["python", "-c", PROGRAM],
        cwd=tmp_path,
        env={**environment, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "done\n", done.stderr
    assert collector.spans == ["invoke_agent writer", "invoke_workflow LangGraph"]
