"""The workflow as a graph: the orchestrator, the agents that it chose, the conflict resolver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from langchain_core.language_models import BaseChatModel
from langgraph.graph import END, START, StateGraph

from retail_simulation.agents.nodes import (
    Orchestrator,
    Specialist,
    WorkflowState,
    resolve_conflicts,
)
from retail_simulation.agents.tools import ChainTools, CurrentEngine
from retail_simulation.models import (
    SPECIALISTS,
    AgentDecision,
    AgentMessage,
    AgentName,
    Conflict,
    TriggerEvent,
)


@dataclass(frozen=True)
class WorkflowResult:
    """What came out of one workflow. `accepted` may be carried out as it stands."""

    participants: tuple[AgentName, ...]
    decisions: tuple[AgentDecision, ...]
    messages: tuple[AgentMessage, ...]
    conflicts: tuple[Conflict, ...]
    accepted: tuple[AgentDecision, ...]


class Workflow:
    """Runs the agents on an event. It never fails because of the model: rules take its place."""

    def __init__(self, model: BaseChatModel, current_engine: CurrentEngine) -> None:
        tools = ChainTools(current_engine)
        graph = StateGraph(WorkflowState)
        graph.add_node(AgentName.ORCHESTRATOR, Orchestrator(model))
        for agent in SPECIALISTS:
            graph.add_node(agent, Specialist(agent, model, tools))
        graph.add_node(AgentName.RESOLVER, resolve_conflicts)
        graph.add_edge(START, AgentName.ORCHESTRATOR)
        destinations: list[str] = [*SPECIALISTS, AgentName.RESOLVER]
        for agent in (AgentName.ORCHESTRATOR, *SPECIALISTS):
            graph.add_conditional_edges(agent, next_agent, destinations)
        graph.add_edge(AgentName.RESOLVER, END)
        self._graph = graph.compile(name="retail_workflow")

    async def run(self, event: TriggerEvent, session_id: str) -> WorkflowResult:
        """Let the agents decide about an event."""
        start: WorkflowState = {"event": event, "decisions": [], "agent_messages": []}
        final: dict[str, Any] = await self._graph.ainvoke(
            start,
            config={"metadata": {"session_id": session_id, "event_type": str(event.type)}},
        )
        return WorkflowResult(
            participants=tuple(final["participants"]),
            decisions=tuple(final["decisions"]),
            messages=tuple(final["agent_messages"]),
            conflicts=tuple(final["conflicts"]),
            accepted=tuple(final["accepted"]),
        )


def next_agent(state: WorkflowState) -> str:
    """Return the next participant that has not decided yet, or else the conflict resolver."""
    decided = {decision.agent for decision in state.get("decisions", [])}
    waiting = (agent for agent in state["participants"] if agent not in decided)
    return next(waiting, AgentName.RESOLVER)
