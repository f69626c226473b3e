"""The price table of the package `genai-prices`."""

from __future__ import annotations

import datetime as dt
import functools
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from midwatch.instruments.price_file import ModelPrice
from midwatch.instruments.tokens import TokenUsage

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ModelInfo, PriceVariant, Provider

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
# Vertex AI and the Gemini API put a path before the model's name.
_PATH = re.compile(r"^(?:.*/)?models/")
STANDARD_TIERS = frozenset({"", "auto", "default", "standard", "on_demand"})
"""The service tiers that cost what the table has as the model's price."""
_RATES: Mapping[str, str] = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "output_reasoning_mtok": "reasoning",
}


@dataclass(frozen=True, slots=True)
class _Known:
    """A model as the table has it in one minute; `rates` if its prices are plain amounts."""

    since: dt.datetime
    until: dt.datetime
    provider: Provider
    model: ModelInfo
    rates: ModelPrice | None
    effective_date: str | None
    context: Mapping[str, str] | None


class PublishedPrices:
    """Prices by the published table, with what was looked up kept for the minute.

    Args:
        clock: tells the present time, for prices that change with it.
    """

    name = "genai-prices"

    def __init__(self, clock: Callable[[], dt.datetime]) -> None:
        self._clock = clock
        self._known: dict[tuple[str, str, str], _Known | None] = {}

    @functools.cached_property
    def version(self) -> str:
        """The version of the table."""
        import genai_prices

        return str(genai_prices.__version__)

    def load(self) -> None:
        """Load the table, which takes some tenths of a second the first time."""
        _table()

    def cost_usd(
        self, provider: str, model: str, usage: TokenUsage, tier: str = ""
    ) -> tuple[Decimal, str | None] | None:
        """The cost and since when the price holds, if that is known.

        None for an unknown model, and for a tier of service that the model has no price for.
        """
        now = self._clock()
        known = self._find(provider, model, "" if tier in STANDARD_TIERS else tier, now)
        if known is None:
            return None
        if known.rates is not None:
            return known.rates.cost_usd(usage), known.effective_date
        try:
            return _calculated(known, usage, now), known.effective_date
        except (LookupError, ValueError, ArithmeticError) as error:
            _logger.debug("no price for %s of %s at %s: %s", model, provider, usage, error)
            return None

    def _find(self, provider: str, model: str, tier: str, now: dt.datetime) -> _Known | None:
        key = (provider, model, tier)
        known = self._known.get(key)
        if known is None:
            if key in self._known:
                return None
        elif known.since <= now < known.until:
            return known
        known = _looked_up(provider, model, tier, now)
        if len(self._known) < _MOST_KNOWN:
            self._known[key] = known
        return known


def _looked_up(provider: str, model: str, tier: str, now: dt.datetime) -> _Known | None:
    seller_id = _PROVIDER_IDS.get(provider, provider)
    try:
        seller, info = _table().find_provider_model(
            _plain_name(seller_id, model), None, seller_id, None
        )
    except LookupError:
        return None
    effective = _effective_date(info.prices, now)
    context = None
    if tier:
        context = {"processing": tier} if tier == "batch" else {"service_tier": tier}
        variant = _variant(info.price_variants or (), context, now)
        if variant is None:
            return None
        effective = _start_of(variant.constraint) or effective
    rates = _plain_rates(info.get_prices(now, context), provider, model)
    since = now.replace(second=0, microsecond=0)
    until = since + dt.timedelta(minutes=1)
    return _Known(since, until, seller, info, rates, effective, context)


def _plain_name(seller_id: str, model: str) -> str:
    """The model's name without the path or the provider that some clients put before it."""
    if seller_id == "google":
        model = _PATH.sub("", model)
    return model.removeprefix(f"{seller_id}/")


def _variant(
    variants: Iterable[PriceVariant], context: Mapping[str, str], now: dt.datetime
) -> PriceVariant | None:
    return next(
        (
            variant
            for variant in variants
            if variant.when == context
            and (variant.constraint is None or variant.constraint.active(now))
        ),
        None,
    )


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
        cache_write_1h_tokens=usage.cache_write_1h or None,
        output_reasoning_tokens=usage.reasoning or None,
    )
    result = known.model.calc_price(
        tokens, known.provider, genai_request_timestamp=now, price_context=known.context
    )
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
            return _start_of(constraint)
    return None


def _start_of(constraint: object) -> str | None:
    start = getattr(constraint, "start_date", None)
    return start.isoformat() if isinstance(start, dt.date) else None
