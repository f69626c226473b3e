"""Sending what lies in a spool, by a program that records nothing itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from midwatch.pipeline.attempts import attempt
from midwatch.pipeline.payloads import (
    Misconfigured,
    Payload,
    Refused,
    Sent,
    Signal,
    Transport,
    Unavailable,
)
from midwatch.pipeline.spans import SpanAccount
from midwatch.pipeline.spool import Spool, folder_name
from midwatch.pipeline.spool_lane import SpoolLane

_LONGEST_PAUSE_SECONDS = 30.0


@dataclass
class Waiting:
    """What waits in a spool for one destination and signal; `kept` is that of running processes."""

    destination: str
    signal: Signal
    items: int = 0
    size: int = 0
    kept: int = 0


@dataclass
class LaneResult:
    """What became of it; `problem` tells why some of it is left."""

    sent: int = 0
    refused: int = 0
    damaged: int = 0
    problem: str = ""
    refusals: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Receiver:
    """Who gets it, and how long an attempt may take."""

    transport: Transport
    timeout_seconds: float = 10.0
    max_retries: int = 3


Receivers = Mapping[tuple[str, Signal], Receiver]
"""By the folder of the destination, and the signal."""


def waiting_in(spool: Spool) -> list[Waiting]:
    """Everything that waits, by destination and signal.

    Raises:
        OSError: the folder cannot be read.
    """
    found: dict[tuple[str, Signal], Waiting] = {}
    for destination, signal, folder in spool.folders():
        lane = found.setdefault((destination, signal), Waiting(destination, signal))
        items = folder.waiting()
        if spool.accounts.is_alive(folder.path.name):
            lane.kept += items
        else:
            lane.items += items
            lane.size += folder.waiting_bytes()
    return [lane for lane in found.values() if lane.items or lane.kept]


class Replay:
    """Sends what dead processes left; what running ones have they send themselves.

    Args:
        spool: the folder.
        receivers: who gets what.
        progress: is told the number of items after each payload.
        pause: waits between attempts.
    """

    def __init__(
        self,
        spool: Spool,
        account: SpanAccount,
        receivers: Receivers,
        progress: Callable[[int], None] = lambda count: None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._spool = spool
        self._account = account
        self._receivers = receivers
        self._progress = progress
        self._pause = pause

    def send(self, lane: Waiting) -> LaneResult:
        """Send what waits for one destination and signal, oldest first."""
        receiver = self._receivers.get((lane.destination, lane.signal))
        result = LaneResult()
        if receiver is None:
            result.problem = f"no receiver of {lane.signal} is set up for {lane.destination!r}"
            return result

        def settle(what: str, reason: str, count: int, accounted: bool) -> None:
            result.damaged += count if reason == "spool_corrupt" else 0
            if accounted:
                self._account.settle(what, reason, count)

        behalf = self._account.settle_for_another if lane.signal == "traces" else None
        store = SpoolLane(self._spool, lane.destination, lane.signal, settle, behalf)
        try:
            store.look_around()
            if not store.adopts:
                result.problem = "a running process is sending it now"
                return result
            for sent in self._payloads(store, receiver, result):
                self._progress(sent)
        except OSError as error:
            result.problem = f"the spool cannot be used: {error}"
        finally:
            store.close()
        return result

    def _payloads(self, store: SpoolLane, receiver: Receiver, result: LaneResult) -> Iterator[int]:
        while (entry := store.head()) is not None and entry.payload is not None:
            outcome = self._attempts(entry.payload, receiver)
            if isinstance(outcome, Unavailable):
                what = "takes nothing" if isinstance(outcome, Misconfigured) else "is away"
                result.problem = f"{receiver.transport.destination} {what}: {outcome.reason}"
                return
            count = entry.payload.count
            lost = count if isinstance(outcome, Refused) else outcome.refused
            reason = outcome.reason if isinstance(outcome, Refused) else outcome.message
            if lost and reason not in result.refusals:
                result.refusals.append(reason)
            if store.done(entry) is not None:
                self._count(entry.accounted, count - lost, lost)
            result.sent += count - lost
            result.refused += lost
            self._spool.note_account()
            yield count

    def _count(self, accounted: bool, sent: int, lost: int) -> None:
        if accounted:
            self._account.settle("replayed", "none", sent)
            self._account.settle("dropped", "spool_refused", lost)

    def _attempts(self, payload: Payload, receiver: Receiver) -> Sent | Refused | Unavailable:
        outcome = attempt(receiver.transport, payload, receiver.timeout_seconds)
        for retry in range(receiver.max_retries):
            if not isinstance(outcome, Unavailable) or isinstance(outcome, Misconfigured):
                break
            wished = outcome.retry_after_seconds or 0.0
            self._pause(min(max(2.0**retry, wished), _LONGEST_PAUSE_SECONDS))
            outcome = attempt(receiver.transport, payload, receiver.timeout_seconds)
        return outcome


def receiver_key(name: str, signal: Signal) -> tuple[str, Signal]:
    """The key of a destination in `Receivers`."""
    return folder_name(name), signal
