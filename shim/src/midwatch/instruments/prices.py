"""What a model call costs: the published table, with a price file of the user's own on top."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from midwatch.instruments.price_file import PriceFile, PriceFileError, read_price_file
from midwatch.instruments.published_prices import PublishedPrices
from midwatch.instruments.tokens import TokenUsage
from midwatch.pipeline.failures import FAILURES

_logger = logging.getLogger(__name__)


class Cost(NamedTuple):
    """What a call cost, and which version of which table says so."""

    usd: Decimal
    table: str
    version: str
    effective_date: str | None = None


class PriceTable:
    """Prices model calls; the user's price file wins over the published table.

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
        self._published = PublishedPrices(clock)

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

        It belongs to the start of a process that is going to call models: the first call must not
        wait for it, and a process without models must not pay for it. (A thread in the background
        could be loading when the process forks, and leave the import locked in the child.)
        """
        try:
            self._published.load()
        except Exception as error:
            FAILURES.note("prices", error)

    def cost(self, provider: str, model: str, usage: TokenUsage, tier: str = "") -> Cost | None:
        """What the call cost, or None when no table knows it: a price is never guessed.

        Args:
            provider: as the conventions name it.
            model: the model that answered, else the one asked for.
            usage: the tokens.
            tier: the service tier, for example `batch` or `flex`; empty for the standard one.
        """
        overrides = self._overrides
        if overrides is not None:
            for price in overrides.prices:
                if price.matches(provider, model, usage, tier):
                    return Cost(
                        price.cost_usd(usage),
                        overrides.name,
                        overrides.version,
                        overrides.effective_date,
                    )
        published = self._published.cost_usd(provider, model, usage, tier)
        if published is None:
            return None
        usd, effective_date = published
        return Cost(usd, self._published.name, self._published.version, effective_date)
