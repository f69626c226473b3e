"""What tokens cost, by the published table and by a price file."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from midwatch.instruments.price_file import ModelPrice, PriceFileError, read_price_file
from midwatch.instruments.prices import PriceTable
from midwatch.instruments.tokens import TokenUsage

MILLION = 1_000_000


def written(tmp_path: Path, document: object, name: str = "prices.json") -> Path:
    path = tmp_path / name
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def entry(**more: Any) -> dict[str, Any]:
    return {"model": "house", "input_per_million": 1, "output_per_million": 4, **more}


def test_the_published_table_prices_input_and_output() -> None:
    cost = PriceTable().cost("openai", "gpt-4o-mini", TokenUsage(MILLION, MILLION))
    assert cost is not None
    assert cost.usd == Decimal("0.75")
    assert cost.table == "genai-prices"


def test_cached_input_is_cheaper_than_input() -> None:
    cost = PriceTable().cost("openai", "gpt-4o-mini", TokenUsage(MILLION, 0, cache_read=MILLION))
    assert cost is not None
    assert cost.usd == Decimal("0.075")


def test_input_written_to_a_cache_is_dearer_than_input() -> None:
    table = PriceTable()
    plain = table.cost("anthropic", "claude-sonnet-4-5", TokenUsage(1000))
    written_once = table.cost("anthropic", "claude-sonnet-4-5", TokenUsage(1000, cache_write=1000))
    assert plain is not None
    assert written_once is not None
    assert written_once.usd > plain.usd


def test_what_a_cache_keeps_for_an_hour_is_dearer_than_what_it_keeps_for_minutes() -> None:
    def cost(model: str, usage: TokenUsage) -> Decimal:
        found = PriceTable().cost("anthropic", model, usage)
        assert found is not None
        return found.usd

    minutes, hour = (
        TokenUsage(MILLION, 0, cache_write=MILLION),
        TokenUsage(MILLION, 0, cache_write=MILLION, cache_write_1h=MILLION // 2),
    )
    # Of prices by tiers of length, and of plain ones.
    assert cost("claude-sonnet-4-5", hour) > cost("claude-sonnet-4-5", minutes)
    assert cost("claude-haiku-4-5", minutes) == Decimal("1.25")
    assert cost("claude-haiku-4-5", hour) == (Decimal("1.25") + Decimal(2)) / 2


def test_a_price_file_may_tell_what_an_hour_in_a_cache_costs(tmp_path: Path) -> None:
    usage = TokenUsage(3 * MILLION, 0, cache_write=2 * MILLION, cache_write_1h=MILLION)
    for more, expected in (({}, 1 + 5 + 5), ({"cache_write_1h_per_million": 8}, 1 + 5 + 8)):
        house = entry(cache_write_per_million=5, **more)
        table = PriceTable(read_price_file(written(tmp_path, {"prices": [house]})))
        cost = table.cost("any", "house", usage)
        assert cost is not None
        assert cost.usd == expected


def test_reasoning_is_paid_as_output_and_not_twice() -> None:
    table = PriceTable()
    with_reasoning = table.cost("openai", "gpt-4o-mini", TokenUsage(0, 1000, reasoning=800))
    without = table.cost("openai", "gpt-4o-mini", TokenUsage(0, 1000))
    assert with_reasoning == without


def test_the_conventions_names_of_providers_are_known_to_the_table() -> None:
    assert PriceTable().cost("azure.ai.openai", "gpt-4o-mini", TokenUsage(10)) is not None
    assert PriceTable().cost("aws.bedrock", "amazon.nova-lite-v1:0", TokenUsage(10)) is not None


@pytest.mark.parametrize(
    ("provider", "model"), [("openai", "no-such-model"), ("no-such-provider", "gpt-4o-mini")]
)
def test_what_no_table_knows_has_no_price(provider: str, model: str) -> None:
    table = PriceTable()
    assert table.cost(provider, model, TokenUsage(10, 10)) is None
    assert table.cost(provider, model, TokenUsage(10, 10)) is None


def test_a_price_that_changed_says_since_when_it_holds() -> None:
    table = PriceTable(clock=lambda: datetime(2026, 11, 21, tzinfo=UTC))
    dated = table.cost("openai", "o3", TokenUsage(1000, 1000))
    assert dated is not None
    assert dated.effective_date == "2025-06-10"


def test_a_price_file_wins_over_the_published_table(tmp_path: Path) -> None:
    path = written(tmp_path, {"version": "v2", "prices": [entry(model="gpt-4o-mini")]})
    cost = PriceTable.from_file(path).cost("openai", "gpt-4o-mini", TokenUsage(MILLION, MILLION))
    assert cost is not None
    assert (cost.usd, cost.table, cost.version) == (Decimal(5), "prices.json", "v2")


def test_a_price_file_may_be_yaml(tmp_path: Path) -> None:
    text = """
    effective_date: 2026-11-01
    prices:
      - model: house
        input_per_million: 0.15
        output_per_million: "0.60"
    """
    found = read_price_file(written(tmp_path, text, "prices.yaml"))
    assert found.effective_date == "2026-11-01"
    assert found.prices[0].input == Decimal("0.15")
    assert found.version.startswith("sha256:")


def test_a_price_for_one_provider_is_not_one_for_another(tmp_path: Path) -> None:
    path = written(tmp_path, {"prices": [entry(provider="openai")]})
    table = PriceTable.from_file(path)
    assert table.cost("openai", "house", TokenUsage(10)) is not None
    assert table.cost("anthropic", "house", TokenUsage(10)) is None


def test_every_problem_of_a_price_file_is_told_at_once(tmp_path: Path) -> None:
    document = {
        "currency": "EUR",
        "effective_date": "yesterday",
        "prices": [
            {"model": "", "input_per_million": -1, "output_per_million": True},
            {"model": "x", "input_per_million": "cheap", "outputs": 3},
            "gpt-4o",
        ],
    }
    with pytest.raises(PriceFileError) as caught:
        read_price_file(written(tmp_path, document))
    told = "\n".join(caught.value.problems)
    for part in (
        "unknown key 'currency'; known are version, effective_date, prices",
        "effective_date must be written YYYY-MM-DD, got 'yesterday'",
        "prices[0].model must be a name, got ''",
        "prices[0].input_per_million must be US dollars, zero or more, got -1",
        "prices[0].output_per_million must be US dollars, zero or more, got True",
        "prices[1] lacks 'output_per_million'",
        "prices[1] has an unknown key 'outputs'",
        "prices[1].input_per_million must be US dollars, zero or more, got 'cheap'",
        "prices[2] must be a mapping, got 'gpt-4o'",
    ):
        assert part in told


@pytest.mark.parametrize(
    ("text", "name", "told"),
    [
        ("{", "prices.json", "is not JSON"),
        ("a: [", "prices.yaml", "is not YAML"),
        ("[]", "prices.json", "must be a mapping with the key 'prices'"),
        ('{"prices": []}', "prices.json", "'prices' must be a list with at least one entry"),
    ],
)
def test_a_file_that_is_none_is_told_so(tmp_path: Path, text: str, name: str, told: str) -> None:
    with pytest.raises(PriceFileError, match="MIDWATCH_PRICES_FILE") as caught:
        read_price_file(written(tmp_path, text, name))
    assert told in str(caught.value)


def test_a_file_that_is_missing_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(PriceFileError, match="No such file"):
        read_price_file(tmp_path / "none.json")


def test_a_wrong_price_file_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = PriceTable.from_file(written(tmp_path, "{"))
    assert "is not JSON" in caplog.text
    assert table.cost("openai", "gpt-4o-mini", TokenUsage(10)) is not None


amounts = st.decimals(min_value=0, max_value=1000, places=4)
counts = st.integers(min_value=0, max_value=10**9)


@given(price_in=amounts, price_out=amounts, read=amounts, counted=st.tuples(*[counts] * 5))
def test_the_kinds_of_tokens_are_priced_apart_and_none_twice(
    price_in: Decimal, price_out: Decimal, read: Decimal, counted: tuple[int, ...]
) -> None:
    fresh, cached, stored, said, thought = counted
    price = ModelPrice("m", None, price_in, price_out, cache_read=read)
    usage = TokenUsage(fresh + cached + stored, said + thought, cached, stored, thought)
    expected = (fresh + stored) * price_in + cached * read + (said + thought) * price_out
    assert price.cost_usd(usage) == expected / MILLION


@given(usage=st.builds(TokenUsage, counts, counts, counts, counts, counts))
def test_a_price_is_never_negative_however_odd_the_counts(usage: TokenUsage) -> None:
    price = ModelPrice("m", None, Decimal(1), Decimal(2))
    assert price.cost_usd(usage) >= 0
