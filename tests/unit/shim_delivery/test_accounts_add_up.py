"""Whatever fails, is killed or runs full: every span has exactly one end, over all processes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from midwatch.pipeline.payloads import Outcome, Payload, Refused, Sent, Unavailable
from midwatch.pipeline.spool_accounts import SPOOL_REASONS, in_flight

from .conftest import Clock, Process, Receiver

ANSWERS: dict[str, Callable[[Payload], Outcome]] = {
    "takes all": lambda _: Sent(),
    "takes none": lambda _: Unavailable("away"),
    "takes none for long": lambda _: Unavailable("later", retry_after_seconds=100),
    "refuses": lambda _: Refused("never"),
    "refuses one": lambda _: Sent(refused=1),
}
MODES = ("on-failure", "write-ahead")
CAP = 1 << 14

WEIGHTS = {
    "submit": 30,
    "step": 25,
    "pass": 10,
    "answer": 6,
    "start": 4,
    "open span": 3,
    "kill": 2,
    "end": 2,
}
"""Failures are rarer than work, so that much piles up between them."""


def history(chance: Random, length: int) -> list[tuple[Any, ...]]:
    """What happens, in order."""
    arguments: dict[str, Callable[[], tuple[Any, ...]]] = {
        "submit": lambda: (chance.randint(1, 4), chance.random() < 0.3),
        "step": lambda: (chance.randint(1, 5),),
        "start": lambda: (chance.choice(MODES),),
    }
    done: list[tuple[Any, ...]] = []
    for operation in chance.choices(list(WEIGHTS), list(WEIGHTS.values()), k=length):
        if operation == "answer":
            done.append((operation, chance.choice(sorted(ANSWERS))))
        elif operation == "pass":
            done.append((operation, chance.choice([0.1, 1.0, 40.0, 200.0])))
        else:
            more = arguments.get(operation, tuple)()
            done.append((operation, chance.randint(0, 2), *more))
    return done


histories = st.builds(history, st.integers(0, 1 << 32).map(Random), st.integers(1, 150))


class World:
    """Some processes, one receiver, one spool; all spans that there ever were."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.clock = Clock()
        self.receiver = Receiver(ANSWERS["takes none"])
        self.alive: dict[int, Process] = {}
        self.created: list[str] = []
        self.ordered: dict[Process, list[str]] = {}
        for place, mode in enumerate(MODES):
            self.start(place, mode)

    def run(self, operation: str, *arguments) -> None:
        if operation == "answer":
            self.receiver.answer = ANSWERS[arguments[0]]
        elif operation == "pass":
            self.clock.now += arguments[0]
        elif operation == "start":
            self.start(*arguments)
        elif (process := self.alive.get(arguments[0])) is not None:
            getattr(self, operation.replace(" ", "_"))(process, *arguments[1:])

    def start(self, place: int, mode: str) -> None:
        if place not in self.alive:
            made = Process(self.receiver, self.clock, self.root, mode=mode, max_bytes=CAP)
            # As its first spans do when they are handed over.
            made.note()
            self.alive[place] = made
            self.ordered[made] = []

    def submit(self, process: Process, count: int, large: bool) -> None:
        filling = os.urandom(3_000).hex() if large else ""
        names = [f"{len(self.created) + number}.{filling}" for number in range(count)]
        self.created += names
        self.ordered[process] += names
        process.submit(*names)

    def open_span(self, process: Process) -> None:
        self.created.append("open")
        process.create(1)
        process.note()

    def step(self, process: Process, times: int) -> None:
        for _ in range(times):
            process.lane.step()

    def kill(self, process: Process) -> None:
        process.kill()
        self.forget(process)

    def end(self, process: Process) -> None:
        process.end()
        self.forget(process)

    def forget(self, process: Process) -> None:
        self.alive = {place: one for place, one in self.alive.items() if one is not process}

    def settle_everything(self) -> Counter[tuple[str, str]]:
        """All end or are killed, and a last process sends what they left; the sums of it all."""
        for place, process in sorted(self.alive.items()):
            self.run("kill" if place % 2 else "end", place)
            assert process.account.in_flight() >= 0
        self.receiver.answer = ANSWERS["takes all"]
        last = Process(self.receiver, self.clock, self.root, max_bytes=CAP)
        for _ in range(5):
            last.work(1000)
            self.clock.now += 200
        last.end()
        assert last.spool is not None
        return last.spool.accounts.sum()


@settings(max_examples=30, deadline=None)
@given(histories)
def test_every_span_has_exactly_one_end_over_all_processes_and_arrives_in_order(
    tmp_path_factory, todo
):
    world = World(tmp_path_factory.mktemp("world") / "spool")
    for operation in todo:
        world.run(*operation)
        for process in world.alive.values():
            assert process.account.in_flight() >= 0
            assert process.errors == []
    sums = world.settle_everything()

    assert sums[("created", "none")] == len(world.created)
    assert in_flight(sums) == 0
    from_spool = sum(sums[("dropped", reason)] for reason in SPOOL_REASONS)
    assert sums[("spooled", "none")] == sums[("replayed", "none")] + from_spool

    taken = world.receiver.taken
    assert len(set(taken)) == len(taken)
    lost = sum(count for (result, _), count in sums.items() if result == "dropped")
    sent = sums[("exported", "none")] + sums[("replayed", "none")]
    assert len(world.created) == sent + lost

    places = {name: place for place, name in enumerate(taken)}
    for names in world.ordered.values():
        arrived = [places[name] for name in names if name in places]
        assert arrived == sorted(arrived)
