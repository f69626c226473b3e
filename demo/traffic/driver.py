"""The open loop: arrivals come at their rate, however slow the applications are."""

from __future__ import annotations

import asyncio
import time
from random import Random

import httpx
from fault_control import FaultBoard

from traffic.faults import AWAY, STORM, UNASKED, UNHAPPY, GuardrailStorm
from traffic.player import Player, Targets
from traffic.script import Arrival, Conversation, Script
from traffic.settings import Mix
from traffic.statistics import Statistics

_LONGEST_PAUSE_SECONDS = 0.5


class Driver:
    """Lets arrivals in at the rate of its mix until it is told to stop.

    The mix may be replaced at any time. An arrival that finds no room is shed and counted, never
    queued, because a queue would turn a slow application into a lower load.
    """

    def __init__(self, seed: int, mix: Mix, targets: Targets, faults: FaultBoard) -> None:
        self.mix = mix
        self.statistics = Statistics()
        self._script = Script(seed)
        self._targets = targets
        self._faults = faults
        # Of its own: a fault never shifts what the script writes.
        self._chance = Random(f"{seed}:faults")  # noqa: S311 - load, no secret
        self._stop = asyncio.Event()
        self._playing: set[asyncio.Task[None]] = set()

    def stop(self) -> None:
        """End the run; arrivals that are under way get a moment to finish."""
        self._stop.set()

    async def run(self, duration_seconds: float | None = None, grace_seconds: float = 5.0) -> None:
        """Play until `stop` is called or the duration is over."""
        timeout = httpx.Timeout(60.0, connect=5.0)
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(timeout=timeout, limits=limits, trust_env=False) as client:
            player = Player(client, self._targets, self.statistics, self._is_unhappy)
            try:
                async with asyncio.timeout(duration_seconds):
                    await self._let_in(player)
            except TimeoutError:
                self._stop.set()
            await self._finish(grace_seconds)

    @property
    def rate(self) -> float:
        """Arrivals a second now, the storm's factor included."""
        storm = self._faults.active(STORM)
        return self.mix.rate * (storm.rate_factor if isinstance(storm, GuardrailStorm) else 1.0)

    async def _let_in(self, player: Player) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            due += 1 / self.rate
            await self._sleep_until(due)
            if not self._stop.is_set():
                self._admit(player)

    async def _sleep_until(self, due: float) -> None:
        """Sleep in short pauses, so that a new rate counts at once and not after a long pause."""
        rate = self.rate
        while (left := due - time.monotonic()) > 0 and self.rate == rate:
            try:
                async with asyncio.timeout(min(left, _LONGEST_PAUSE_SECONDS)):
                    await self._stop.wait()
                    return
            except TimeoutError:
                continue

    def _admit(self, player: Player) -> None:
        arrival = self._script.next(self.mix, self._storm_strikes)
        if not player.can_play(arrival) or self._stays_away(arrival):
            return
        if len(self._playing) >= self.mix.max_concurrency:
            self.statistics.arrival_shed()
            return
        self.statistics.arrival_begins(arrival.kind)
        task = asyncio.create_task(player.play(arrival))
        self._playing.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._playing.discard(task)
        self.statistics.arrival_ends()

    def _storm_strikes(self, random: Random) -> bool:
        return self._faults.strikes(STORM, random)

    def _stays_away(self, arrival: Arrival) -> bool:
        if not isinstance(arrival, Conversation) and self._faults.strikes(UNASKED, self._chance):
            return True
        return self._faults.strikes(AWAY, self._chance)

    def _is_unhappy(self) -> bool:
        return self._faults.strikes(UNHAPPY, self._chance)

    async def _finish(self, grace_seconds: float) -> None:
        if self._playing:
            await asyncio.wait(self._playing, timeout=grace_seconds)
        for task in list(self._playing):
            task.cancel()
        await asyncio.gather(*self._playing, return_exceptions=True)
