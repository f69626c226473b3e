"""What the scripted model knows of retail: the roles of the retail simulation's agents.

Each role reads the event in the newest user message, looks with the tools that it is offered, and
answers the JSON object that its system prompt asks for. The roles follow goals of their own, as
such agents do, so that their decisions collide now and then.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from model_server.skills.interface import ModelRequest, Reply, Skill, ToolCall

_EVENT_MARK = "Event: "
_SPECIALISTS = ("inventory_agent", "pricing_agent", "promotion_agent")
_TOOLS = {
    "inventory": ("lookup_stock", "forecast_demand"),
    "pricing": ("lookup_prices", "forecast_demand"),
    "promotion": ("list_promotions", "lookup_stock"),
}


@dataclass(frozen=True)
class Shelf:
    """The event as the prompt tells it, with safe values for what it leaves out."""

    event: str
    store_id: str
    product_id: str
    severity: float
    facts: Mapping[str, object]

    def number(self, name: str) -> float:
        """A fact as a number, 0 when it is missing or no number."""
        value = self.facts.get(name, 0)
        return float(value) if isinstance(value, int | float) else 0.0

    @property
    def scarce(self) -> bool:
        """Whether the stock ends before an order would arrive."""
        return self.number("cover_days") < self.number("lead_time_days") + 1

    @property
    def undercut_percent(self) -> int:
        """By how much the competitor is cheaper, in per cent."""
        price = self.number("price_cents")
        return round(100 * (1 - self.number("competitor_price_cents") / price)) if price else 0


@dataclass(frozen=True)
class Opinion:
    """What a role decides, before it is put into words."""

    decision: str
    reason: str
    confidence: float
    percent: int = 0
    units: int = 0
    days: int = 0
    told: tuple[tuple[str, str], ...] = ()


def read_shelf(text: str) -> Shelf:
    """The event in a prompt; an empty one when there is none that can be read."""
    line = next((part for part in text.splitlines() if part.startswith(_EVENT_MARK)), "")
    try:
        told = json.loads(line.removeprefix(_EVENT_MARK))
    except ValueError:
        told = {}
    told = told if isinstance(told, dict) else {}
    facts = told.get("facts")
    severity = told.get("severity")
    return Shelf(
        event=str(told.get("event", "")),
        store_id=str(told.get("store_id", "")),
        product_id=str(told.get("product_id", "")),
        severity=float(severity) if isinstance(severity, int | float) else 0.5,
        facts=facts if isinstance(facts, dict) else {},
    )


class OrchestratorSkill:
    """Chooses who takes part in an event."""

    @property
    def name(self) -> str:
        """The name for fault filters and the control state."""
        return "retail.orchestrator"

    def matches(self, request: ModelRequest) -> bool:
        """Whether the system prompt describes the orchestrator."""
        return "You are the orchestrator of a retail chain" in request.system_text

    def reply(self, request: ModelRequest, random: Random) -> Reply:
        """Name the agents whose business the event is; now and then one more joins."""
        shelf = read_shelf(request.last_user_text)
        chosen = {
            "stockout_risk": ["inventory_agent", "pricing_agent"],
            "competitor_price_drop": ["pricing_agent", "promotion_agent"],
            "slow_mover": ["pricing_agent", "promotion_agent"],
        }.get(shelf.event, list(_SPECIALISTS))
        absent = [agent for agent in _SPECIALISTS if agent not in chosen]
        if absent and random.random() < 0.35:
            chosen.append(random.choice(absent))
        reason = f"{shelf.event or 'the event'} concerns {', '.join(chosen)}"
        return Reply(text=json.dumps({"participants": chosen, "reason": reason}))


class SpecialistSkill:
    """One role that looks with its tools and then decides."""

    def __init__(self, role: str, decide: Callable[[Shelf, Random, str], Opinion]) -> None:
        self._role = role
        self._decide = decide

    @property
    def name(self) -> str:
        """The name for fault filters and the control state."""
        return f"retail.{self._role}_agent"

    def matches(self, request: ModelRequest) -> bool:
        """Whether the system prompt describes this role."""
        return f"You are the {self._role} agent of a retail chain" in request.system_text

    def reply(self, request: ModelRequest, random: Random) -> Reply:
        """Call the role's tools first; with their results at hand, decide."""
        shelf = read_shelf(request.last_user_text)
        offered = {tool.name for tool in request.tools}
        wanted = [name for name in _TOOLS[self._role] if name in offered]
        if wanted and not request.tool_results():
            # Own ids: the server's differ each time, and with them the answer to the next request.
            calls = tuple(
                ToolCall(name, _arguments(name, shelf), f"call_{random.getrandbits(96):024x}")
                for name in wanted
            )
            return Reply(tool_calls=calls)
        opinion = self._decide(shelf, random, request.last_user_text)
        answer = {
            "decision": opinion.decision,
            "confidence": round(min(0.99, max(0.05, opinion.confidence)), 2),
            "reason": opinion.reason,
            "percent": opinion.percent,
            "units": opinion.units,
            "days": opinion.days,
            "messages": [
                {"to_agent": agent, "content": content} for agent, content in opinion.told
            ],
        }
        return Reply(text=json.dumps(answer))


