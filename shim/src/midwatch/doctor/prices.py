"""The price table: which version, how new, and the user's own prices."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from importlib import metadata

from midwatch.doctor.report import Finding, Patient
from midwatch.instruments.price_file import PriceFileError, read_price_file

_TABLE = "genai-prices"
_OLD_DAYS = 180


def check_prices(patient: Patient) -> Iterator[Finding]:
    """The published table with the date of its newest price, and the price file."""
    yield _published()
    path = patient.settings.prices_file
    if path is None:
        return
    try:
        prices = read_price_file(path)
    except PriceFileError as error:
        for problem in error.problems:
            told = f"MIDWATCH_PRICES_FILE={path}: {problem}"
            yield Finding("prices", "price file", "problem", told, "repair the file")
        return
    told = f"{len(prices.prices)} prices of {path}, version {prices.version}"
    yield Finding("prices", "price file", "ok", told, data={"version": prices.version})


def _published() -> Finding:
    version = metadata.version(_TABLE)
    newest = newest_price()
    data: dict[str, object] = {"table": _TABLE, "version": version, "newest_price": None}
    if newest is None:
        return Finding("prices", "table", "ok", f"{_TABLE} {version}", data=data)
    days = (dt.datetime.now(dt.UTC).date() - newest).days
    data |= {"newest_price": newest.isoformat(), "age_days": days}
    told = f"{_TABLE} {version}, whose newest dated price is of {newest} ({days} days ago)"
    if days > _OLD_DAYS:
        told += f": newer models may be without a price; upgrade {_TABLE}"
        return Finding("prices", "table", "note", told, data=data)
    return Finding("prices", "table", "ok", told, data=data)


def newest_price() -> dt.date | None:
    """The latest day, up to today, on which a price of the table begins."""
    from genai_prices.data_snapshot import get_snapshot

    today = dt.datetime.now(dt.UTC).date()
    found: dt.date | None = None
    for provider in get_snapshot().providers:
        for model in provider.models:
            prices = model.prices if isinstance(model.prices, list) else []
            for price in prices:
                start = getattr(price.constraint, "start_date", None)
                if isinstance(start, dt.date) and start <= today and (not found or start > found):
                    found = start
    return found
