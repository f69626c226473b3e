"""Long histories and crowded spans: what is followed is neither copied nor pushed out."""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar

import pytest
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from midwatch.pipeline.content import ContentPolicy
from opentelemetry.trace import get_current_span

HISTORY = 100
COPIES = ("__copy__", "__deepcopy__", "__repr__", "__str__", "model_copy", "model_dump")
READS = ("content", "content_blocks", "text")


class Watched(HumanMessage):
    """A message that counts who copies it, writes it out or reads its text."""

    touched: ClassVar[Counter[str]] = Counter()

    def __getattribute__(self, name: str) -> Any:
        if name in COPIES or name in READS:
            Watched.touched[name] += 1
        return super().__getattribute__(name)

    def __copy__(self) -> Watched:
        Watched.touched["__copy__"] += 1
        return self

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Watched:
        Watched.touched["__deepcopy__"] += 1
        return self

    def __repr__(self) -> str:
        Watched.touched["__repr__"] += 1
        return "watched"

    __str__ = __repr__


class Mute(BaseChatModel):
    """Answers without a look at what it is asked."""

    @property
    def _llm_type(self) -> str:
        return "mute"

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage("done"))])


@tool
def look_up(key: str) -> str:
    """Look something up."""
    return key


def touched_by_a_run() -> Counter[str]:
    model = Mute()

    def monitor(state: MessagesState) -> Any:
        look_up.invoke({"key": "a"})
        return {"messages": [model.invoke(state["messages"])]}

    graph: Any = StateGraph(MessagesState)
    for name in ("monitor", "writer"):
        graph.add_node(name, monitor)
    graph.add_edge(START, "monitor")
    graph.add_conditional_edges("monitor", lambda _: "writer", ["writer"])
    history = [Watched(content="x" * 1024, id=str(number)) for number in range(HISTORY)]
    Watched.touched.clear()
    graph.compile().invoke({"messages": history})
    return Counter(Watched.touched)


def test_100_kb_histories_stay_fast_for_no_message_is_copied_or_read(make_shim: Any) -> None:
    alone = touched_by_a_run()
    shim = make_shim()
    assert touched_by_a_run() == alone
    assert shim.count("agent.llm.requests", agent="writer") == 1


def test_a_history_is_read_where_content_is_wanted(make_shim: Any) -> None:
    alone = touched_by_a_run()
    shim = make_shim()
    shim.recorder.content = ContentPolicy("full")
    reads = touched_by_a_run() - alone
    assert sum(reads[name] for name in READS) >= 2 * HISTORY


def test_state_facts_and_guards_copy_no_message_either(
    monkeypatch: pytest.MonkeyPatch, make_shim: Any
) -> None:
    alone = touched_by_a_run()
    monkeypatch.setenv("MIDWATCH_STATE_FACTS", "decisions:decision")
    monkeypatch.setenv("MIDWATCH_GUARDRAIL_NODES", "monitor")
    shim = make_shim()
    assert touched_by_a_run() == alone
    assert shim.count("agent.guardrail", gate="monitor") == 1


def test_runs_keep_nothing_of_the_state_after_their_end(
    monkeypatch: pytest.MonkeyPatch, make_shim: Any
) -> None:
    from midwatch.instrumentors.langchain import _hooks

    monkeypatch.setenv("MIDWATCH_GUARDRAIL_NODES", "monitor")
    make_shim()
    touched_by_a_run()
    assert _hooks._runs is not None
    assert len(_hooks._runs) == 0


def test_attribute_limits_never_evict_ours(monkeypatch: pytest.MonkeyPatch, make_shim: Any) -> None:
    def crowded(_: MessagesState) -> Any:
        for number in range(300):
            get_current_span().set_attribute(f"app.{number}", number)
        return {}

    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "16")
    shim = make_shim()
    graph: Any = StateGraph(MessagesState)
    graph.add_node("monitor", crowded)
    graph.add_edge(START, "monitor")
    config: Any = {"configurable": {"thread_id": "t-1"}, "metadata": {"user": "jo"}}
    graph.compile(checkpointer=InMemorySaver()).invoke({"messages": []}, config)
    span = shim.spans["invoke_agent monitor"]
    assert span.attributes["gen_ai.agent.name"] == "monitor"
    assert span.attributes["gen_ai.operation.name"] == "invoke_agent"
    assert span.attributes["gen_ai.conversation.id"] == "t-1"
    assert len(span.attributes) == 16
    assert span.dropped_attributes > 280
