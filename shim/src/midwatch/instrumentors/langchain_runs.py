"""The runs that LangChain reports, as a tree with the context that each gives its children."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from time import perf_counter, time_ns
from typing import TYPE_CHECKING, Any
from uuid import UUID

from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import INVALID_SPAN, Span

from midwatch.instruments.turn_state import Turn

if TYPE_CHECKING:
    from midwatch.instrumentors.langchain_attempts import Failure
    from midwatch.instrumentors.langchain_models import CallProgress
    from midwatch.instrumentors.langchain_routes import GraphRoutes
    from midwatch.instrumentors.langchain_shape import GraphShape
    from midwatch.instruments.turns import TurnScope
_MOST_RUNS = 50_000


class Kind(Enum):
    """What a run is to us; a `PLAIN` run has no span and passes its parent's context on."""

    GRAPH = auto()
    AGENT = auto()
    STEP = auto()
    TOOL = auto()
    MODEL = auto()
    RETRIEVAL = auto()
    PLAIN = auto()


@dataclass(frozen=True, slots=True)
class Collaboration:
    """Agents that began to work together in a graph."""

    workflow_type: str
    participants: tuple[str, ...]


@dataclass(eq=False, slots=True)
class GraphMemory:
    """What a graph's nodes leave behind for those that run later.

    `failures` are by task and may be tried again, `written` is by key of the state, `gradings`
    counts the rounds of self-RAG.
    """

    failures: dict[str, Failure] = field(default_factory=dict)
    written: dict[str, object] = field(default_factory=dict)
    collaborations: list[Collaboration] = field(default_factory=list)
    gradings: int = 0


@dataclass(frozen=True, slots=True)
class InnerAgent:
    """The agent that a root graph as a whole is, and the context that the graph had before."""

    run: Run
    context: Context


@dataclass(eq=False)
class Run:
    """One run between its start and its end.

    `context` is what code inside of the run has as its OpenTelemetry context, `agent` the agent
    that acts in it, `anchor` the nearest run with a span, from this one upwards. A model call has
    its `call`.

    A graph has `routes`, its `shape` and a `memory`; a root graph the `scope` of its turn and its
    `metadata`, and the agent in it if as a whole it is one.

    A node has its name and its step, its `task` (which stays the same when it is tried again), the
    state it was given while that is of interest, and the names of what it has `chosen`.

    What most runs do not have is no argument, so that it takes a run nothing until it has it.
    """

    run_id: UUID
    parent: Run | None
    kind: Kind
    name: str
    context: Context
    agent: str = ""
    turn: Turn | None = None
    conversation: str = field(default="", init=False)
    anchor: UUID | None = field(default=None, init=False)
    span: Span = field(default=INVALID_SPAN, init=False)
    routes: GraphRoutes | None = field(default=None, init=False)
    shape: GraphShape | None = field(default=None, init=False)
    scope: TurnScope | None = field(default=None, init=False)
    node: str = field(default="", init=False)
    step: int = field(default=0, init=False)
    task: str = field(default="", init=False)
    attempt: int = field(default=1, init=False)
    inputs: object = field(default=None, init=False)
    chosen: tuple[str, ...] = field(default=(), init=False)
    call: CallProgress | None = field(default=None, init=False)
    interrupted: bool = field(default=False, init=False)
    loop_told: bool = field(default=False, init=False)
    memory: GraphMemory | None = field(default=None, init=False)
    inner: InnerAgent | None = field(default=None, init=False)
    metadata: Mapping[str, Any] | None = field(default=None, init=False)
    first_started: float = field(default=0.0, init=False)
    started: float = field(default_factory=perf_counter)
    started_ns: int = field(default_factory=time_ns)
    children: dict[int, UUID] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """How long the run has taken."""
        return perf_counter() - self.started

    def active(self) -> ActiveRun:
        """Make the run's span, agent and turn the current ones inside a with-block."""
        return ActiveRun(self.context)


class ActiveRun:
    """A with-block in a run's context; a class because a generator would cost thrice as much."""

    __slots__ = ("_context", "_token")

    def __init__(self, context: Context) -> None:
        self._context = context

    def __enter__(self) -> None:
        self._token = attach(self._context)

    def __exit__(self, *_: object) -> None:
        detach(self._token)


class Runs:
    """The runs that have begun and not ended, by id.

    Runs whose end is never reported (a stream that nobody closes) do not pile up: beyond a bound
    the oldest are given back by `add`, to be ended.
    """

    def __init__(self, most: int = _MOST_RUNS) -> None:
        self._most = most
        self._lock = threading.Lock()
        self.open: OrderedDict[int, Run] = OrderedDict()
        """Them all, by the ids' numbers: a UUID computes its hash in Python, each time."""

    def get(self, run_id: UUID | None) -> Run | None:
        """The run, if it is still open."""
        return self.open.get(run_id.int) if run_id is not None else None

    def add(self, run: Run) -> list[Run]:
        """Add a run; returns the runs that have to go for it."""
        run_id, parent = run.run_id, run.parent
        number = run_id.int
        with self._lock:
            self.open[number] = run
            if parent is not None:
                parent.children[number] = run_id
            lost: list[Run] = []
            while len(self.open) > self._most:
                lost.append(self.open.popitem(last=False)[1])
            return lost

    def take(self, run_id: UUID) -> Run | None:
        """Remove a run and return it, if it is still open."""
        number = run_id.int
        with self._lock:
            run = self.open.pop(number, None)
            if run is not None and run.parent is not None:
                run.parent.children.pop(number, None)
            return run

    def open_children(self, run: Run) -> list[UUID]:
        """The ids of the runs that began inside of this one and have not ended."""
        with self._lock:
            return list(run.children.values())

    def __len__(self) -> int:
        return len(self.open)


def root_of(run: Run) -> Run:
    """The outermost run that a run is in."""
    while run.parent is not None:
        run = run.parent
    return run


def visible_ancestor(run: Run) -> Run | None:
    """The nearest run around a run that is more than a chain."""
    ancestor = run.parent
    while ancestor is not None and ancestor.kind is Kind.PLAIN:
        ancestor = ancestor.parent
    return ancestor
