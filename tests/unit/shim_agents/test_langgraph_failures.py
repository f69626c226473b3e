"""What goes wrong inside of the shim is counted and told, and the agent's work is unchanged."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt
from midwatch.instrumentors import langchain_resumes as resumes
from midwatch.instrumentors.langchain import LangChainInstrumentor
from midwatch.instrumentors.langchain_graphs import GraphTracker
from midwatch.instrumentors.langchain_routes import GraphRoutes
from midwatch.instrumentors.langchain_runs import Runs
from midwatch.instrumentors.langchain_work import WorkTracker
from midwatch.instrumentors.langchain_workflows import Workflows
from midwatch.pipeline.failures import FAILURES

THREAD: Any = {"configurable": {"thread_id": "t-1"}}


class State(TypedDict):
    log: Annotated[list[str], operator.add]


@pytest.fixture
def langchain(make_shim: Any) -> Iterator[Any]:
    """The shim on LangChain alone, which is taken off before failures are looked at."""
    shim, before = type(make_shim())(), FAILURES.counts()
    LangChainInstrumentor().uninstrument()
    instrumentor = LangChainInstrumentor()
    instrumentor.instrument(
        tracer_provider=shim.tracer_provider,
        recorder=shim.recorder,
        calls=shim.calls,
        skip_dep_check=True,
    )
    yield shim
    instrumentor.uninstrument()
    # The failures here were asked for.
    FAILURES._counts.clear()
    FAILURES._counts.update(before)


def work() -> Any:
    """A run with a choice, a model call, an interrupt and its answer."""
    model = FakeListChatModel(responses=["a"])
    graph: Any = StateGraph(State)
    graph.add_node("monitor", lambda _: {"log": [model.invoke("x").text]})
    graph.add_node("approver", lambda _: {"log": [interrupt("go on?")]})
    graph.add_edge(START, "monitor")
    graph.add_conditional_edges("monitor", lambda _: "approver", ["approver", END])
    app = graph.compile(checkpointer=InMemorySaver())
    app.invoke({"log": []}, THREAD)
    return app.invoke(Command(resume="yes"), THREAD)


def broken(*_: Any, **__: Any) -> Any:
    raise RuntimeError("broken on purpose")


@pytest.mark.parametrize(
    ("owner", "name", "place"),
    [
        (GraphTracker, "started", "langchain"),
        (GraphTracker, "ended", "langchain"),
        (GraphTracker, "shaped", "langgraph shape"),
        (GraphTracker, "branched", "langgraph branch"),
        (GraphRoutes, "agent_begins", "langchain"),
        (WorkTracker, "model_started", "langchain"),
        (WorkTracker, "model_ended", "langchain"),
        (Workflows, "started", "langchain"),
        (resumes, "keep", "langgraph shape"),
        (resumes, "origin_of", "langgraph resume"),
        (Runs, "add", "langchain"),
    ],
)
def test_whatever_breaks_the_agents_work_is_unchanged_and_the_failure_is_counted(
    langchain: Any, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, place: str
) -> None:
    monkeypatch.setattr(owner, name, broken)
    before = FAILURES.counts().get(place, 0)
    assert work() == {"log": ["a", "yes"]}
    assert FAILURES.counts()[place] > before


def test_a_checkpoint_with_a_foreign_entry_under_our_key_is_ignored(
    langchain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resumes, "keep", lambda *_: None)
    model = FakeListChatModel(responses=["a"])
    graph: Any = StateGraph(State)
    graph.add_node("approver", lambda _: {"log": [model.invoke("x").text, interrupt("go on?")]})
    graph.add_edge(START, "approver")
    app = graph.compile(checkpointer=InMemorySaver())
    for thread, kept in (("t-1", "nonsense"), ("t-2", 7)):
        config: Any = {
            "configurable": {"thread_id": thread},
            "metadata": {resumes.CHECKPOINT_KEY: kept},
        }
        app.invoke({"log": []}, config)
        app.invoke(Command(resume="yes"), config)
    assert not any(span.links for span in langchain.exporter.get_finished_spans())
