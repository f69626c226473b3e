"""Price tables: imported by file and over the API, priced by the shim's rules, in force by date."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from midwatch.instruments.price_file import ModelPrice
from midwatch.instruments.price_file import read_price_file as read_as_the_shim_does
from midwatch.instruments.tokens import TokenUsage
from midwatch_ledger.commands import application
from midwatch_ledger.models import AuditEntry, PriceTable
from midwatch_ledger.models.types import SMALLEST_AMOUNT
from midwatch_ledger.services.price_documents import (
    PriceDocument,
    PriceDocumentError,
    read_price_file,
)
from midwatch_ledger.services.pricing import TableVersion
from typer.testing import CliRunner

HOUSE = {
    "version": "2026-11",
    "effective_date": "2026-11-01",
    "prices": [
        {
            "model": "house-*",
            "service_tier": "batch",
            "input_per_million": 0.5,
            "output_per_million": 2,
        },
        {"model": "house-*", "input_per_million": "0.1", "output_per_million": 4},
    ],
}
counts = st.integers(0, 10_000_000)
amounts = st.decimals(0, 1_000, places=6)


@pytest.fixture
def command(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the command line on a database of its own."""
    monkeypatch.setenv("MIDWATCH_LEDGER_DATABASE_URL", sqlite_url)
    runner = CliRunner()
    assert runner.invoke(application, ["migrate"]).exit_code == 0
    return lambda *arguments: runner.invoke(application, list(map(str, arguments)))


def version_of(**price: Any) -> TableVersion:
    document = PriceDocument.model_validate({"prices": [price]})
    return TableVersion("house", "1", None, tuple(document.prices))


@settings(max_examples=60, deadline=None)
@given(
    tokens=st.tuples(counts, counts, counts, counts, counts),
    prices=st.tuples(amounts, amounts),
    special=st.tuples(*[st.none() | amounts] * 4),
    for_an_hour=st.integers(0, 100),
    above=st.none() | counts,
)
def test_a_call_costs_here_what_the_shim_says_it_costs(
    tokens: Any, prices: Any, special: Any, for_an_hour: int, above: Any
) -> None:
    into, out, read, written, thought = tokens
    usage = TokenUsage(into, out, read, written, thought, written * for_an_hour // 100)
    rates: dict[str, Any] = dict(
        zip(("cache_read", "cache_write", "cache_write_1h", "reasoning"), special, strict=True)
    )
    shim = ModelPrice(
        model="m-*",
        provider=None,
        input=prices[0],
        output=prices[1],
        above_input_tokens=-1 if above is None else above,
        **rates,
    )
    table = version_of(
        model="m-*",
        input_per_million=prices[0],
        output_per_million=prices[1],
        **{f"{name}_per_million": amount for name, amount in rates.items()},
        above_input_tokens=above,
    )
    cost = table.cost(
        {
            "provider": "openai",
            "model": "m-1",
            "service_tier": None,
            "input_tokens": usage.input,
            "output_tokens": usage.output,
            "cache_read_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write,
            "cache_write_1h_tokens": usage.cache_write_1h,
            "reasoning_tokens": usage.reasoning,
        }
    )

    assert (cost is not None) == shim.matches("openai", "m-1", usage)
    if cost is not None:
        assert cost.total == shim.cost_usd(usage).quantize(SMALLEST_AMOUNT)
        assert cost.input + cost.output == cost.total
        assert min(cost.input, cost.output) >= 0


@pytest.mark.parametrize("name", ["house.json", "house.yaml"])
def test_a_file_is_read_as_the_shim_reads_it(tmp_path: Path, name: str) -> None:
    said = {name: value for name, value in HOUSE.items() if name != "version"}
    file = tmp_path / name
    file.write_text(json.dumps(said) if name.endswith("json") else yaml.safe_dump(said))

    ours, shims = read_price_file(file), read_as_the_shim_does(file)

    assert (ours.version, str(ours.effective_date)) == (shims.version, shims.effective_date)
    assert [price.input_per_million for price in ours.prices] == [
        price.input for price in shims.prices
    ]


def test_a_file_is_refused_with_everything_that_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "prices.json"
    wrong = {"prices": [{"model": " ", "input_per_million": -1, "colour": "red"}], "since": 1}
    file.write_text(json.dumps(wrong))

    with pytest.raises(PriceDocumentError) as refused:
        read_price_file(file)

    told = "\n".join(refused.value.problems)
    for name in ("model", "input_per_million", "output_per_million", "colour", "since"):
        assert name in told


def test_a_table_comes_back_exactly_and_its_import_is_in_the_audit_log(ledger: Any) -> None:
    made = ledger.client.post("/prices/house", json=HOUSE)
    found = ledger.client.get("/prices/house/versions/2026-11").raise_for_status().json()

    assert made.status_code == 201
    assert found == made.json()
    assert found["effective_date"] == "2026-11-01"
    assert Decimal(found["prices"][1]["input_per_million"]) == Decimal("0.1")
    (entry,) = ledger.rows(AuditEntry)
    assert (entry["action"], entry["changed"]) == ("POST /prices/{name}", {"price_tables": 1})
    assert [row["version"] for row in ledger.client.get("/prices").json()["items"]] == ["2026-11"]


def test_a_version_never_changes(ledger: Any) -> None:
    ledger.client.post("/prices/house", json=HOUSE).raise_for_status()
    again = ledger.client.post("/prices/house", json={**HOUSE, "prices": HOUSE["prices"]})
    dearer = {**HOUSE, "prices": [{**HOUSE["prices"][1], "output_per_million": 5}]}  # type: ignore[dict-item]
    other = ledger.client.post("/prices/house", json=dearer)

    assert again.status_code == 200
    assert other.status_code == 409
    assert "another version" in other.json()["detail"]
    assert len(ledger.rows(PriceTable)) == 1


def test_a_table_without_a_version_is_known_by_its_prices(ledger: Any) -> None:
    unnamed = {"prices": HOUSE["prices"]}
    versions = {
        ledger.client.post("/prices/house", json=unnamed).raise_for_status().json()["version"]
        for _ in range(2)
    }

    (version,) = versions
    assert version.startswith("sha256:")
    assert ledger.client.get(f"/prices/house/versions/{version}").status_code == 200


def test_the_command_imports_a_file_once_and_lists_it(command: Any, tmp_path: Path) -> None:
    file = tmp_path / "house.json"
    file.write_text(json.dumps(HOUSE))

    first, again = command("prices", "import", file), command("prices", "import", file)
    listed = command("prices", "list")

    assert "house.json 2026-11: 2 prices from 2026-11-01, imported" in first.output
    assert "there already" in again.output
    assert listed.output.splitlines()[1].split()[:3] == ["house.json", "2026-11", "2026-11-01"]


def test_the_command_tells_what_is_wrong_with_a_file(command: Any, tmp_path: Path) -> None:
    file = tmp_path / "house.json"
    file.write_text("{")
    unreadable = command("prices", "import", tmp_path / "missing.json")
    broken = command("prices", "import", file)

    assert (unreadable.exit_code, broken.exit_code) == (1, 1)
    assert "name a readable file" in unreadable.output
    assert "is not JSON" in broken.output
