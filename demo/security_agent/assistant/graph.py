"""The agents' graph: gate, supervisor, specialists, gate; and what each step reports of itself."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial

from langchain_core.tools import BaseTool
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from security_agent.assistant import prompts, selfrag
from security_agent.assistant.audit import AuditLogger
from security_agent.assistant.confirmation import PendingAction, pending_of, verdict_of
from security_agent.assistant.guardrails import check_input, check_output
from security_agent.assistant.llm import ask, get_llm
from security_agent.assistant.rag_steps import rag_steps
from security_agent.assistant.specialists import Report, ToolOutcome, work
from security_agent.assistant.state import SPECIALISTS, Context, TurnState
from security_agent.assistant.supervision import (
    FINISH,
    chosen_by_model,
    earlier_turns,
    waiting_specialist,
)
from security_agent.assistant.telemetry import get_agent_telemetry
from security_agent.assistant.tools import (
    CHANGING_TOOLS,
    DANGEROUS_TOOLS,
    config_tools,
    describe,
    get_appliance,
    invoke,
    monitor_tools,
    takes,
)
from security_agent.config import AppConfig

TELEMETRY = get_agent_telemetry()
AUDIT_LOGGER = AuditLogger()

_HELP = (
    "I can tell you about status, alerts and reports, change the protection mode, block addresses,"
    " and answer questions about our security policies and playbooks. What do you need?"
)


def emit(event: str, context: Context, **metadata: object) -> None:
    """Emit an event with the ids of the turn."""
    TELEMETRY.emit_event(
        event,
        trace_id=context.get("trace_id"),
        session_id=context.get("session_id"),
        turn_id=context.get("turn_id"),
        metadata=metadata,
    )


def record_gate(context: Context, gate: str, decision: str, reason: str) -> None:
    """Write a gate's decision to the audit trail and the telemetry."""
    AUDIT_LOGGER.log(gate, decision, reason, context)
    TELEMETRY.inc_guardrail(gate, decision, reason)
    emit("guardrail.decided", context, gate=gate, decision=decision, reason=reason)


def input_guard_node(state: TurnState) -> TurnState:
    """Deny the turn, or let it on without secrets."""
    checked = check_input(state["user_input"])
    record_gate(state["context"], checked.gate, checked.decision, checked.reason)
    if checked.decision == "deny":
        return {"answer": checked.text, "outcome": "denied"}
    return {"user_input": checked.text}


def after_input_guard(state: TurnState) -> str:
    """A denied turn ends."""
    return END if state.get("outcome") == "denied" else "supervisor"


def supervisor_node(state: TurnState) -> TurnState:
    """Choose who acts next."""
    context = state["context"]
    selected = waiting_specialist(state)
    if not selected:
        if pending_of(context) is not None:
            # A "yes" to something else must not carry out a change of long ago.
            record_gate(context, "confirmation", "deny", "superseded")
            context = {**context, "pending_action": None}
        selected = chosen_by_model(state)
    if selected != FINISH:
        TELEMETRY.inc_route(selected)
        emit("route.selected", context, selected_agent=selected)
    return {
        "context": context,
        "selected_agent": selected,
        "route": [*state.get("route", []), *([selected] if selected != FINISH else [])],
        "handoffs": state.get("handoffs", 0) + 1,
    }


def route_to_specialist(state: TurnState) -> str:
    """The next node after the supervisor."""
    selected = state["selected_agent"]
    if selected not in SPECIALISTS:
        return "output_guard"
    record_handoff(state["context"], "supervisor", selected)
    return selected


def after_specialist(state: TurnState) -> str:
    """Back to the supervisor when the specialist asks for it, within the turn's handoffs."""
    if not state.get("handoff") or state["handoffs"] >= AppConfig().limits.handoffs:
        return "output_guard"
    record_handoff(state["context"], state["selected_agent"], "supervisor")
    return "supervisor"


