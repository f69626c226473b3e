"""One product in one store: its batches, its price, its promotion and its recent days."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from retail_simulation.catalogue import Product, Store

CAPACITY_DAYS = 15
_RECENT_DAYS = 7


@dataclass
class Batch:
    """Units that expire together."""

    units: int
    expires_on: int


@dataclass(frozen=True)
class Order:
    """Units that are paid for and on their way."""

    units: int
    arrives_on: int


@dataclass(frozen=True)
class Promotion:
    """A discount that ends after `ends_on`."""

    percent: int
    ends_on: int


@dataclass
class Shelf:
    """The state of one product in one store. Units and cents are whole and never negative."""

    store: Store
    product: Product
    price_cents: int
    competitor_price_cents: int
    batches: list[Batch] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    promotion: Promotion | None = None
    recent_demand: deque[int] = field(default_factory=lambda: deque(maxlen=_RECENT_DAYS))
    recent_sales: deque[int] = field(default_factory=lambda: deque(maxlen=_RECENT_DAYS))

    @property
    def on_hand(self) -> int:
        """Units that can be sold."""
        return sum(batch.units for batch in self.batches)

    @property
    def on_order(self) -> int:
        """Units that are on their way."""
        return sum(order.units for order in self.orders)

    @property
    def capacity(self) -> int:
        """Units that fit, those on their way included."""
        return max(10, round(self.product.daily_demand * self.store.footfall * CAPACITY_DAYS))

    @property
    def selling_price_cents(self) -> int:
        """What a customer pays today."""
        if self.promotion is None:
            return self.price_cents
        discounted = self.price_cents * (100 - self.promotion.percent) // 100
        return max(self.product.floor_price_cents, discounted)

    @property
    def average_demand(self) -> float:
        """Units wanted a day, from the last week (or the plan, before there was one)."""
        if not self.recent_demand:
            return self.product.daily_demand * self.store.footfall
        return sum(self.recent_demand) / len(self.recent_demand)

    @property
    def cover_days(self) -> float:
        """Days until the stock on hand is sold at the recent demand."""
        return self.on_hand / max(self.average_demand, 0.1)

    def expiring_units(self, day: int, within_days: int) -> int:
        """Return the units that expire within so many days after `day`."""
        return sum(b.units for b in self.batches if b.expires_on <= day + within_days)

    def receive(self, day: int) -> int:
        """Put arrived orders on the shelf and return their units."""
        arrived = [order for order in self.orders if order.arrives_on <= day]
        self.orders = [order for order in self.orders if order.arrives_on > day]
        for order in arrived:
            self.batches.append(Batch(order.units, day + self.product.shelf_life_days))
        return sum(order.units for order in arrived)

    def throw_away_expired(self, day: int) -> int:
        """Remove batches that are past their day and return their units."""
        expired = sum(batch.units for batch in self.batches if batch.expires_on < day)
        self.batches = [batch for batch in self.batches if batch.expires_on >= day]
        return expired

    def sell(self, wanted: int) -> int:
        """Sell the oldest units first and return how many there were to sell."""
        left = wanted
        self.batches.sort(key=lambda batch: batch.expires_on)
        for batch in self.batches:
            taken = min(batch.units, left)
            batch.units -= taken
            left -= taken
        self.batches = [batch for batch in self.batches if batch.units]
        sold = wanted - left
        self.recent_demand.append(wanted)
        self.recent_sales.append(sold)
        return sold
