"""The simulation engine: it advances the world by days and keeps the chain's books."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from retail_simulation.catalogue import PRODUCTS, PRODUCTS_BY_ID, STORES, STORES_BY_ID
from retail_simulation.shelf import Batch, Order, Shelf
from retail_simulation.world import Conditions, conditions_of, demand_of

OPENING_CASH_CENTS = 2_000_000
_OPENING_STOCK_DAYS = 4
_STANDING_ORDER_EVERY_DAYS = 3
_STANDING_ORDER_DAYS = 5


class UnknownShelfError(LookupError):
    """There is no such store or product."""


@dataclass
class Books:
    """The chain's money in cents and its goods in units, since the simulation began.

    At every moment `cash` is opening cash plus revenue minus purchases minus promotion spend, and
    the units on hand are opening plus delivered minus sold minus spoiled.
    """

    opening_cash_cents: int
    cash_cents: int
    opening_units: int = 0
    revenue_cents: int = 0
    purchases_cents: int = 0
    promotion_spend_cents: int = 0
    units_delivered: int = 0
    units_sold: int = 0
    units_lost_sales: int = 0
    units_spoiled: int = 0

    def earn(self, cents: int) -> None:
        """Book the revenue of a sale."""
        self.revenue_cents += cents
        self.cash_cents += cents

    def buy(self, cents: int) -> None:
        """Book the purchase of goods. The caller has checked that the cash is there."""
        self.purchases_cents += cents
        self.cash_cents -= cents

    def advertise(self, cents: int) -> None:
        """Book the cost of a promotion. The caller has checked that the cash is there."""
        self.promotion_spend_cents += cents
        self.cash_cents -= cents


class Engine:
    """One simulated chain. The same seed and the same actions always give the same course."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.day = 0
        self.conditions = Conditions(0, "mild", False, {})
        self.books = Books(OPENING_CASH_CENTS, OPENING_CASH_CENTS)
        self.shelves: dict[tuple[str, str], Shelf] = {}
        for store in STORES:
            for product in PRODUCTS:
                units = round(product.daily_demand * store.footfall * _OPENING_STOCK_DAYS)
                self.shelves[store.store_id, product.product_id] = Shelf(
                    store=store,
                    product=product,
                    price_cents=product.base_price_cents,
                    competitor_price_cents=product.base_price_cents,
                    batches=[Batch(units, product.shelf_life_days)],
                )
                self.books.opening_units += units

    @property
    def units_on_hand(self) -> int:
        """All units in all stores."""
        return sum(shelf.on_hand for shelf in self.shelves.values())

    def shelf(self, store_id: str, product_id: str) -> Shelf:
        """Return a shelf.

        Raises:
            UnknownShelfError: There is none; the message names the stores and products there are.
        """
        problems: list[str] = []
        if store_id not in STORES_BY_ID:
            problems.append(f"store_id {store_id!r} is not one of {', '.join(STORES_BY_ID)}")
        if product_id not in PRODUCTS_BY_ID:
            problems.append(f"product_id {product_id!r} is not one of {', '.join(PRODUCTS_BY_ID)}")
        if problems:
            raise UnknownShelfError("; ".join(problems))
        return self.shelves[store_id, product_id]

    def advance(self) -> Conditions:
        """Simulate one day: deliveries, competitors, customers, waste, standing orders."""
        self.day += 1
        self.conditions = conditions_of(self.seed, self.day)
        for shelf in self.shelves.values():
            self._open_shop(shelf)
            self._serve_customers(shelf)
        for position, shelf in enumerate(self.shelves.values()):
            if (self.day + position) % _STANDING_ORDER_EVERY_DAYS == 0:
                self._place_standing_order(shelf)
        return self.conditions

    def order(self, shelf: Shelf, units: int, days: int, surcharge_percent: int = 0) -> int:
        """Order goods, as many as fit and can be paid; return the units that were ordered."""
        unit_price = shelf.product.unit_cost_cents * (100 + surcharge_percent) // 100
        room = max(0, shelf.capacity - shelf.on_hand - shelf.on_order)
        ordered = min(units, room, self.books.cash_cents // unit_price)
        if ordered <= 0:
            return 0
        self.books.buy(ordered * unit_price)
        shelf.orders.append(Order(ordered, self.day + max(1, days)))
        return ordered

    def summary(self) -> dict[str, Any]:
        """Return the state of the chain in plain values."""
        return {
            "seed": self.seed,
            "day": self.day,
            "weather": self.conditions.weather,
            "holiday": self.conditions.holiday,
            "books": asdict(self.books) | {"units_on_hand": self.units_on_hand},
            "shelves": [_shelf_summary(shelf) for shelf in self.shelves.values()],
        }

    def _open_shop(self, shelf: Shelf) -> None:
        self.books.units_delivered += shelf.receive(self.day)
        self.books.units_spoiled += shelf.throw_away_expired(self.day)
        if shelf.promotion is not None and shelf.promotion.ends_on < self.day:
            shelf.promotion = None
        moved = self.conditions.competitor_prices_cents.get(shelf.product.product_id)
        if moved is not None:
            shelf.competitor_price_cents = moved

    def _serve_customers(self, shelf: Shelf) -> None:
        price = shelf.selling_price_cents
        wanted = demand_of(self.seed, self.conditions, shelf.store, shelf.product, price)
        sold = shelf.sell(wanted)
        self.books.earn(sold * price)
        self.books.units_sold += sold
        self.books.units_lost_sales += wanted - sold

    def _place_standing_order(self, shelf: Shelf) -> None:
        days = _STANDING_ORDER_DAYS + shelf.product.lead_time_days
        expected = shelf.product.daily_demand * shelf.store.footfall * days
        missing = round(expected) - shelf.on_hand - shelf.on_order
        self.order(shelf, missing, shelf.product.lead_time_days)


def _shelf_summary(shelf: Shelf) -> dict[str, Any]:
    promotion = shelf.promotion
    return {
        "store_id": shelf.store.store_id,
        "product_id": shelf.product.product_id,
        "on_hand": shelf.on_hand,
        "on_order": shelf.on_order,
        "price_cents": shelf.price_cents,
        "selling_price_cents": shelf.selling_price_cents,
        "competitor_price_cents": shelf.competitor_price_cents,
        "promotion": None if promotion is None else asdict(promotion),
        "cover_days": round(shelf.cover_days, 1),
    }