def _arguments(tool: str, shelf: Shelf) -> dict[str, object]:
    if tool == "list_promotions":
        return {"store_id": shelf.store_id}
    place: dict[str, object] = {"store_id": shelf.store_id, "product_id": shelf.product_id}
    return place | {"days": 5} if tool == "forecast_demand" else place


def _decide_inventory(shelf: Shelf, random: Random, prompt: str) -> Opinion:
    sure = 0.6 + 0.3 * shelf.severity + random.uniform(-0.08, 0.08)
    demand = shelf.number("average_daily_demand")
    if shelf.event in {"stockout_risk", "demand_surge"}:
        if shelf.scarce and random.random() < 0.45:
            return Opinion(
                "raise_price",
                "The stock ends before a delivery; a higher price makes it last.",
                sure,
                percent=random.randint(5, 15),
                told=(("pricing_agent", "Stock is scarce, please do not make it cheaper."),),
            )
        days = shelf.number("lead_time_days") + 4
        units = max(4, round(demand * days - shelf.number("on_order")))
        rush = shelf.severity > 0.75
        return Opinion(
            "expedite_reorder" if rush else "reorder",
            f"{units} units cover the next {days:.0f} days.",
            sure,
            units=min(units, 1000),
            told=(("promotion_agent", "A delivery is on its way, hold promotions until then."),),
        )
    if shelf.event == "expiring_stock" and random.random() < 0.3:
        units = max(4, round(demand * 3))
        return Opinion("reorder", "Fresh units must follow those that expire.", 0.55, units=units)
    return Opinion(
        "hold",
        "The stock is enough.",
        sure,
        told=(("promotion_agent", f"There are {shelf.number('on_hand'):.0f} units to move."),),
    )


def _decide_pricing(shelf: Shelf, random: Random, prompt: str) -> Opinion:
    sure = 0.62 + 0.25 * shelf.severity + random.uniform(-0.1, 0.1)
    warned = "please do not make it cheaper" in prompt
    if shelf.event == "competitor_price_drop" or shelf.undercut_percent > 12:
        return Opinion(
            "match_competitor",
            f"The competitor is {shelf.undercut_percent} per cent cheaper.",
            sure - (0.2 if warned else 0),
            percent=min(50, max(0, shelf.undercut_percent)),
            told=(
                ("promotion_agent", "The price follows the competitor's, no need to add to it."),
            ),
        )
    if shelf.event in {"expiring_stock", "slow_mover"}:
        return Opinion(
            "markdown",
            "A lower price moves the stock in time.",
            sure,
            percent=random.randint(10, 25),
            told=(("promotion_agent", "The price goes down on this shelf."),),
        )
    if shelf.event == "demand_surge" and not warned and random.random() < 0.7:
        return Opinion(
            "raise_price", "Customers buy at this price anyway.", sure, percent=random.randint(3, 8)
        )
    return Opinion("hold", "The price is right.", sure)


def _decide_promotion(shelf: Shelf, random: Random, prompt: str) -> Opinion:
    sure = 0.6 + 0.25 * shelf.severity + random.uniform(-0.12, 0.12)
    if shelf.number("promotion_percent") and shelf.scarce:
        return Opinion("cancel_promotion", "The promotion drains a scarce shelf.", sure + 0.05)
    eager = {"slow_mover": 0.9, "expiring_stock": 0.8, "competitor_price_drop": 0.7}
    if random.random() < eager.get(shelf.event, 0.4):
        listened = "no need to add to it" in prompt or "goes down on this shelf" in prompt
        return Opinion(
            "plan_promotion",
            f"A promotion answers {shelf.event or 'the event'} and brings people into the shop.",
            sure - (0.05 if listened else 0),
            percent=random.randint(10, 30),
            days=random.randint(2, 5),
            told=(("inventory_agent", "Expect more demand while the promotion runs."),),
        )
    return Opinion("hold", "No promotion would pay here.", sure)


SKILLS: tuple[Skill, ...] = (
    OrchestratorSkill(),
    SpecialistSkill("inventory", _decide_inventory),
    SpecialistSkill("pricing", _decide_pricing),
    SpecialistSkill("promotion", _decide_promotion),
)
