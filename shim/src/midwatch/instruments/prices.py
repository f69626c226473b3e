"""What a model call costs: the `genai-prices` table, with a price file of the user's own on top."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from midwatch.instruments.price_file import PriceFile, PriceFileError, read_price_file
from midwatch.instruments.tokens import TokenUsage
from midwatch.pipeline.failures import FAILURES

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot

_logger = logging.getLogger(__name__)
_MOST_MISSES = 1_000

# The conventions' provider names where `genai-prices` has another id for the same provider.
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


@dataclass(frozen=True, slots=True)
class Cost:
    """What a call cost, and which version of which table says so."""

    usd: Decimal
    table: str
    version: str
    effective_date: str | None = None


class PriceTable:
    """Prices model calls; the user's price file wins over `genai-prices`.

    Args:
        overrides: a price file that was read, or none.
        clock: tells the present time, for prices that change with it.
    """

    def __init__(
        self,
        overrides: PriceFile | None = None,
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self._overrides = overrides
        self._clock = clock
        self._misses: set[tuple[str, str]] = set()

    @classmethod
    def from_file(cls, path: str | Path | None) -> PriceTable:
        """The table with the prices of a file; a file that is wrong is reported and left out."""
        if not path:
            return cls()
        try:
            return cls(read_price_file(Path(path)))
        except PriceFileError as error:
            _logger.error("%s", error)
            return cls()

    def load(self) -> None:
        """Load the published table now.

        That takes some tenths of a second, once. It belongs to the start of a process that is going
        to call models: the first call must not wait for it, and a process without models must not
        pay for it. (A thread in the background could be loading when the process forks, and leave
        the import locked in the child.)
        """
        try:
            _published_table()
        except Exception as error:
            FAILURES.note("prices", error)

    def cost(self, provider: str, model: str, usage: TokenUsage) -> Cost | None:
        """What the call cost, or None when no table knows the model: a price is never guessed."""
        if self._overrides is not None:
            for price in self._overrides.prices:
                if price.matches(provider, model):
                    return Cost(
                        price.cost_usd(usage),
                        self._overrides.name,
                        self._overrides.version,
                        self._overrides.effective_date,
                    )
        key = (provider, model)
        if key in self._misses:
            return None
        cost = self._published(provider, model, usage)
        if cost is None and len(self._misses) < _MOST_MISSES:
            self._misses.add(key)
        return cost

    def _published(self, provider: str, model: str, usage: TokenUsage) -> Cost | None:
        import genai_prices

        tokens = genai_prices.Usage(
            input_tokens=usage.input,
            output_tokens=usage.output,
            cache_read_tokens=usage.cache_read or None,
            cache_write_tokens=usage.cache_write or None,
            output_reasoning_tokens=usage.reasoning or None,
        )
        now = self._clock()
        try:
            seller, known = _published_table().find_provider_model(
                model, None, _PROVIDER_IDS.get(provider, provider), None
            )
            result = known.calc_price(tokens, seller, genai_request_timestamp=now)
        except (LookupError, ValueError, ArithmeticError) as error:
            _logger.debug("no published price for %s of %s: %s", model, provider, error)
            return None
        return Cost(
            result.total_price,
            "genai-prices",
            genai_prices.__version__,
            _effective_date(known.prices, now),
        )


def _published_table() -> DataSnapshot:
    # Imported when it is needed, see `PriceTable.load`.
    from genai_prices.data_snapshot import get_snapshot

    return get_snapshot()


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
