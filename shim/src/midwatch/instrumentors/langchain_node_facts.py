"""The facts that nodes show without a word of code: of guardrails, of graders, in their updates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from midwatch.config import GraphSettings
from midwatch.instrumentors import langchain_verdicts as verdicts
from midwatch.instrumentors.langchain_ends import How
from midwatch.instrumentors.langchain_keeper import RunKeeper
from midwatch.instrumentors.langchain_nodes import NodeRules
from midwatch.instrumentors.langchain_runs import Run
from midwatch.instrumentors.langchain_state_facts import StateFacts
from midwatch.instrumentors.langchain_updates import Update, updates_of
from midwatch.pipeline.failures import FAILURES

_UNTOLD = "none"


class NodeFacts:
    """Records what nodes decide and write; a failure here leaves the runs themselves alone.

    Args:
        keeper: gives the recorder the run's context.
        rules: tell which nodes are guardrails and graders.
        settings: which keys of the state hold facts.
    """

    def __init__(self, keeper: RunKeeper, rules: NodeRules, settings: GraphSettings) -> None:
        self._keeper = keeper
        self._recorder = keeper.recorder
        self._rules = rules
        self._state = StateFacts(keeper, settings.state_facts) if settings.state_facts else None
        self._wanted = bool(
            settings.state_facts or settings.guardrails.patterns or settings.graders.patterns
        )

    def started(self, run: Run, inputs: object) -> None:
        """A node begins with this state, which is looked at when the node ends."""
        if self._wanted:
            run.inputs = inputs

    def ended(self, run: Run, outputs: object, how: How) -> None:
        """A node ends with this result, after it chose where to go."""
        if not self._wanted:
            return
        with _guarded():
            updates = list(updates_of(outputs))
            gate = self._rules.gate_of(run.node)
            if gate and how in (How.OK, How.INTERRUPTED):
                self._guarded_by(gate, run, updates, interrupted=how is How.INTERRUPTED)
            if how is How.OK and self._rules.is_grader(run.node):
                self._graded_by(run, updates, run.chosen)
            if self._state is not None:
                for update in updates:
                    self._state.written(run, update)
            run.inputs = None

    def branched(self, run: Run, function: str, chosen: Sequence[str]) -> None:
        """The function of a conditional edge chose; it may be a guardrail or a grader itself."""
        if not self._wanted or function == run.node:
            return
        with _guarded():
            gate = self._rules.gate_of(function)
            if gate:
                verdict = verdicts.of_guardrail(None, (), chosen, interrupted=False)
                self._gate(run, gate, verdict)
            if self._rules.is_grader(function):
                self._graded_by(run, (), chosen)

    def graph_ended(self, graph: Run, how: How) -> None:
        """A graph ends."""
        if self._state is not None:
            with _guarded():
                self._state.graph_ended(graph, how)

    def _guarded_by(
        self, gate: str, run: Run, updates: Sequence[Update], *, interrupted: bool
    ) -> None:
        verdict = verdicts.of_guardrail(run.inputs, updates, run.chosen, interrupted=interrupted)
        self._gate(run, gate, verdict)

    def _gate(self, run: Run, gate: str, verdict: verdicts.Verdict) -> None:
        reason = verdict.reason or _UNTOLD
        self._keeper.tell(
            run, self._recorder.guardrail, gate, verdict.decision, reason, inferred=True
        )

    def _graded_by(self, run: Run, updates: Sequence[Update], chosen: Sequence[str]) -> None:
        memory = run.parent.memory if run.parent is not None else None
        attempt = 1
        if memory is not None:
            memory.gradings += 1
            attempt = memory.gradings
        counted = verdicts.graded_documents(run.inputs, updates)
        verdict = verdicts.of_grader(updates, chosen)
        tell, recorder = self._keeper.tell, self._recorder
        if counted is not None:
            tell(run, recorder.selfrag_graded, *counted, attempt=attempt)
        if verdict is not None:
            tell(
                run,
                recorder.selfrag_decision,
                verdict.decision,
                verdict.reason or _UNTOLD,
                attempt=attempt,
                inferred=True,
            )


@contextmanager
def _guarded() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        FAILURES.note("langgraph facts", error)
