"""Graphs and their nodes: agents, plumbing, and the ways between agents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

from opentelemetry.util.types import AttributeValue

from midwatch.instrumentors import langchain_attempts as attempts
from midwatch.instrumentors.langchain_ends import How, command_of, how_it_ended, ran_too_long
from midwatch.instrumentors.langchain_keeper import AGENT_NAME, RunKeeper, integer
from midwatch.instrumentors.langchain_node_facts import NodeFacts
from midwatch.instrumentors.langchain_nodes import DEFAULT_GRAPH_NAME, NodeRules
from midwatch.instrumentors.langchain_routes import Choice, GraphRoutes, destinations_of
from midwatch.instrumentors.langchain_runs import (
    GraphMemory,
    InnerAgent,
    Kind,
    Run,
    root_of,
    visible_ancestor,
)
from midwatch.instrumentors.langchain_shape import GraphShapes
from midwatch.instrumentors.langchain_updates import gotos_of
from midwatch.instrumentors.langchain_workflows import Workflows
from midwatch.registry.span_attributes import NODE_NAME, RUN_ATTEMPT

_NODE_TAG = "graph:step:"
_TASK_KEY = "langgraph_checkpoint_ns"


class GraphTracker:
    """Follows graphs, their nodes, and the chains inside of nodes.

    Args:
        keeper: opens and closes runs.
        rules: tell agents from plumbing.
        facts: reads more off nodes where the settings say so.
    """

    def __init__(self, keeper: RunKeeper, rules: NodeRules, facts: NodeFacts) -> None:
        self.workflows = Workflows(keeper)
        self._keeper = keeper
        self._recorder = keeper.recorder
        self._rules = rules
        self._facts = facts
        self._shapes = GraphShapes(rules)
        keeper.on_given_up(self._given_up)

    def shaped(
        self, run_id: UUID, nodes: Mapping[str, object], channels: Mapping[str, object]
    ) -> None:
        """The graph that runs has these nodes and channels."""
        run = self._keeper.runs.get(run_id)
        if run is not None:
            run.shape = self._shapes.of(nodes, channels)

    def started(
        self,
        run_id: UUID,
        parent_run_id: UUID | None,
        name: str,
        *,
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any],
        run_type: str | None = None,
        inputs: object = None,
    ) -> None:
        """A graph, a node or a chain inside of a node begins; `inputs` are not copied."""
        parent = self._keeper.runs.get(parent_run_id)
        if parent is None:
            self.workflows.started(run_id, name, metadata, run_type)
            return
        run: Run | None = None
        if metadata.get("langgraph_node") == name:
            task = str(metadata.get(_TASK_KEY) or "")
            if any(tag.startswith(_NODE_TAG) for tag in tags):
                run = self._node_started(
                    run_id, parent, name, integer(metadata, "langgraph_step"), task
                )
            elif parent.task and task and task != parent.task:
                run = self._task_started(run_id, parent, name, task)
        if run is None:
            self._keeper.open(run_id, parent, Kind.PLAIN, name)
        else:
            self._facts.started(run, inputs)

    def ended(self, run_id: UUID, outputs: object, error: BaseException | None = None) -> None:
        """The run ends, with an exception or without."""
        run = self._keeper.runs.take(run_id)
        if run is None:
            return
        how = how_it_ended(error)
        if how is How.INTERRUPTED:
            root_of(run).interrupted = True
        inner = self._keeper.runs.take(run.inner.run.run_id) if run.inner is not None else None
        self._keeper.give_up_children(run)
        if inner is not None:
            self._inner_ended(run, inner, how, error)
        if run.routes is not None:
            self._graph_ended(run, how, error)
        if run.node:
            result = outputs if error is None else command_of(error)
            for goto in gotos_of(result):
                self._commanded(run, goto)
            self._facts.ended(run, result, how)
        if run.kind is Kind.AGENT or run.task:
            self._attempted(run, how)
        if run.parent is None:
            how = self.workflows.finish(run, how, error)
        self._keeper.close(run, how, error)

    def branched(
        self, node_run_id: UUID, function: str, chosen: object, ends: Iterable[str]
    ) -> None:
        """The conditional edge of a node chose where to go, among its ends if it has any."""
        run = self._keeper.runs.get(node_run_id)
        if run is not None:
            self._chose(run, chosen, frozenset(ends))
            self._facts.branched(run, function, destinations_of(chosen))

    def _graph_ended(self, run: Run, how: How, error: BaseException | None) -> None:
        for over in attempts.settled(run, error):
            self._invoked(over)
        self._facts.graph_ended(run, how)
        root = root_of(run)
        if error is None or not ran_too_long(error) or root.loop_told or run.routes is None:
            return
        root.loop_told = True
        loop = run.routes.most_repeated()
        if loop is not None:
            (from_agent, to_agent), times = loop
            self._keeper.tell(run, self._recorder.handoff_loop, from_agent, to_agent, repeats=times)

    def _attempted(self, run: Run, how: How) -> None:
        """Count an agent's invocation that is over, unless it may be tried again."""
        over = attempts.ended(run, how)
        if over is not None:
            self._invoked(over)

    def _invoked(self, over: attempts.Invocation) -> None:
        if over.run.kind is Kind.AGENT:
            run = over.run
            self._keeper.tell(
                run, self._recorder.invocation, run.agent, over.how.value, over.seconds
            )

    def _given_up(self, run: Run) -> None:
        self._invoked(attempts.Invocation(run, How.CANCELLED, run.seconds))

    def _node_started(self, run_id: UUID, parent: Run, name: str, step: int, task: str) -> Run:
        routes = parent.routes or self._promote(parent, name)
        if parent.parent is None and parent.shape is not None and parent.shape.is_one_agent:
            self._enclose(parent)
        if self._rules.is_ignored(name):
            run = self._keeper.open(run_id, parent, Kind.PLAIN, name)
            _begin(run, name, step, task)
        elif not self._rules.is_agent(name):
            agent = routes.plumbing_begins(name, step) or parent.agent
            run = self._keeper.open(run_id, parent, Kind.STEP, name, agent)
            _begin(run, name, step, task)
            if not self._rules.runs_tools(name):
                self._start_step(run)
        elif self._rules.is_generic(name) and parent.agent:
            # The model step of an agent that is a graph of its own: the agent has its span.
            run = self._keeper.open(run_id, parent, Kind.PLAIN, name)
            _begin(run, name, step, task)
        else:
            run = self._agent_started(run_id, parent, routes, name, step, task)
        return run

    def _task_started(self, run_id: UUID, parent: Run, name: str, task: str) -> Run:
        """A task of a workflow that is written as a function, called by its body."""
        is_agent = self._rules.is_agent_task(name)
        agent = self._rules.agent_of(name) if is_agent else parent.agent
        kind = Kind.AGENT if is_agent else Kind.STEP
        run = self._keeper.open(run_id, parent, kind, name, agent)
        if parent.memory is None:
            parent.memory = GraphMemory()
        _begin(run, name, parent.step, task)
        if is_agent:
            self._invoke_agent(run)
        else:
            self._start_step(run)
        return run

    def _agent_started(
        self, run_id: UUID, parent: Run, routes: GraphRoutes, name: str, step: int, task: str
    ) -> Run:
        named = self._rules.is_generic(name) and parent.name != DEFAULT_GRAPH_NAME
        agent = parent.name if named else self._rules.agent_of(name)
        arrival = routes.agent_begins(name, agent, step)
        run = self._keeper.open(run_id, parent, Kind.AGENT, name, agent)
        _begin(run, name, step, task)
        if run.turn is not None:
            run.turn.entered(agent)
        if arrival is not None and arrival.from_agent != agent:
            if arrival.routed:
                self._keeper.tell(parent, self._recorder.route, agent)
            if arrival.from_agent:
                self._keeper.tell(parent, self._recorder.handoff, arrival.from_agent, agent)
        self._invoke_agent(run)
        return run

    def _invoke_agent(self, run: Run) -> None:
        attributes: dict[str, AttributeValue] = {AGENT_NAME: run.agent}
        if run.attempt > 1:
            attributes[RUN_ATTEMPT.name] = run.attempt
        self._keeper.start_span(run, f"invoke_agent {run.agent}", "invoke_agent", attributes)

    def _start_step(self, run: Run) -> None:
        attributes: dict[str, AttributeValue] = {NODE_NAME.name: run.name}
        if run.attempt > 1:
            attributes[RUN_ATTEMPT.name] = run.attempt
        self._keeper.start_span(run, f"step {run.name}", "", attributes)

    def _enclose(self, graph: Run) -> None:
        """A root graph is an agent as a whole: all of it takes place inside of that agent."""
        if graph.inner is not None or graph.name == DEFAULT_GRAPH_NAME:
            return
        agent = self._keeper.open(uuid4(), graph, Kind.AGENT, graph.name, graph.name)
        self._invoke_agent(agent)
        if agent.turn is not None:
            agent.turn.entered(agent.agent)
        graph.inner = InnerAgent(agent, graph.context)
        graph.agent, graph.anchor, graph.context = agent.agent, agent.anchor, agent.context

    def _inner_ended(self, graph: Run, agent: Run, how: How, error: BaseException | None) -> None:
        if how is How.OK and graph.interrupted:
            how = How.INTERRUPTED
        self._invoked(attempts.Invocation(agent, how, agent.seconds))
        self._keeper.close(agent, how, error)
        if graph.inner is not None:
            graph.context = graph.inner.context

    def _promote(self, run: Run, first_node: str) -> GraphRoutes:
        """A chain turns out to be a graph, since it has a node."""
        run.routes, run.memory = GraphRoutes(), GraphMemory()
        run.name = run.name or DEFAULT_GRAPH_NAME
        # A graph whose nodes say nothing about the agent (those of `create_agent`) is the agent
        # itself, unless it is the body of a node that is one.
        whole = run.shape is not None and run.shape.is_one_agent
        anonymous = whole or self._rules.is_generic(first_node) or "." in first_node
        outer = visible_ancestor(run)
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
        if graph.shape is not None:
            graph.routes.deferred = graph.shape.deferred
        if among and graph.shape is not None:
            graph.routes.supervisor = graph.shape.supervisor
            among = len(graph.shape.agents_behind(run.node, ends)) > 1
        names = frozenset(destinations_of(chosen))
        run.chosen += tuple(names)
        graph.routes.chose(Choice(run.agent, names, run.step, among, bool(ends)))


def _begin(run: Run, node: str, step: int, task: str) -> None:
    run.node, run.step, run.task = node, step, task
    attempts.begins(run)
