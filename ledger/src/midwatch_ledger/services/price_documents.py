"""Price tables as people write them: the shim's price file, read and checked."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:@+-]*$"
_LONGEST_NAME = 200
_STRICT = ConfigDict(extra="forbid", frozen=True)


class PriceDocumentError(Exception):
    """A price table that can't be used; `problems` has a line for each thing that is wrong."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def _as_text(value: object) -> object:
    # YAML reads a version such as 2026 or 1.5 as a number, and the shim takes it as what it says.
    return str(value) if isinstance(value, int | float | dt.date | Decimal) else value


TableName = Annotated[str, Field(min_length=1, max_length=_LONGEST_NAME, pattern=NAME_PATTERN)]
Version = Annotated[TableName, BeforeValidator(_as_text)]
Words = Annotated[
    str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]*\S[^\x00-\x1f]*$")
]
Amount = Annotated[
    Decimal,
    Field(
        ge=0,
        max_digits=18,
        decimal_places=9,
        allow_inf_nan=False,
        description="US dollars for a million tokens.",
    ),
]


class Price(BaseModel):
    """What the tokens of a model cost; a kind without a price costs what it is part of costs."""

    model_config = _STRICT

    model: Annotated[Words, Field(description="A trailing `*` stands for any ending.")]
    provider: Annotated[Words | None, Field(description="Any, if left out.")] = None
    service_tier: Annotated[Words | None, Field(description="For calls of this tier only.")] = None
    above_input_tokens: Annotated[
        int | None, Field(ge=0, le=10**12, description="For longer prompts only.")
    ] = None
    input_per_million: Amount
    output_per_million: Amount
    cache_read_per_million: Amount | None = None
    cache_write_per_million: Amount | None = None
    cache_write_1h_per_million: Annotated[
        Amount | None, Field(description="For what the cache keeps for an hour.")
    ] = None
    reasoning_per_million: Amount | None = None


class PriceDocument(BaseModel):
    """One version of a price table, as in the file that `MIDWATCH_PRICES_FILE` names."""

    model_config = _STRICT

    version: Annotated[
        Version | None, Field(description="A digest of the prices, if left out.")
    ] = None
    effective_date: Annotated[
        dt.date | None,
        Field(description="From when on it holds (UTC); from the beginning, if left out."),
    ] = None
    prices: Annotated[
        list[Price],
        Field(min_length=1, max_length=5_000, description="The first that matches a call wins."),
    ]


def is_table_name(name: str) -> bool:
    """Return whether a table or a version can be called so."""
    return len(name) <= _LONGEST_NAME and re.match(NAME_PATTERN, name) is not None


def plain_prices(document: PriceDocument) -> list[dict[str, Any]]:
    """Return the prices as they are kept: amounts as text, what is left out absent."""
    return [
        {
            name: f"{value:f}" if isinstance(value, Decimal) else value
            for name, value in price.model_dump(exclude_none=True).items()
        }
        for price in document.prices
    ]


def digest_of(document: PriceDocument) -> str:
    """Return what tells whether two documents say the same of prices and date."""
    said = [
        str(document.effective_date),
        [
            {
                name: str(value.normalize()) if isinstance(value, Decimal) else value
                for name, value in price.model_dump(exclude_none=True).items()
            }
            for price in document.prices
        ],
    ]
    return f"sha256:{hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()}"


def read_price_file(path: Path) -> PriceDocument:
    """Read a price file, JSON or YAML; without a version it gets the one that the shim gives it.

    Raises:
        PriceDocumentError: the file can't be read or is wrong; every problem is told.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise PriceDocumentError([f"can't be read ({reason}); name a readable file"]) from error
    try:
        document = PriceDocument.model_validate(_parsed(path, content))
    except ValidationError as error:
        raise PriceDocumentError([_told(problem) for problem in error.errors()]) from None
    if document.version is not None:
        return document
    version = f"sha256:{hashlib.sha256(content).hexdigest()[:12]}"
    return document.model_copy(update={"version": version})


def _parsed(path: Path, content: bytes) -> Any:
    if path.suffix.lower() not in (".yaml", ".yml"):
        try:
            return json.loads(content, parse_float=Decimal)
        except ValueError as error:
            told = f"is not JSON ({error}); a YAML file must be named *.yaml or *.yml"
            raise PriceDocumentError([told]) from error
    try:
        # Only users who write YAML need the parser.
        import yaml
    except ImportError as error:
        told = "is YAML, which needs the package PyYAML; install it or write JSON"
        raise PriceDocumentError([told]) from error
    try:
        return yaml.safe_load(content)
    except yaml.YAMLError as error:
        raise PriceDocumentError([f"is not YAML ({error})"]) from error


def _told(problem: Any) -> str:
    where = ".".join(str(part) for part in problem["loc"]) or "the file"
    given = "" if problem["type"] == "missing" else f", got {problem['input']!r}"
    return f"{where}: {problem['msg']}{given}"
