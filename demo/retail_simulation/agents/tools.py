"""The tools through which agents look at the chain. None of them changes anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from langchain_core.tools import BaseTool, StructuredTool, ToolException

from retail_simulation.engine import Engine, UnknownShelfError
from retail_simulation.models import AgentName
from retail_simulation.shelf import Shelf
from retail_simulation.triggers import facts_about

CurrentEngine = Callable[[], Engine]


class ChainTools:
    """Builds each agent's tools over the engine that is current when a tool is called."""

    def __init__(self, current_engine: CurrentEngine) -> None:
        self._current_engine = current_engine

    def of(self, agent: AgentName) -> list[BaseTool]:
        """Return the tools of an agent."""
        functions: dict[AgentName, tuple[Callable[..., Any], ...]] = {
            AgentName.INVENTORY: (self.lookup_stock, self.forecast_demand),
            AgentName.PRICING: (self.lookup_prices, self.forecast_demand),
            AgentName.PROMOTION: (self.list_promotions, self.lookup_stock),
        }
        return [
            StructuredTool.from_function(
                function, handle_tool_error=True, handle_validation_error=True
            )
            for function in functions[agent]
        ]

    def lookup_stock(self, store_id: str, product_id: str) -> dict[str, Any]:
        """Look up the stock of a product in a store: on hand, on order, expiring, cover in days."""
        shelf = self._shelf(store_id, product_id)
        facts = facts_about(shelf, self._current_engine())
        wanted = ("on_hand", "on_order", "expiring_units", "cover_days", "lead_time_days")
        return {name: facts[name] for name in wanted} | {"capacity": shelf.capacity}

    def forecast_demand(self, store_id: str, product_id: str, days: int) -> dict[str, Any]:
        """Forecast the units that customers will want of a product in the next days."""
        shelf = self._shelf(store_id, product_id)
        if not 1 <= days <= 30:
            raise ToolException(f"days is {days}; it must be between 1 and 30")
        return {
            "days": days,
            "expected_units": round(shelf.average_demand * days),
            "recent_demand": list(shelf.recent_demand),
        }

    def lookup_prices(self, store_id: str, product_id: str) -> dict[str, Any]:
        """Look up our price of a product, its cost, its limits and the competitor's price."""
        shelf = self._shelf(store_id, product_id)
        return {
            "price_cents": shelf.price_cents,
            "selling_price_cents": shelf.selling_price_cents,
            "unit_cost_cents": shelf.product.unit_cost_cents,
            "floor_price_cents": shelf.product.floor_price_cents,
            "ceiling_price_cents": shelf.product.ceiling_price_cents,
            "competitor_price_cents": shelf.competitor_price_cents,
        }

    def list_promotions(self, store_id: str) -> list[dict[str, Any]]:
        """List the promotions that run in a store."""
        return [
            {
                "product_id": shelf.product.product_id,
                "percent": shelf.promotion.percent,
                "ends_on": shelf.promotion.ends_on,
            }
            for shelf in self._current_engine().shelves.values()
            if shelf.store.store_id == store_id and shelf.promotion is not None
        ]

    def _shelf(self, store_id: str, product_id: str) -> Shelf:
        try:
            return self._current_engine().shelf(store_id, product_id)
        except UnknownShelfError as error:
            raise ToolException(str(error)) from error