def record_handoff(context: Context, from_agent: str, to_agent: str) -> None:
    """Report that the turn goes from one agent to another."""
    TELEMETRY.inc_handoff(from_agent, to_agent)
    emit("handoff", context, from_agent=from_agent, to_agent=to_agent)


def monitor_node(state: TurnState) -> TurnState:
    """Read the appliance and tell what matters."""
    report = _report("monitor", prompts.MONITOR, monitor_tools(get_appliance()), state)
    return _reported(state, report)


def config_manager_node(state: TurnState) -> TurnState:
    """Change the appliance; dangerous changes only after the person's word."""
    context = state["context"]
    pending = pending_of(context)
    verdict = verdict_of(state["user_input"], context.get("confirm"))
    if pending is not None and verdict is not None:
        return _carried_out(state, {**context, "pending_action": None}, pending, verdict)
    tools = config_tools(get_appliance())
    report = _report("config_manager", prompts.CONFIG_MANAGER, tools, state)
    if report.pending is not None:
        context = {**context, "pending_action": report.pending.as_json()}
    return {**_reported(state, report), "context": context}


def _carried_out(
    state: TurnState, context: Context, pending: PendingAction, confirmed: bool
) -> TurnState:
    """The waiting action done, or left undone, as the person says."""
    if not confirmed:
        record_gate(context, "confirmation", "deny", "declined")
        TELEMETRY.observe_tool_call("config_manager", pending.tool, "denied", 0.0)
        answer = f"All right, I did not {pending.summary}."
        return {"context": context, "answer": answer, "outcome": "declined", "handoff": ""}
    record_gate(context, "confirmation", "allow", "confirmed")
    tools = config_tools(get_appliance())
    outcome = call_tool(
        "config_manager", tools, context, pending.tool, pending.arguments, confirmed=True
    )
    if outcome.status == "ok":
        answer, done = f"Done, as you confirmed: {pending.summary}.", [pending.tool]
    else:
        answer = f"I could not {pending.summary}: {outcome.text}. Nothing was changed."
        done = []
    return {
        "context": context,
        "answer": answer,
        "done": [*state.get("done", []), *done],
        "outcome": "answered" if done else "tool_failed",
        "handoff": "",
    }


def _report(agent: str, prompt: str, tools: Sequence[BaseTool], state: TurnState) -> Report:
    findings = " ".join(state.get("findings", []))
    task = state["user_input"]
    if findings or state.get("handoff"):
        task += f"\n\nAlready found: {findings or 'nothing'}\nStill needed: {state['handoff']}"
    return work(
        prompt,
        task,
        lambda messages: ask(get_llm(), messages, state["deadline"], tools),
        partial(call_tool, agent, tools, state["context"]),
    )


def _reported(state: TurnState, report: Report) -> TurnState:
    done = [o.tool for o in report.outcomes if o.status == "ok" and o.tool in CHANGING_TOOLS]
    update: TurnState = {"done": [*state.get("done", []), *done], "handoff": report.handoff}
    if report.handoff:
        findings = [*state.get("findings", []), *([report.text] if report.text else [])]
        return {**update, "findings": findings, "handoffs": state["handoffs"] + 1}
    outcome = "tool_failed" if report.failed else "answered"
    if report.pending is not None:
        outcome = "needs_confirmation"
    return {**update, "answer": report.text, "outcome": outcome}


def call_tool(
    agent: str,
    tools: Sequence[BaseTool],
    context: Context,
    name: str,
    arguments: Mapping[str, object],
    *,
    confirmed: bool = False,
) -> ToolOutcome:
    """Run a tool, or hold it back until a person confirms it; never raises for a tool's failure."""
    tool = next((tool for tool in tools if tool.name == name), None)
    if tool is None:
        return ToolOutcome(name, "error", f"ERROR: there is no tool {name!r}")
    if name in DANGEROUS_TOOLS and not confirmed and takes(tool, arguments):
        record_gate(context, "confirmation", "escalate", "confirmation_required")
        pending = PendingAction(name, dict(arguments), describe(name, arguments))
        return ToolOutcome(name, "pending", "waits for confirmation", pending)
    emit("tool.started", context, agent=agent, tool=name)
    started = time.perf_counter()
    status, text = invoke(tool, arguments)
    seconds = time.perf_counter() - started
    TELEMETRY.observe_tool_call(agent, name, status, seconds)
    emit("tool.finished", context, agent=agent, tool=name, status=status, seconds=seconds)
    return ToolOutcome(name, status, text if status == "ok" or confirmed else f"ERROR: {text}")


