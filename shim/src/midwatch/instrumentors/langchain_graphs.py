"""Graphs and their nodes: workflows, agents, plumbing, and the ways between agents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from midwatch.instrumentors.langchain_ends import How, command_of, how_it_ended
from midwatch.instrumentors.langchain_keeper import AGENT_NAME, RunKeeper, integer
from midwatch.instrumentors.langchain_nodes import DEFAULT_GRAPH_NAME, NodeRules
from midwatch.instrumentors.langchain_routes import Choice, GraphRoutes, destinations_of
from midwatch.instrumentors.langchain_runs import Kind, Run
from midwatch.instrumentors.langchain_shape import GraphShapes
from midwatch.instruments.agent_context import with_turn
from midwatch.instruments.turns import start_turn
from midwatch.registry.span_attributes import NODE_NAME

_NODE_TAG = "graph:step:"
_SESSION_KEYS = ("thread_id", "session_id", "conversation_id")


class GraphTracker:
    """Follows graphs, their nodes, and the chains inside of nodes.

    Args:
        keeper: opens and closes runs.
        rules: tell agents from plumbing.
    """

    def __init__(self, keeper: RunKeeper, rules: NodeRules) -> None:
        self._keeper = keeper
        self._recorder = keeper.recorder
        self._rules = rules
        self._shapes = GraphShapes(rules)

    def shaped(self, run_id: UUID, nodes: Mapping[str, object]) -> None:
        """The graph that runs has these nodes."""
        run = self._keeper.runs.get(run_id)
        if run is not None:
            run.shape = self._shapes.of(nodes)

    def started(
        self,
        run_id: UUID,
        parent_run_id: UUID | None,
        name: str,
        tags: Sequence[str],
        metadata: Mapping[str, Any],
    ) -> None:
        """A graph, a node or a chain inside of a node begins."""
        parent = self._keeper.runs.get(parent_run_id)
        is_node = metadata.get("langgraph_node") == name and any(
            tag.startswith(_NODE_TAG) for tag in tags
        )
        if parent is not None and is_node:
            self._node_started(run_id, parent, name, integer(metadata, "langgraph_step"))
        elif parent is None and metadata.get("ls_integration"):
            self._root_started(run_id, name, metadata)
        else:
            self._keeper.open(run_id, parent, Kind.PLAIN, name)

    def ended(self, run_id: UUID, outputs: object, error: BaseException | None = None) -> None:
        """The run ends, with an exception or without."""
        run = self._keeper.runs.take(run_id)
        if run is None:
            return
        how = how_it_ended(error)
        if how is How.INTERRUPTED:
            _root_of(run).interrupted = True
        if run.node:
            for goto in _gotos(outputs if error is None else command_of(error)):
                self._commanded(run, goto)
        if run.kind is Kind.AGENT:
            with self._keeper.recording(run):
                self._recorder.invocation(run.agent, how.value, run.seconds, by="instrumentation")
        if run.scope is not None:
            how = self._finish_turn(run, how, error)
        self._keeper.close(run, how, error)

    def branched(self, node_run_id: UUID, chosen: object, ends: Iterable[str]) -> None:
        """The conditional edge of a node chose where to go, among its ends if it has any."""
        run = self._keeper.runs.get(node_run_id)
        if run is not None:
            self._chose(run, chosen, frozenset(ends))

    def _root_started(self, run_id: UUID, name: str, metadata: Mapping[str, Any]) -> None:
        run = self._keeper.open(run_id, None, Kind.GRAPH, name or DEFAULT_GRAPH_NAME)
        run.routes = GraphRoutes()
        session = next((str(value) for key in _SESSION_KEYS if (value := metadata.get(key))), "")
        run.conversation = session
        self._keeper.start_span(
            run,
            f"invoke_workflow {run.name}",
            "invoke_workflow",
            {"gen_ai.workflow.name": run.name},
        )
        with self._keeper.recording(run):
            run.scope = start_turn(session_id=session, recorder=self._recorder)
            # The turn goes with the context of the runs only: a stream that the caller abandons
            # must not leave a turn behind in which everything after it would take place.
            run.scope.leave()
        run.turn = run.scope.turn
        run.context = with_turn(run.turn, run.context)

    def _finish_turn(self, run: Run, how: How, error: BaseException | None) -> How:
        if how is How.OK and run.interrupted:
            how = How.INTERRUPTED
        if run.scope is not None:
            if how is How.INTERRUPTED and run.turn is not None and not run.turn.outcome:
                run.turn.outcome = how.value
            with self._keeper.recording(run):
                run.scope.finish(error)
        return how

    def _node_started(self, run_id: UUID, parent: Run, name: str, step: int) -> None:
        routes = parent.routes or self._promote(parent, name)
        if name.startswith("__"):
            run = self._keeper.open(run_id, parent, Kind.PLAIN, name)
        elif not self._rules.is_agent(name):
            run = self._plumbing_started(run_id, parent, routes, name, step)
        elif self._rules.is_generic(name) and parent.agent:
            # The model step of an agent that is a graph of its own: the agent has its span.
            run = self._keeper.open(run_id, parent, Kind.PLAIN, name)
        else:
            run = self._agent_started(run_id, parent, routes, name, step)
        run.node, run.step = name, step

    def _plumbing_started(
        self, run_id: UUID, parent: Run, routes: GraphRoutes, name: str, step: int
    ) -> Run:
        agent = routes.plumbing_begins(name, step) or parent.agent
        run = self._keeper.open(run_id, parent, Kind.STEP, name, agent)
        if not self._rules.runs_tools(name):
            self._keeper.start_span(run, f"step {name}", "", {NODE_NAME.name: name})
        return run

    def _agent_started(
        self, run_id: UUID, parent: Run, routes: GraphRoutes, name: str, step: int
    ) -> Run:
        named = self._rules.is_generic(name) and parent.name != DEFAULT_GRAPH_NAME
        agent = parent.name if named else name
        arrival = routes.agent_begins(name, agent, step)
        run = self._keeper.open(run_id, parent, Kind.AGENT, name, agent)
        if run.turn is not None:
            run.turn.entered(agent)
        if arrival is not None and arrival.from_agent != agent:
            with self._keeper.recording(parent):
                if arrival.routed:
                    self._recorder.route(agent, by="instrumentation")
                if arrival.from_agent:
                    self._recorder.handoff(arrival.from_agent, agent, by="instrumentation")
        self._invoke_agent(run)
        return run

    def _invoke_agent(self, run: Run) -> None:
        self._keeper.start_span(
            run, f"invoke_agent {run.agent}", "invoke_agent", {AGENT_NAME: run.agent}
        )

    def _promote(self, run: Run, first_node: str) -> GraphRoutes:
        """A chain turns out to be a graph, since it has a node."""
        run.routes = GraphRoutes()
        run.name = run.name or DEFAULT_GRAPH_NAME
        # A graph whose nodes say nothing about the agent (those of `create_agent`) is the agent
        # itself, unless it is the body of a node that is one.
        anonymous = self._rules.is_generic(first_node) or "." in first_node
        outer = _visible_ancestor(run)
        if (
            anonymous
            and run.name != DEFAULT_GRAPH_NAME
            and (outer is None or outer.kind is not Kind.AGENT)
        ):
            run.kind = Kind.AGENT
            self._keeper.act_as(run, run.name)
            self._invoke_agent(run)
        return run.routes

    def _commanded(self, run: Run, goto: object) -> None:
        graph = run.parent
        shape = graph.shape if graph is not None else None
        self._chose(run, goto, shape.declared_commands(run.node) if shape else frozenset())

    def _chose(self, run: Run, chosen: object, ends: frozenset[str]) -> None:
        graph = run.parent
        if graph is None or graph.routes is None:
            return
        among = self._rules.chooses(run.node)
        if among and graph.shape is not None:
            graph.routes.supervisor = graph.shape.supervisor
            among = len(graph.shape.agents_behind(run.node, ends)) > 1
        names = frozenset(destinations_of(chosen))
        graph.routes.chose(Choice(run.agent, names, run.step, among, bool(ends)))


def _gotos(outputs: object) -> Iterator[object]:
    """Where the commands in a node's result go to."""
    for item in outputs if isinstance(outputs, list | tuple) else (outputs,):
        goto = getattr(item, "goto", None)
        if goto:
            yield goto


def _root_of(run: Run) -> Run:
    while run.parent is not None:
        run = run.parent
    return run


def _visible_ancestor(run: Run) -> Run | None:
    ancestor = run.parent
    while ancestor is not None and ancestor.kind is Kind.PLAIN:
        ancestor = ancestor.parent
    return ancestor
