"""Plays arrivals against the applications. Whatever they answer, playing goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx

from traffic.script import Arrival, Conversation, Kind, SimulationRequest
from traffic.statistics import Result, Statistics


@dataclass(frozen=True)
class Targets:
    """Where the applications are; an application without an address is left out."""

    security_agent: str | None
    retail_simulation: str | None


# How a turn ends that leaves a person with the matter still to be settled.
_UNSOLVED = frozenset({"denied", "escalated", "handoff_limit", "tool_failed"})
# Who came with no matter of their own says nothing of the answers.
_WITHOUT_A_MATTER = frozenset({Kind.INJECTION, Kind.OFF_TOPIC})


class Player:
    """Sends the requests of arrivals and records how each ended.

    Args:
        client: sends them.
        targets: where the applications are.
        statistics: are told of each request.
        unhappy: tells, at the end of each conversation, whether the person is content with nothing.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        targets: Targets,
        statistics: Statistics,
        unhappy: Callable[[], bool] = lambda: False,
    ) -> None:
        self._client = client
        self._targets = targets
        self._statistics = statistics
        self._unhappy = unhappy

    def can_play(self, arrival: Arrival) -> bool:
        """Tell whether the application that the arrival is for has an address."""
        return self._base(arrival) is not None

    async def play(self, arrival: Arrival) -> None:
        """Play an arrival to its end; a conversation is given up when the agent fails twice."""
        base = self._base(arrival)
        if isinstance(arrival, SimulationRequest):
            await self._send(f"{base}{arrival.path}", arrival.body)
            return
        await self._converse(str(base), arrival)

    async def _converse(self, base: str, arrival: Conversation) -> None:
        failures, outcome = 0, ""
        for position, turn in enumerate(arrival.turns):
            if position:
                await asyncio.sleep(turn.think_seconds)
            body: dict[str, object] = {"session_id": arrival.session_id, "message": turn.message}
            if turn.confirm is not None:
                body["confirm"] = turn.confirm
            result, answer = await self._send(f"{base}/chat", body)
            failures += result in {Result.FAILED, Result.UNREACHABLE}
            outcome = str(answer.get("outcome", outcome))
            if failures >= 2:
                return
        if outcome and arrival.kind not in _WITHOUT_A_MATTER:
            await self._tell(f"{base}/feedback", self._opinion(arrival.session_id, outcome))

    def _opinion(self, session_id: str, outcome: str) -> dict[str, object]:
        if self._unhappy():
            return {"session_id": session_id, "thumbs": "down", "solved": False}
        return {"session_id": session_id, "solved": outcome not in _UNSOLVED}

    async def _tell(self, url: str, opinion: dict[str, object]) -> None:
        """Say what somebody thinks; no request of the load, so that only its failure is told."""
        try:
            response = await self._client.post(url, json=opinion)
        except httpx.HTTPError as error:
            self._statistics.opinion_lost(f"{url}: {type(error).__name__}: {error}")
        else:
            if _result_of(response.status_code) is Result.FAILED:
                self._statistics.opinion_lost(f"{url}: {response.status_code}")

    def _base(self, arrival: Arrival) -> str | None:
        if isinstance(arrival, Conversation):
            return self._targets.security_agent
        return self._targets.retail_simulation

    async def _send(self, url: str, body: dict[str, Any]) -> tuple[Result, dict[str, Any]]:
        """How a request ended, and what was answered if it is an object."""
        started = time.perf_counter()
        answer: object = None
        try:
            response = await self._client.post(url, json=body)
        except httpx.HTTPError as error:
            failure = f"{url}: {type(error).__name__}: {error}"
            result = Result.UNREACHABLE
        else:
            result = _result_of(response.status_code)
            failure = f"{url}: {response.status_code}" if result is Result.FAILED else ""
            with suppress(ValueError):
                answer = response.json()
        self._statistics.request_done(result, time.perf_counter() - started, failure)
        return result, answer if isinstance(answer, dict) else {}


def _result_of(status: int) -> Result:
    if status >= 500:
        return Result.FAILED
    return Result.REFUSED if status >= 400 else Result.OK
