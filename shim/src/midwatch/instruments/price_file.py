"""Reads the price file that `MIDWATCH_PRICES_FILE` names."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

from midwatch.instruments.tokens import TokenUsage

_MILLION = Decimal(1_000_000)
_PRICE_KEYS = {
    "input_per_million": "input",
    "output_per_million": "output",
    "cache_read_per_million": "cache_read",
    "cache_write_per_million": "cache_write",
    "cache_write_1h_per_million": "cache_write_1h",
    "reasoning_per_million": "reasoning",
}
_ENTRY_KEYS = ("model", "provider", "service_tier", "above_input_tokens", *_PRICE_KEYS)
_FILE_KEYS = ("version", "effective_date", "prices")
_REQUIRED = ("model", "input_per_million", "output_per_million")


@dataclass(frozen=True, slots=True)
class ModelPrice:
    """US dollars for a million tokens of one model, as a price file gives them.

    A kind without a price of its own costs what the kind it is part of costs.
    """

    model: str
    provider: str | None
    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    reasoning: Decimal | None = None
    service_tier: str | None = None
    above_input_tokens: int = -1
    cache_write_1h: Decimal | None = None

    def matches(self, provider: str, model: str, usage: TokenUsage, tier: str = "") -> bool:
        """Whether the price is for this call; a trailing `*` stands for any ending."""
        if self.provider is not None and self.provider != provider:
            return False
        if self.service_tier is not None and self.service_tier != tier:
            return False
        if usage.input <= self.above_input_tokens:
            return False
        if self.model.endswith("*"):
            return model.startswith(self.model[:-1])
        return model == self.model

    def cost_usd(self, usage: TokenUsage) -> Decimal:
        """The price of the tokens, each kind as what it is and no token twice."""
        cached = usage.cache_read + usage.cache_write
        if not cached and not usage.reasoning:
            return (usage.input * self.input + usage.output * self.output) / _MILLION
        read = self.input if self.cache_read is None else self.cache_read
        write = self.input if self.cache_write is None else self.cache_write
        write_1h = write if self.cache_write_1h is None else self.cache_write_1h
        thought = self.output if self.reasoning is None else self.reasoning
        return (
            max(usage.input - cached, 0) * self.input
            + usage.cache_read * read
            + (usage.cache_write - usage.cache_write_1h) * write
            + usage.cache_write_1h * write_1h
            + max(usage.output - usage.reasoning, 0) * self.output
            + usage.reasoning * thought
        ) / _MILLION


@dataclass(frozen=True)
class PriceFile:
    """The prices of a file and the version they carry."""

    name: str
    version: str
    effective_date: str | None
    prices: tuple[ModelPrice, ...]


class PriceFileError(ValueError):
    """A price file that can't be used; `problems` lists everything that is wrong with it."""

    def __init__(self, path: Path, problems: list[str]) -> None:
        self.path = path
        self.problems = tuple(problems)
        listed = "".join(f"\n  - {problem}" for problem in problems)
        super().__init__(
            f"MIDWATCH_PRICES_FILE={path} is left out; correct the file and restart:{listed}"
        )


def read_price_file(path: Path) -> PriceFile:
    """Read and check a price file, JSON or YAML.

    The file is a mapping with `prices`, a list of mappings with `model` (a trailing `*` stands for
    any ending), `provider` (any if left out), and US dollars for a million tokens:
    `input_per_million`, `output_per_million` and, where they differ, `cache_read_per_million`,
    `cache_write_per_million`, `cache_write_1h_per_million` (kept for an hour),
    `reasoning_per_million`. An entry with `service_tier` (such as
    `batch`) is for calls of that tier only, one with `above_input_tokens` for longer prompts only.
    Optional are `version` (else a digest of the content) and `effective_date` (`YYYY-MM-DD`). The
    first entry that matches a call wins.

    Raises:
        PriceFileError: the file can't be read or is wrong; it names every problem.
    """
    problems: list[str] = []
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise PriceFileError(path, [f"can't be read ({reason}); name a readable file"]) from error
    document = _parse(path, content)
    if not isinstance(document, dict):
        raise PriceFileError(path, ["must be a mapping with the key 'prices'"])
    _report_unknown(document, _FILE_KEYS, "the file", problems)
    prices = _prices(document.get("prices"), problems)
    effective = _effective_date(document.get("effective_date"), problems)
    if problems:
        raise PriceFileError(path, problems)
    version = document.get("version")
    digest = "sha256:" + hashlib.sha256(content).hexdigest()[:12]
    return PriceFile(path.name, digest if version is None else str(version), effective, prices)


