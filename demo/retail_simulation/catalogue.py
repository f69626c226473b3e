"""The chain that is simulated: its stores, its products and what they cost."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Store:
    """One shop; `footfall` scales the demand of every product in it."""

    store_id: str
    name: str
    footfall: float


@dataclass(frozen=True)
class Product:
    """One article. Money is in cents, times are in days."""

    product_id: str
    name: str
    category: str
    unit_cost_cents: int
    base_price_cents: int
    daily_demand: float
    elasticity: float
    shelf_life_days: int
    lead_time_days: int

    @property
    def floor_price_cents(self) -> int:
        """The lowest price at which the chain sells: five per cent above cost."""
        return -(-self.unit_cost_cents * 105 // 100)

    @property
    def ceiling_price_cents(self) -> int:
        """The highest price customers would put up with."""
        return self.base_price_cents * 150 // 100


STORES = (
    Store("harbour", "Harbour Street", 1.3),
    Store("station", "Central Station", 1.0),
    Store("meadow", "Meadow Park", 0.7),
)

PRODUCTS = (
    Product("milk", "Whole milk 1 l", "dairy", 70, 119, 14.0, 0.8, 7, 1),
    Product("yoghurt", "Plain yoghurt 500 g", "dairy", 95, 179, 8.0, 1.2, 12, 2),
    Product("bread", "Sourdough loaf", "bakery", 140, 329, 9.0, 1.0, 3, 1),
    Product("strawberries", "Strawberries 500 g", "fruit", 180, 349, 7.0, 1.6, 4, 1),
    Product("salad", "Mixed salad", "fruit", 90, 199, 6.0, 1.3, 4, 1),
    Product("water", "Mineral water 6 x 1.5 l", "drinks", 160, 299, 10.0, 1.1, 300, 2),
    Product("icecream", "Ice cream 900 ml", "frozen", 210, 449, 5.0, 1.4, 180, 2),
    Product("coffee", "Ground coffee 500 g", "grocery", 420, 699, 5.0, 1.5, 300, 3),
    Product("pasta", "Pasta 500 g", "grocery", 60, 129, 9.0, 0.9, 400, 3),
    Product("umbrella", "Pocket umbrella", "household", 480, 1199, 1.5, 0.7, 2000, 4),
)

STORES_BY_ID = {store.store_id: store for store in STORES}
PRODUCTS_BY_ID = {product.product_id: product for product in PRODUCTS}
