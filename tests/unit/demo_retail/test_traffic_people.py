"""What people do all of a sudden: the faults that the load itself can have."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from traffic.driver import Driver
from traffic.faults import traffic_fault_board
from traffic.player import Player, Targets
from traffic.script import Conversation, Kind, Turn
from traffic.settings import PROFILES, Profile
from traffic.statistics import Statistics

TARGETS = Targets("http://agent", "http://simulation")


class Application:
    """Answers each turn with the same outcome, and remembers what it is sent."""

    def __init__(self, outcome: str = "answered", feedback_status: int = 201) -> None:
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self._outcome = outcome
        self._feedback_status = feedback_status

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.sent.append((str(request.url), json.loads(request.content)))
        if request.url.path == "/feedback":
            return httpx.Response(self._feedback_status, json={})
        return httpx.Response(200, json={"outcome": self._outcome})

    @property
    def opinions(self) -> list[dict[str, Any]]:
        return [body for url, body in self.sent if url == "http://agent/feedback"]


def play(application: Application, kind: Kind, *, unhappy: bool = False) -> Statistics:
    statistics = Statistics()
    conversation = Conversation(kind, "s-1", (Turn("Hello"), Turn("And?")))

    async def once() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(application)) as client:
            await Player(client, TARGETS, statistics, lambda: unhappy).play(conversation)

    asyncio.run(once())
    return statistics


@pytest.mark.parametrize(
    ("outcome", "solved"), [("answered", True), ("escalated", False), ("tool_failed", False)]
)
def test_at_the_end_of_a_conversation_people_say_whether_their_matter_is_settled(
    outcome: str, solved: bool
) -> None:
    application = Application(outcome)
    statistics = play(application, Kind.STATUS)
    assert application.opinions == [{"session_id": "s-1", "solved": solved}]
    # The figures of the load are of turns.
    assert statistics.summary().requests == 2


def test_unhappy_people_give_a_thumb_down_whatever_they_were_told() -> None:
    application = Application()
    play(application, Kind.STATUS, unhappy=True)
    assert application.opinions == [{"session_id": "s-1", "thumbs": "down", "solved": False}]


@pytest.mark.parametrize("kind", [Kind.INJECTION, Kind.OFF_TOPIC])
def test_who_came_with_no_matter_of_their_own_says_nothing(kind: Kind) -> None:
    application = Application("denied")
    play(application, kind, unhappy=True)
    assert application.opinions == []


def test_an_opinion_that_could_not_be_given_is_told() -> None:
    summary = play(Application(feedback_status=503), Kind.STATUS).summary()
    assert summary.last_failure == "http://agent/feedback: 503"
    assert summary.failed == 0


def arrivals(fault: str, parameters: dict[str, object], simulation_ratio: float) -> Statistics:
    """The load of half a second at addresses where nobody is; only who comes is looked at."""
    faults = traffic_fault_board()
    faults.start(fault, parameters)
    targets = Targets("http://127.0.0.1:9", "http://127.0.0.1:9")
    mix = PROFILES[Profile.NORMAL].model_copy(
        update={"rate": 40.0, "simulation_ratio": simulation_ratio}
    )
    driver = Driver(1, mix, targets, faults)
    asyncio.run(driver.run(0.5, 0.0))
    return driver.statistics


def test_people_stay_away_with_their_probability() -> None:
    assert arrivals("people-away", {}, 0.5).summary().arrivals == 0
    assert 1 <= arrivals("people-away", {"probability": 0.5}, 0.5).summary().arrivals <= 16


def test_nobody_asks_the_simulation_and_all_others_come_as_ever() -> None:
    kinds = arrivals("simulation-unasked", {}, 0.5).summary().kinds
    assert kinds
    assert not [kind for kind in kinds if kind.startswith("simulation")]
    assert arrivals("simulation-unasked", {}, 1.0).summary().arrivals == 0
