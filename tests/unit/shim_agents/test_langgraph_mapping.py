"""What the settings say of nodes and of the state, recorded without a line of code."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt
from midwatch.config import load_settings
from midwatch.instruments.turns import turn


class State(TypedDict, total=False):
    text: str
    documents: list[str]
    decisions: Annotated[list[Any], operator.add]
    agent_messages: Annotated[list[Any], operator.add]
    conflicts: list[Any]
    participants: tuple[str, ...]
    phase: str
    verdict: Any
    outcome: str
    reason: str


THREAD: Any = {"configurable": {"thread_id": "t-1"}}
RETAIL = "decisions:decision,agent_messages:message,conflicts:conflict,participants:collaboration"


@pytest.fixture
def mapped(monkeypatch: pytest.MonkeyPatch, make_shim: Any) -> Any:
    """Makes the shim with these settings, given without `MIDWATCH_`."""

    def make(**settings: str) -> Any:
        for name, value in settings.items():
            monkeypatch.setenv(f"MIDWATCH_{name}", value)
        return make_shim()

    return make


def line(**nodes: Any) -> Any:
    """A graph whose nodes run one after the other."""
    graph: Any = StateGraph(State)
    for name, node in nodes.items():
        graph.add_node(name, node)
    for one, other in zip([START, *nodes], [*nodes, END], strict=True):
        graph.add_edge(one, other)
    return graph.compile()


def writes(**update: Any) -> Any:
    return lambda _: update


def told(shim: Any, event: str) -> list[dict[str, Any]]:
    return [dict(found.metadata) for found in shim.events_named(event)]


def test_agents_may_be_listed_by_pattern_and_shown_by_another_name(mapped: Any) -> None:
    shim = mapped(AGENT_NODES="*_step=billing, gate?", PLUMBING_NODES="monitor")
    line(invoice_step=writes(), gate1=writes(), monitor=writes(), guard=writes()).invoke({})
    assert shim.tree() == [
        "invoke_workflow LangGraph",
        "  invoke_agent billing",
        "  invoke_agent gate1",
        "  step monitor",
        "  step guard",
    ]
    assert shim.count("agent.invocations", agent="billing", status="ok") == 1


def test_an_agent_by_another_name_hands_over_by_that_name(mapped: Any) -> None:
    shim = mapped(AGENT_NODES="n1=supervisor,n2=billing")
    graph: Any = StateGraph(State)
    graph.add_node("n1", lambda _: Command(goto="n2"))
    graph.add_node("n2", writes())
    graph.add_edge(START, "n1")
    graph.compile().invoke({})
    assert told(shim, "handoff") == [{"from_agent": "supervisor", "to_agent": "billing"}]


def test_an_ignored_node_has_no_span_and_what_happens_in_it_is_above(mapped: Any) -> None:
    shim = mapped(IGNORED_NODES="bookkeeping")

    def node(_: State) -> State:
        with shim.tracer.start_as_current_span("mine"):
            return {}

    line(bookkeeping=node).invoke({})
    assert shim.tree() == ["invoke_workflow LangGraph", "  mine"]


def test_a_router_that_is_listed_routes(mapped: Any) -> None:
    shim = mapped(ROUTER_NODES="triage")
    graph: Any = StateGraph(State)
    for name in ("triage", "billing", "support"):
        graph.add_node(name, writes())
    graph.add_edge(START, "triage")
    graph.add_conditional_edges("triage", lambda _: "billing", ["billing", "support"])
    graph.compile().invoke({})
    assert told(shim, "route.selected") == [{"selected_agent": "billing"}]
    assert shim.count("agent.invocations", agent="triage") == 0


def test_wrong_values_are_told_all_at_once_and_the_right_ones_used() -> None:
    settings = load_settings(
        {
            "MIDWATCH_AGENT_NODES": "a*=x,=y,b==c",
            "MIDWATCH_IGNORED_NODES": "b=c,d",
            "MIDWATCH_STATE_FACTS": "decisions:decision(size=big),x:y,messages:message",
        }
    )
    problems = {problem.variable: str(problem) for problem in settings.problems}
    assert list(problems) == [
        "MIDWATCH_AGENT_NODES",
        "MIDWATCH_IGNORED_NODES",
        "MIDWATCH_STATE_FACTS",
    ]
    assert "(wrong: =y, b==c)" in problems["MIDWATCH_AGENT_NODES"]
    assert "(wrong: b=c)" in problems["MIDWATCH_IGNORED_NODES"]
    assert "(wrong: decisions:decision(size=big), x:y)" in problems["MIDWATCH_STATE_FACTS"]
    assert settings.graphs.agents.name_of("a1") == "x"
    assert "d" in settings.graphs.ignored
    assert [fact.key for fact in settings.graphs.state_facts] == ["messages"]


@dataclass
class Checked:
    decision: str
    reason: str = ""


@pytest.mark.parametrize(
    ("update", "decision", "reason"),
    [
        ({}, "allow", "none"),
        ({"text": "hello"}, "allow", "none"),
        ({"text": "hell*"}, "redact", "changed"),
        ({"outcome": "denied"}, "deny", "none"),
        ({"outcome": "BLOCKED", "reason": "prompt_injection"}, "deny", "prompt_injection"),
        ({"verdict": Checked("escalate", "too_dear")}, "escalate", "too_dear"),
        ({"verdict": {"allowed": False, "reason": "Because of what you wrote"}}, "deny", "none"),
        ({"verdict": {"is_safe": True}}, "allow", "none"),
    ],
)
def test_a_guardrails_decision_is_read_off_its_update(
    mapped: Any, update: State, decision: str, reason: str
) -> None:
    shim = mapped(GUARDRAIL_NODES="check_*=input")
    line(check_input=writes(**update), monitor=writes()).invoke({"text": "hello"})
    assert shim.label_sets("agent.guardrail") == [
        {"gate": "input", "decision": decision, "reason": reason}
    ]
    assert told(shim, "guardrail.decided")[0]["gate"] == "input"
    assert "invoke_agent check_input" not in shim.spans


@pytest.mark.parametrize(
    ("way", "decision"),
    [("monitor", "allow"), (END, "deny"), ("refuse_politely", "deny"), ("human", "escalate")],
)
@pytest.mark.parametrize("command", [False, True])
def test_a_guardrails_decision_is_read_off_where_it_goes(
    mapped: Any, way: str, decision: str, command: bool
) -> None:
    shim = mapped(GUARDRAIL_NODES="gatekeeper")
    graph: Any = StateGraph(State)
    graph.add_node("gatekeeper", (lambda _: Command(goto=way)) if command else writes())
    for name in ("monitor", "refuse_politely", "human"):
        graph.add_node(name, writes())
    graph.add_edge(START, "gatekeeper")
    if not command:
        ways = ["monitor", "refuse_politely", "human", END]
        graph.add_conditional_edges("gatekeeper", lambda _: way, ways)
    graph.compile().invoke({})
    assert [labels["decision"] for labels in shim.label_sets("agent.guardrail")] == [decision]


def test_a_guardrail_that_waits_for_a_person_escalates(mapped: Any) -> None:
    shim = mapped(GUARDRAIL_NODES="approval")
    graph: Any = StateGraph(State)
    graph.add_node("approval", lambda _: {"outcome": interrupt("go on?")})
    graph.add_edge(START, "approval")
    app = graph.compile(checkpointer=InMemorySaver())
    app.invoke({}, THREAD)
    app.invoke(Command(resume="approved"), THREAD)
    assert [one["decision"] for one in told(shim, "guardrail.decided")] == ["escalate", "allow"]


def test_a_guardrail_that_breaks_decided_nothing(mapped: Any) -> None:
    def breaks(_: State) -> State:
        raise ValueError("broken")

    shim = mapped(GUARDRAIL_NODES="gate")
    with pytest.raises(ValueError, match="broken"):
        line(gate=breaks).invoke({})
    assert not told(shim, "guardrail.decided")


def test_the_function_of_a_conditional_edge_may_be_a_guardrail(mapped: Any) -> None:
    def is_allowed(_: State) -> str:
        return END

    shim = mapped(GUARDRAIL_NODES="is_allowed")
    graph: Any = StateGraph(State)
    graph.add_node("monitor", writes())
    graph.add_edge(START, "monitor")
    graph.add_conditional_edges("monitor", is_allowed, ["monitor", END])
    graph.compile().invoke({})
    assert shim.label_sets("agent.guardrail") == [
        {"gate": "is_allowed", "decision": "deny", "reason": "route"}
    ]


def test_what_the_application_says_of_its_gate_goes_before_what_is_inferred(mapped: Any) -> None:
    shim = mapped(GUARDRAIL_NODES="input")

    def gate(_: State) -> State:
        shim.recorder.guardrail("input", "redact", "secret", by="hand")
        return {}

    with turn(recorder=shim.recorder):
        line(input=gate).invoke({})
    assert shim.label_sets("agent.guardrail") == [
        {"gate": "input", "decision": "redact", "reason": "secret"}
    ]
    assert len(told(shim, "guardrail.decided")) == 1


class PolicyRetriever(BaseRetriever):
    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        return [Document("a"), Document("b"), Document("c")]


def self_rag(*kept: int) -> Any:
    """Retrieves and grades, once for each figure; the last round is final."""
    rounds = list(kept)

    def retrieve(_: State) -> State:
        return {"documents": [found.page_content for found in PolicyRetriever().invoke("x")]}

    def grade(state: State) -> State:
        return {"documents": state["documents"][: rounds.pop(0)]}

    graph: Any = StateGraph(State)
    nodes: dict[str, Any] = {"retrieve": retrieve, "judge": grade, "rewrite": writes()}
    for name, node in {**nodes, "generate": writes()}.items():
        graph.add_node(name, node)
    graph.add_edge(START, "retrieve")
    graph.add_edge("retrieve", "judge")
    graph.add_conditional_edges(
        "judge", lambda _: "rewrite" if rounds else "generate", ["rewrite", "generate"]
    )
    graph.add_edge("rewrite", "retrieve")
    return graph.compile()


def test_a_grader_tells_what_was_retrieved_graded_and_decided(mapped: Any) -> None:
    shim = mapped(GRADER_NODES="judge")
    self_rag(0, 2).invoke({"text": "x"})
    assert told(shim, "selfrag.retrieved") == [
        {"documents": 3, "attempt": 1},
        {"documents": 3, "attempt": 2},
    ]
    assert told(shim, "selfrag.graded") == [
        {"documents": 3, "relevant": 0, "attempt": 1},
        {"documents": 3, "relevant": 2, "attempt": 2},
    ]
    assert shim.label_sets("agent.selfrag.decision") == [
        {"decision": "retry", "reason": "rewrite"},
        {"decision": "final", "reason": "generate"},
    ]


def test_the_function_of_a_conditional_edge_may_be_the_grader(mapped: Any) -> None:
    def grade_documents(_: State) -> str:
        return "rewrite_question"

    shim = mapped(GRADER_NODES="grade_*")
    graph: Any = StateGraph(State)
    graph.add_node("retrieve", writes())
    graph.add_node("rewrite_question", writes())
    graph.add_edge(START, "retrieve")
    graph.add_conditional_edges("retrieve", grade_documents, ["rewrite_question", END])
    graph.compile().invoke({})
    assert shim.label_sets("agent.selfrag.decision") == [
        {"decision": "retry", "reason": "rewrite_question"}
    ]


def test_a_retrieval_is_no_self_rag_where_nothing_grades(shim: Any) -> None:
    PolicyRetriever().invoke("x")
    assert not told(shim, "selfrag.retrieved")


class Name(StrEnum):
    INVENTORY = "inventory_agent"
    PRICING = "pricing_agent"


@dataclass
class Decision:
    agent: Name
    decision: str
    confidence: float


@dataclass
class Message:
    from_agent: Name
    to_agent: Name
    content: str


@dataclass
class Conflict:
    conflict_type: str
    agents: tuple[Name, Name]
    resolution: str


def shop() -> Any:
    both = (Name.INVENTORY, Name.PRICING)
    return line(
        orchestrator=writes(participants=both),
        inventory_agent=writes(
            decisions=[Decision(Name.INVENTORY, "reorder", 0.8)],
            agent_messages=[Message(Name.INVENTORY, Name.PRICING, "a secret")],
        ),
        pricing_agent=writes(decisions=[Decision(Name.PRICING, "markdown", 0.6)]),
        conflict_resolver=writes(conflicts=[Conflict("double_discount", both, "capped")]),
    )


def test_decisions_messages_and_conflicts_in_the_state_are_facts(mapped: Any) -> None:
    shim = mapped(STATE_FACTS=RETAIL)
    shop().invoke({}, {"metadata": {"workflow_type": "stockout"}})
    assert told(shim, "decision.made") == [
        {"agent": "inventory_agent", "decision": "reorder", "confidence": 0.8},
        {"agent": "pricing_agent", "decision": "markdown", "confidence": 0.6},
    ]
    assert shim.count("agent.decision.confidence", decision="reorder") == 1
    assert shim.label_sets("agent.messages") == [
        {"from_agent": "inventory_agent", "to_agent": "pricing_agent"}
    ]
    assert shim.label_sets("agent.conflicts") == [
        {"conflict_type": "double_discount", "resolution": "capped"}
    ]
    assert shim.label_sets("agent.collaborations") == [
        {"workflow_type": "stockout", "outcome": "ok"}
    ]
    assert not any("secret" in str(event) for event in shim.events)


def test_nothing_is_read_off_the_state_that_the_settings_do_not_name(shim: Any) -> None:
    shop().invoke({})
    assert shim.label_sets("agent.decisions") == []


def test_fields_may_have_other_names(mapped: Any) -> None:
    fields = "decision(agent=who;decision=what;confidence=certainty)"
    shim = mapped(STATE_FACTS=f"decisions:{fields},participants:collaboration(workflow_type=kind)")
    item = {"who": "pricing", "what": "markdown", "certainty": "high"}
    graph = line(monitor=writes(decisions=[item], participants=["a", "b"]))
    graph.invoke({}, {"metadata": {"kind": "surge"}})
    assert told(shim, "decision.made") == [{"agent": "pricing", "decision": "markdown"}]
    assert told(shim, "collaboration.started") == [
        {"workflow_type": "surge", "participants": ["a", "b"]}
    ]


def test_a_list_that_repeats_its_earlier_items_counts_the_new_ones_only(mapped: Any) -> None:
    shim = mapped(STATE_FACTS="conflicts:conflict")
    first, second = (Conflict(kind, (Name.PRICING, Name.PRICING), "won") for kind in "ab")
    line(one=writes(conflicts=[first]), two=writes(conflicts=[first, second])).invoke({})
    assert [one["conflict_type"] for one in told(shim, "conflict.resolved")] == ["a", "b"]


def test_the_changes_of_a_state_are_facts(mapped: Any) -> None:
    shim = mapped(STATE_FACTS="phase:state")
    nodes = {"one": writes(phase="open"), "two": writes(phase="open"), "three": writes(phase="won")}
    line(**nodes).invoke({"phase": "new"})
    assert told(shim, "state.changed") == [
        {"agent": "one", "from_state": "new", "to_state": "open"},
        {"agent": "three", "from_state": "open", "to_state": "won"},
    ]


def test_a_collaboration_of_a_graph_that_fails_ends_with_an_error(mapped: Any) -> None:
    def breaks(_: State) -> State:
        raise ValueError("broken")

    shim = mapped(STATE_FACTS=RETAIL)
    graph = line(one=writes(participants=("a", "b")), two=breaks)
    with pytest.raises(ValueError, match="broken"):
        graph.invoke({})
    assert shim.label_sets("agent.collaborations") == [
        {"workflow_type": "LangGraph", "outcome": "error"}
    ]
