"""What people say to the security agent, and what they ask of the simulation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from traffic import phrases
from traffic.settings import Mix


class Kind(StrEnum):
    """What an arrival is."""

    STATUS = "status"
    PROTECTION = "protection"
    KNOWLEDGE = "knowledge"
    MIXED = "mixed"
    OFF_TOPIC = "off_topic"
    INJECTION = "injection"
    SIMULATION_DAYS = "simulation_days"
    SIMULATION_EVENT = "simulation_event"


@dataclass(frozen=True)
class Turn:
    """One message of a conversation; `confirm` is set where a person confirms a change."""

    message: str
    confirm: bool | None = None
    think_seconds: float = 0.0


@dataclass(frozen=True)
class Conversation:
    """One person's visit: an own session and its turns."""

    kind: Kind
    session_id: str
    turns: tuple[Turn, ...]


@dataclass(frozen=True)
class SimulationRequest:
    """One request to the retail simulation."""

    kind: Kind
    path: str
    body: dict[str, object]


Arrival = Conversation | SimulationRequest

_BEYOND_SHARE = 0.06
_EVENT_TYPES = (
    "stockout_risk",
    "demand_surge",
    "competitor_price_drop",
    "expiring_stock",
    "slow_mover",
)
_STORES = ("harbour", "station", "meadow")
_PRODUCTS = ("milk", "bread", "strawberries", "water", "icecream", "coffee", "pasta")


class Script:
    """Writes arrivals; the same seed and the same mixes give the same arrivals.

    Each arrival has a generator of its own, so that a change of the mix never shifts the others.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._count = 0

    def next(self, mix: Mix, storm: Callable[[Random], bool]) -> Arrival:
        """Return the next arrival; `storm` may turn any arrival into an injection."""
        self._count += 1
        chance = Random(f"{self._seed}:{self._count}")  # noqa: S311 - load, no secret
        simulate, stopped = chance.random(), chance.random()
        session_id = f"load-{self._seed}-{self._count}-{chance.getrandbits(32):08x}"
        if storm(Random(f"{self._seed}:{self._count}:storm")):  # noqa: S311 - load, no secret
            return _conversation(Kind.INJECTION, session_id, chance)
        if simulate < mix.simulation_ratio:
            return _simulation_request(chance)
        if stopped < mix.guardrail_ratio:
            return _conversation(Kind.INJECTION, session_id, chance)
        if stopped < mix.guardrail_ratio + mix.off_topic_ratio:
            return _conversation(Kind.OFF_TOPIC, session_id, chance)
        kinds = (Kind.STATUS, Kind.PROTECTION, Kind.KNOWLEDGE, Kind.MIXED)
        return _conversation(chance.choices(kinds, (35, 20, 30, 15))[0], session_id, chance)


def _conversation(kind: Kind, session_id: str, chance: Random) -> Conversation:
    turns = _TURNS[kind](chance)
    if kind is not Kind.INJECTION and chance.random() < 0.3:
        turns.append(_say(chance, phrases.CLOSINGS))
    return Conversation(kind, session_id, tuple(turns))


def _say(chance: Random, texts: tuple[str, ...], confirm: bool | None = None) -> Turn:
    return Turn(chance.choice(texts), confirm, round(chance.uniform(0.3, 1.5), 2))


def _status(chance: Random) -> list[Turn]:
    turns = [_say(chance, phrases.STATUS)]
    return [*turns, _say(chance, phrases.STATUS_FOLLOW_UP)] if chance.random() < 0.5 else turns


def _protection(chance: Random) -> list[Turn]:
    if chance.random() < 0.3:
        address = f"203.0.113.{chance.randint(1, 254)}"
        text = chance.choice(phrases.BLOCK).format(address=address)
    else:
        text = chance.choice(phrases.PROTECTION).format(mode=chance.choice(phrases.MODES))
    if chance.random() < 0.15:
        return [Turn(text), _say(chance, phrases.REFUSALS, confirm=False)]
    return [Turn(text), _say(chance, phrases.CONFIRMATIONS, confirm=True)]


def _knowledge(chance: Random) -> list[Turn]:
    if chance.random() < _BEYOND_SHARE:
        return [_say(chance, phrases.BEYOND_THE_DOCUMENTS)]
    turns = [_say(chance, phrases.KNOWLEDGE)]
    return [*turns, _say(chance, phrases.KNOWLEDGE_FOLLOW_UP)] if chance.random() < 0.4 else turns


def _mixed(chance: Random) -> list[Turn]:
    first = [_say(chance, phrases.COMPOUND)]
    return [*first, *_protection(chance)] if chance.random() < 0.4 else first


def _off_topic(chance: Random) -> list[Turn]:
    return [_say(chance, phrases.OFF_TOPIC)]


def _injection(chance: Random) -> list[Turn]:
    first = [_say(chance, phrases.STATUS)] if chance.random() < 0.2 else []
    return [*first, _say(chance, phrases.INJECTIONS)]


_TURNS: dict[Kind, Callable[[Random], list[Turn]]] = {
    Kind.STATUS: _status,
    Kind.PROTECTION: _protection,
    Kind.KNOWLEDGE: _knowledge,
    Kind.MIXED: _mixed,
    Kind.OFF_TOPIC: _off_topic,
    Kind.INJECTION: _injection,
}


def _simulation_request(chance: Random) -> SimulationRequest:
    if chance.random() < 0.7:
        return SimulationRequest(Kind.SIMULATION_DAYS, "/simulation/days", {"days": 1})
    body: dict[str, object] = {
        "type": chance.choice(_EVENT_TYPES),
        "store_id": chance.choice(_STORES),
        "product_id": chance.choice(_PRODUCTS),
        "severity": round(chance.uniform(0.4, 1.0), 2),
    }
    return SimulationRequest(Kind.SIMULATION_EVENT, "/simulation/events", body)