def rag_agent_node(state: TurnState) -> TurnState:
    """Answer from the knowledge base, or say that a person must."""
    context = state["context"]

    steps = rag_steps(state["deadline"])
    question = state.get("handoff") or state["user_input"]
    question = selfrag.standalone(question, earlier_turns(context), steps.ask)
    answer, citations, outcome = "", [], "escalated"
    for attempt in selfrag.attempts(question, steps):
        record_attempt(context, attempt)
        if attempt.decision == "final":
            answer, citations, outcome = attempt.answer, list(attempt.citations), "answered"
    if outcome == "escalated":
        answer = (
            "I found nothing in our documents that I can stand behind, so a person should answer"
            f" this. Please ask the on-call analyst and name turn {context.get('turn_id')} of"
            f" session {context.get('session_id')}."
        )
    return {"answer": answer, "citations": citations, "outcome": outcome, "handoff": ""}


def record_attempt(context: Context, attempt: selfrag.Attempt) -> None:
    """Report one round of the self-RAG loop."""
    counts = {"attempt": attempt.number, "documents": len(attempt.retrieved)}
    emit("selfrag.retrieved", context, **counts)
    emit("selfrag.graded", context, **counts, relevant=len(attempt.relevant))
    TELEMETRY.inc_selfrag_decision(attempt.decision, attempt.reason)
    decided = {"decision": attempt.decision, "reason": attempt.reason}
    emit("selfrag.decided", context, attempt=attempt.number, **decided)


def output_guard_node(state: TurnState) -> TurnState:
    """Put the answer together and let it out only without leaks and unsupported claims."""
    context = state["context"]
    agent = state["selected_agent"] if state["selected_agent"] != FINISH else "supervisor"
    outcome = state.get("outcome", "answered")
    parts = [*state.get("findings", []), state.get("answer", "")]
    if state.get("handoff") and agent != "supervisor":
        outcome = "handoff_limit"
        parts.append(
            "I could not settle who should do the rest"
            f" ({state['handoff']}). Please ask for it in a message of its own."
        )
    text = "\n\n".join(part for part in parts if part) or _HELP
    checked = check_output(
        text,
        agent=agent,
        citations=state.get("citations", []),
        done=state.get("done", []),
        escalated=outcome in {"escalated", "handoff_limit"},
    )
    record_gate(context, checked.gate, checked.decision, checked.reason)
    if checked.decision == "deny":
        return {"answer": checked.text, "outcome": "denied", "citations": []}
    return {"answer": checked.text, "outcome": outcome}


@lru_cache(maxsize=1)
def build_graph() -> CompiledStateGraph[TurnState, None, TurnState, TurnState]:
    """The compiled graph."""
    graph = StateGraph(TurnState)
    graph.add_node("input_guard", input_guard_node)
    graph.add_node("supervisor", supervisor_node)
    graph.add_node("monitor", monitor_node)
    graph.add_node("config_manager", config_manager_node)
    graph.add_node("rag_agent", rag_agent_node)
    graph.add_node("output_guard", output_guard_node)
    graph.add_edge(START, "input_guard")
    graph.add_conditional_edges("input_guard", after_input_guard, ["supervisor", END])
    graph.add_conditional_edges("supervisor", route_to_specialist, [*SPECIALISTS, "output_guard"])
    for specialist in SPECIALISTS:
        graph.add_conditional_edges(specialist, after_specialist, ["supervisor", "output_guard"])
    graph.add_edge("output_guard", END)
    return graph.compile(name="security_agent")
