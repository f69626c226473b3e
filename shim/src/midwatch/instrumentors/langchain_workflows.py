"""Runs that nothing is around: graphs and chains that the application calls, and their turns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from opentelemetry.trace import SpanContext
from opentelemetry.util.types import AttributeValue

from midwatch.instrumentors.langchain_ends import How
from midwatch.instrumentors.langchain_keeper import RunKeeper
from midwatch.instrumentors.langchain_nodes import DEFAULT_GRAPH_NAME
from midwatch.instrumentors.langchain_routes import GraphRoutes
from midwatch.instrumentors.langchain_runs import GraphMemory, Kind, Run, root_of
from midwatch.instrumentors.langchain_sessions import session_of, user_hash_of
from midwatch.instruments.agent_context import with_turn
from midwatch.instruments.turns import start_turn
from midwatch.registry.span_attributes import LINK_KIND, RESUMED_TRACE_ID, USER_HASH

_INTEGRATION = "ls_integration"
_STATE_UPDATE = "UpdateState"


class Workflows:
    """Follows outermost runs: their spans, their turns, and what they resume.

    Args:
        keeper: opens and closes runs.
    """

    def __init__(self, keeper: RunKeeper) -> None:
        self._keeper = keeper
        self._recorder = keeper.recorder

    def started(
        self, run_id: UUID, name: str, metadata: Mapping[str, Any], run_type: str | None
    ) -> None:
        """A graph begins, or a chain, or a part of one that is called alone."""
        is_graph = bool(metadata.get(_INTEGRATION))
        if not is_graph and (run_type not in (None, "chain") or name.endswith(_STATE_UPDATE)):
            # A prompt or a parser alone is no workflow; neither is it to edit a thread's state.
            self._keeper.open(run_id, None, Kind.PLAIN, name)
            return
        run = self._keeper.open(run_id, None, Kind.GRAPH, name or DEFAULT_GRAPH_NAME)
        run.metadata, run.conversation = metadata, session_of(metadata)
        attributes: dict[str, AttributeValue] = {"gen_ai.workflow.name": run.name}
        user = user_hash_of(metadata)
        if user:
            attributes[USER_HASH.name] = user
        self._keeper.start_span(run, f"invoke_workflow {run.name}", "invoke_workflow", attributes)
        if is_graph:
            run.routes, run.memory = GraphRoutes(), GraphMemory()
        if is_graph or run.conversation:
            # A chain without a session is a part of something else; with one it is a turn.
            self._begin_turn(run)

    def paused(self, run_id: UUID | None) -> None:
        """A graph stops to wait for a person, in a node or at a place that was set beforehand."""
        run = self._keeper.runs.get(run_id)
        if run is not None:
            root_of(run).interrupted = True

    def resumed(self, run_id: UUID, origin: SpanContext) -> None:
        """A graph goes on where another run of it stopped."""
        run = self._keeper.runs.get(run_id)
        if run is not None and run.span.is_recording():
            run.span.add_link(origin, {LINK_KIND.name: "resumes"})
            run.span.set_attribute(RESUMED_TRACE_ID.name, f"{origin.trace_id:032x}")

    def finish(self, run: Run, how: How, error: BaseException | None) -> How:
        """End the run's turn, if it has one; returns how the run ended as a whole."""
        if how is How.OK and run.interrupted:
            how = How.INTERRUPTED
        if run.scope is not None:
            if how is How.INTERRUPTED and run.turn is not None and not run.turn.outcome:
                run.turn.outcome = how.value
            self._keeper.tell(run, run.scope.finish, error)
        return how

    def _begin_turn(self, run: Run) -> None:
        self._keeper.tell(run, self._enter_turn, run)

    def _enter_turn(self, run: Run) -> None:
        run.scope = start_turn(session_id=run.conversation, recorder=self._recorder)
        # The turn goes with the context of the runs only: a stream that the caller abandons
        # must not leave a turn behind in which everything after it would take place.
        run.scope.leave()
        run.turn = run.scope.turn
        run.context = with_turn(run.turn, run.context)