def _parse(path: Path, content: bytes) -> object:
    if path.suffix.lower() not in (".yaml", ".yml"):
        try:
            document: object = json.loads(content, parse_float=Decimal)
        except ValueError as error:
            raise PriceFileError(
                path, [f"is not JSON ({error}); a YAML file must be named *.yaml or *.yml"]
            ) from error
        return document
    try:
        # Only users who write YAML need the parser; the shim does not depend on it.
        import yaml
    except ImportError as error:
        raise PriceFileError(
            path, ["is YAML, which needs the package PyYAML; install it or write JSON"]
        ) from error
    try:
        return yaml.safe_load(content)
    except yaml.YAMLError as error:
        raise PriceFileError(path, [f"is not YAML ({error})"]) from error


def _prices(entries: object, problems: list[str]) -> tuple[ModelPrice, ...]:
    if not isinstance(entries, list) or not entries:
        problems.append("'prices' must be a list with at least one entry")
        return ()
    found = (_price(f"prices[{index}]", entry, problems) for index, entry in enumerate(entries))
    return tuple(price for price in found if price is not None)


def _price(where: str, entry: object, problems: list[str]) -> ModelPrice | None:
    if not isinstance(entry, dict):
        problems.append(f"{where} must be a mapping, got {entry!r}")
        return None
    before = len(problems)
    _report_unknown(entry, _ENTRY_KEYS, where, problems)
    problems.extend(f"{where} lacks '{key}'" for key in _REQUIRED if key not in entry)
    for key in ("model", "provider", "service_tier"):
        if key in entry and (not isinstance(entry[key], str) or not entry[key].strip()):
            problems.append(f"{where}.{key} must be a name, got {entry[key]!r}")
    amounts = {
        field: _amount(f"{where}.{key}", entry[key], problems)
        for key, field in _PRICE_KEYS.items()
        if key in entry
    }
    above = entry.get("above_input_tokens", -1)
    if "above_input_tokens" in entry and (type(above) is not int or above < 0):
        problems.append(f"{where}.above_input_tokens must be a number of tokens, got {above!r}")
    if len(problems) > before:
        return None
    return ModelPrice(
        model=entry["model"],
        provider=entry.get("provider"),
        input=amounts["input"],
        output=amounts["output"],
        cache_read=amounts.get("cache_read"),
        cache_write=amounts.get("cache_write"),
        reasoning=amounts.get("reasoning"),
        service_tier=entry.get("service_tier"),
        above_input_tokens=above,
        cache_write_1h=amounts.get("cache_write_1h"),
    )


def _amount(where: str, value: object, problems: list[str]) -> Decimal:
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
            raise InvalidOperation
        amount = Decimal(str(value))
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        problems.append(f"{where} must be US dollars, zero or more, got {value!r}")
    return amount


def _effective_date(value: object, problems: list[str]) -> str | None:
    if value is None:
        return None
    try:
        return dt.date.fromisoformat(str(value)).isoformat()
    except ValueError:
        problems.append(f"effective_date must be written YYYY-MM-DD, got {value!r}")
        return None


def _report_unknown(
    mapping: Mapping[object, object], known: tuple[str, ...], where: str, problems: list[str]
) -> None:
    for key in mapping:
        if key not in known:
            problems.append(f"{where} has an unknown key {key!r}; known are {', '.join(known)}")
