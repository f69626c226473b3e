"""The price table of the package `genai-prices`."""

from __future__ import annotations

import datetime as dt
import functools
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from midwatch.instruments.price_file import ModelPrice
from midwatch.instruments.tokens import TokenUsage

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ModelInfo, Provider

_logger = logging.getLogger(__name__)
_MOST_KNOWN = 1_000

# The conventions' provider names where the table has another id for the same provider.
_PROVIDER_IDS: Mapping[str, str] = {
    "aws.bedrock": "aws",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshotai",
    "x_ai": "x-ai",
}
_RATES: Mapping[str, str] = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "output_reasoning_mtok": "reasoning",
}


@dataclass(frozen=True, slots=True)
class _Known:
    """A model as the table has it at one minute; `rates` if its prices are plain amounts."""

    minute: int
    provider: Provider
    model: ModelInfo
    rates: ModelPrice | None
    effective_date: str | None


class PublishedPrices:
    """Prices by the published table, with what was looked up kept for the minute.

    Args:
        clock: tells the present time, for prices that change with it.
    """

    name = "genai-prices"

    def __init__(self, clock: Callable[[], dt.datetime]) -> None:
        self._clock = clock
        self._known: dict[tuple[str, str], _Known | None] = {}

    @functools.cached_property
    def version(self) -> str:
        """The version of the table."""
        import genai_prices

        return str(genai_prices.__version__)

    def load(self) -> None:
        """Load the table, which takes some tenths of a second the first time."""
        _table()

    def cost_usd(
        self, provider: str, model: str, usage: TokenUsage
    ) -> tuple[Decimal, str | None] | None:
        """The cost and since when the price holds, if that is known; None for an unknown model."""
        now = self._clock()
        known = self._find(provider, model, now)
        if known is None:
            return None
        if known.rates is not None:
            return known.rates.cost_usd(usage), known.effective_date
        try:
            return _calculated(known, usage, now), known.effective_date
        except (LookupError, ValueError, ArithmeticError) as error:
            _logger.debug("no price for %s of %s at %s: %s", model, provider, usage, error)
            return None

    def _find(self, provider: str, model: str, now: dt.datetime) -> _Known | None:
        key = (provider, model)
        minute = int(now.timestamp()) // 60
        known = self._known.get(key)
        if key in self._known and (known is None or known.minute == minute):
            return known
        try:
            seller, info = _table().find_provider_model(
                model, None, _PROVIDER_IDS.get(provider, provider), None
            )
        except LookupError:
            known = None
        else:
            rates = _plain_rates(info.get_prices(now), provider, model)
            known = _Known(minute, seller, info, rates, _effective_date(info.prices, now))
        if len(self._known) < _MOST_KNOWN:
            self._known[key] = known
        return known


def _table() -> DataSnapshot:
    # Imported when it is needed, see `PriceTable.load`.
    from genai_prices.data_snapshot import get_snapshot

    return get_snapshot()


def _calculated(known: _Known, usage: TokenUsage, now: dt.datetime) -> Decimal:
    import genai_prices

    tokens = genai_prices.Usage(
        input_tokens=usage.input,
        output_tokens=usage.output,
        cache_read_tokens=usage.cache_read or None,
        cache_write_tokens=usage.cache_write or None,
        output_reasoning_tokens=usage.reasoning or None,
    )
    result = known.model.calc_price(tokens, known.provider, genai_request_timestamp=now)
    return result.total_price


def _plain_rates(prices: Any, provider: str, model: str) -> ModelPrice | None:
    """The price as plain amounts, for which there is no need to ask the package each time.

    None where the price depends on how many tokens there are, or is not by tokens alone.
    """
    given = {key: amount for key, amount in vars(prices).items() if amount is not None}
    if "requests_kcount" in given or not {"input_mtok", "output_mtok"} <= given.keys():
        return None
    rates = {_RATES[key]: amount for key, amount in given.items() if key in _RATES}
    if not all(isinstance(amount, Decimal) for amount in rates.values()):
        return None
    return ModelPrice(model, provider, **rates)


def _effective_date(prices: object, now: dt.datetime) -> str | None:
    """Since when the price in force holds, where the table tells it."""
    if not isinstance(prices, list):
        return None
    for conditional in reversed(prices):
        constraint = conditional.constraint
        if constraint is None:
            return None
        if constraint.active(now):
            start = getattr(constraint, "start_date", None)
            return start.isoformat() if isinstance(start, dt.date) else None
    return None
