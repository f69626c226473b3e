"""The facts that an application keeps in the state of its graph, recorded as they are written.

Which keys hold them is said by `MIDWATCH_STATE_FACTS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from midwatch.config.nodes import StateFact
from midwatch.instrumentors.langchain_ends import How
from midwatch.instrumentors.langchain_keeper import RunKeeper
from midwatch.instrumentors.langchain_runs import Collaboration, Run, root_of
from midwatch.instrumentors.langchain_updates import Update, read
from midwatch.instruments.model_calls import UNKNOWN

# Names under which a field is looked for when the user gives none.
_USUAL: Mapping[str, tuple[str, ...]] = {
    "agent": ("agent", "agent_name", "agent_id"),
    "decision": ("decision", "action"),
    "confidence": ("confidence", "score"),
    "detail": ("detail",),
    "from_agent": ("from_agent", "sender", "source"),
    "to_agent": ("to_agent", "recipient", "receiver", "target"),
    "conflict_type": ("conflict_type", "type", "kind"),
    "resolution": ("resolution", "resolved_by"),
    "participants": ("participants", "agents"),
    "workflow_type": ("workflow_type",),
}


class StateFacts:
    """Reads the facts off what nodes write.

    Args:
        keeper: gives the recorder the run's context.
        facts: the keys and the kinds of facts that they hold.
    """

    def __init__(self, keeper: RunKeeper, facts: Sequence[StateFact]) -> None:
        self._keeper = keeper
        self._recorder = keeper.recorder
        self._facts = facts

    def written(self, run: Run, update: Update) -> None:
        """A node wrote this."""
        for fact in self._facts:
            if fact.key not in update:
                continue
            if fact.kind == "collaboration":
                self._keeper.tell(run, self._collaboration, fact, run, update)
            elif fact.kind == "state":
                self._keeper.tell(run, self._state, fact, run, update[fact.key])
            else:
                for item in _new_items(fact.key, run, update[fact.key]):
                    self._keeper.tell(run, self._record, fact, run, item)

    def graph_ended(self, graph: Run, how: How) -> None:
        """A graph ends, and with it the collaborations that began in it."""
        for began in graph.memory.collaborations if graph.memory is not None else ():
            self._keeper.tell(
                graph,
                self._recorder.collaboration,
                began.workflow_type,
                how.value,
                participants=began.participants,
                seconds=graph.seconds,
                by="instrumentation",
            )

    def _record(self, fact: StateFact, run: Run, item: object) -> None:
        def text(name: str, otherwise: str = UNKNOWN) -> str:
            value = _field(fact, item, name)
            return str(value) if value is not None else otherwise

        if fact.kind == "decision":
            self._recorder.decision(
                text("agent", run.agent or UNKNOWN),
                text("decision"),
                _number(_field(fact, item, "confidence")),
                detail=text("detail", "") or None,
            )
        elif fact.kind == "message":
            self._recorder.message(text("from_agent", run.agent or UNKNOWN), text("to_agent"))
        else:
            self._recorder.conflict(
                text("conflict_type"),
                text("resolution"),
                participants=_names(_field(fact, item, "participants")),
            )

    def _collaboration(self, fact: StateFact, run: Run, update: Update) -> None:
        graph, value = run.parent, update[fact.key]
        if graph is None or graph.memory is None:
            return
        among = _names(value) or _names(_field(fact, value, "participants"))
        if not among:
            return
        where = (value, update, run.inputs, root_of(run).metadata)
        kinds = (_field(fact, place, "workflow_type") for place in where)
        kind = next((str(found) for found in kinds if found is not None), graph.name)
        begun = graph.memory.collaborations
        if not any(earlier.workflow_type == kind for earlier in begun):
            begun.append(Collaboration(kind, among))
            self._recorder.collaboration_started(kind, among, by="instrumentation")

    def _state(self, fact: StateFact, run: Run, value: object) -> None:
        memory = run.parent.memory if run.parent is not None else None
        if memory is None:
            return
        before = memory.written.get(fact.key, read(run.inputs, (fact.key,)))
        memory.written[fact.key] = value
        if value is not None and value != before:
            old = "none" if before is None else str(before)
            self._recorder.state_change(run.agent or UNKNOWN, old, str(value))


def _new_items(key: str, run: Run, value: object) -> Sequence[object]:
    """The items that are written now; a key without a reducer repeats the earlier ones."""
    items = value if isinstance(value, list | tuple) else (value,)
    graph = run.parent
    if graph is None or graph.memory is None:
        return items
    if graph.shape is not None and key in graph.shape.gathers:
        return items
    known = graph.memory.written.get(key, read(run.inputs, (key,)))
    graph.memory.written[key] = items
    if isinstance(known, list | tuple) and list(items[: len(known)]) == list(known):
        return items[len(known) :]
    return items


def _field(fact: StateFact, item: object, name: str) -> Any:
    given = fact.fields.get(name)
    return read(item, (given,) if given else _USUAL[name])


def _names(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple | set | frozenset):
        return ()
    return tuple(str(name) for name in value if isinstance(name, str))


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
