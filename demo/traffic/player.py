"""Plays arrivals against the applications. Whatever they answer, playing goes on."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import httpx

from traffic.script import Arrival, Conversation, SimulationRequest
from traffic.statistics import Result, Statistics


@dataclass(frozen=True)
class Targets:
    """Where the applications are; an application without an address is left out."""

    security_agent: str | None
    retail_simulation: str | None


class Player:
    """Sends the requests of arrivals and records how each ended."""

    def __init__(self, client: httpx.AsyncClient, targets: Targets, statistics: Statistics) -> None:
        self._client = client
        self._targets = targets
        self._statistics = statistics

    def can_play(self, arrival: Arrival) -> bool:
        """Tell whether the application that the arrival is for has an address."""
        return self._base(arrival) is not None

    async def play(self, arrival: Arrival) -> None:
        """Play an arrival to its end; a conversation is given up when the agent fails twice."""
        base = self._base(arrival)
        if isinstance(arrival, SimulationRequest):
            await self._send(f"{base}{arrival.path}", arrival.body)
            return
        failures = 0
        for position, turn in enumerate(arrival.turns):
            if position:
                await asyncio.sleep(turn.think_seconds)
            body: dict[str, object] = {"session_id": arrival.session_id, "message": turn.message}
            if turn.confirm is not None:
                body["confirm"] = turn.confirm
            result = await self._send(f"{base}/chat", body)
            failures += result in {Result.FAILED, Result.UNREACHABLE}
            if failures >= 2:
                return

    def _base(self, arrival: Arrival) -> str | None:
        if isinstance(arrival, Conversation):
            return self._targets.security_agent
        return self._targets.retail_simulation

    async def _send(self, url: str, body: dict[str, Any]) -> Result:
        started = time.perf_counter()
        try:
            response = await self._client.post(url, json=body)
        except httpx.HTTPError as error:
            failure = f"{url}: {type(error).__name__}: {error}"
            result = Result.UNREACHABLE
        else:
            result = _result_of(response.status_code)
            failure = f"{url}: {response.status_code}" if result is Result.FAILED else ""
        self._statistics.request_done(result, time.perf_counter() - started, failure)
        return result


def _result_of(status: int) -> Result:
    if status >= 500:
        return Result.FAILED
    return Result.REFUSED if status >= 400 else Result.OK
