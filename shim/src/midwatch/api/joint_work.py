"""`collaboration` and `conflict`: what agents do together, and what they disagree about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self, overload

from midwatch.api import arguments
from midwatch.api.spans import SpanScope, set_known, start_span
from midwatch.api.tallies import TALLIES
from midwatch.instruments.recorder import get_recorder
from midwatch.instruments.turns import outcome_of
from midwatch.registry.span_attributes import PARTICIPANTS, WORKFLOW_ID

UNRESOLVED = "unresolved"
"""How a conflict ends that nobody settles."""

_UNKNOWN = "unknown"


class CollaborationScope(SpanScope):
    """Work of several agents; `outcome` may be set: ok, error or a word of one's own."""

    def __init__(
        self, workflow_type: str, participants: Sequence[str] = (), workflow_id: str = ""
    ) -> None:
        self.workflow_type = workflow_type
        self.participants = list(participants)
        self.workflow_id = workflow_id
        self.outcome = ""

    def again(self) -> Self:
        """The same agents' work once more."""
        return type(self)(self.workflow_type, self.participants, self.workflow_id)

    def _start(self) -> None:
        self.outcome = ""
        self.span = start_span(f"collaboration {self.workflow_type}")
        known = {WORKFLOW_ID.name: self.workflow_id, PARTICIPANTS.name: self.participants}
        set_known(self.span, known)
        with self.in_force():
            get_recorder().collaboration_started(self.workflow_type, self.participants, by="hand")

    def _record(self, error: BaseException | None) -> None:
        outcome = arguments.name(self.outcome) or ("ok" if error is None else outcome_of(error))
        collaborated(self.workflow_type, outcome, self.participants, self.seconds())


class ConflictScope(SpanScope):
    """A conflict until it is settled; `resolution` is to be set, else it ends `unresolved`."""

    def __init__(self, conflict_type: str, participants: Sequence[str] = ()) -> None:
        self.conflict_type = conflict_type
        self.participants = list(participants)
        self.resolution = ""

    def again(self) -> Self:
        """The same conflict once more."""
        return type(self)(self.conflict_type, self.participants)

    def _start(self) -> None:
        self.resolution = ""
        self.span = start_span(f"conflict {self.conflict_type}")
        set_known(self.span, {PARTICIPANTS.name: self.participants})
        with self.in_force():
            get_recorder().conflict_detected(self.conflict_type, self.participants, by="hand")

    def _record(self, error: BaseException | None) -> None:
        get_recorder().conflict(
            self.conflict_type,
            arguments.name(self.resolution) or UNRESOLVED,
            participants=self.participants,
            by="hand",
        )


@overload
def collaboration(workflow_type: str, participants: Sequence[str] = ()) -> CollaborationScope: ...
@overload
def collaboration(
    workflow_type: str,
    participants: Sequence[str] = (),
    *,
    outcome: str,
    seconds: float | None = None,
) -> None: ...
def collaboration(
    workflow_type: str,
    participants: Sequence[str] = (),
    *,
    outcome: str | None = None,
    seconds: float | None = None,
) -> Any:
    """Agents work together: a with-block or a decorator; with an outcome, work that has ended.

    Args:
        workflow_type: the kind of work.
        participants: the agents.
        outcome: how it ended, ok or error.
        seconds: how long it took.
    """
    kind, agents = arguments.name(workflow_type, _UNKNOWN), arguments.names(participants)
    if outcome is None:
        return CollaborationScope(kind, agents)
    get_recorder().collaboration_started(kind, agents, by="hand")
    collaborated(kind, arguments.name(outcome), agents, arguments.seconds(seconds))
    return None


def collaborated(
    workflow_type: str, outcome: str, participants: Sequence[str], seconds: float | None
) -> None:
    """Record work of several agents that has ended."""
    recorder = get_recorder()
    if recorder.enabled:
        TALLIES.collaborated(participants, outcome == "ok")
    recorder.collaboration(
        workflow_type, outcome, participants=participants, seconds=seconds, by="hand"
    )


@overload
def conflict(conflict_type: str, *, participants: Sequence[str] = ()) -> ConflictScope: ...
@overload
def conflict(conflict_type: str, resolution: str, *, participants: Sequence[str] = ()) -> None: ...
def conflict(
    conflict_type: str, resolution: str | None = None, *, participants: Sequence[str] = ()
) -> Any:
    """Agents disagree: a with-block or a decorator around settling it; with a resolution, settled.

    Args:
        conflict_type: what they disagree about, as a short code.
        resolution: how it was settled.
        participants: the agents.
    """
    kind, agents = arguments.name(conflict_type, _UNKNOWN), arguments.names(participants)
    if resolution is None:
        return ConflictScope(kind, agents)
    recorder = get_recorder()
    recorder.conflict_detected(kind, agents, by="hand")
    recorder.conflict(kind, arguments.name(resolution), participants=agents, by="hand")
    return None
