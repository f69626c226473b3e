"""Cost: each kind of token, each tier of service, each provider's way to name a model."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from midwatch.instruments.price_file import (
    ModelPrice,
    PriceFile,
    PriceFileError,
    read_price_file,
)
from midwatch.instruments.prices import PriceTable
from midwatch.instruments.tokens import TokenUsage

MILLION = 1_000_000
NOW = datetime(2026, 11, 21, tzinfo=UTC)


def table() -> PriceTable:
    return PriceTable(clock=lambda: NOW)


def price(provider: str, model: str, usage: TokenUsage, tier: str = "") -> Decimal:
    cost = table().cost(provider, model, usage, tier)
    assert cost is not None, (provider, model, tier)
    return cost.usd


def file_of(tmp_path: Path, *entries: dict[str, Any]) -> Path:
    path = tmp_path / "prices.json"
    path.write_text(json.dumps({"version": "v1", "prices": list(entries)}))
    return path


def entry(**more: Any) -> dict[str, Any]:
    return {"model": "house", "input_per_million": 1, "output_per_million": 4, **more}


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-4o-mini"),
        ("openai", "gpt-4o-mini-2024-07-18"),
        ("openai", "openai/gpt-4o-mini"),
        ("openai", "ft:gpt-4o-mini-2024-07-18:acme::abc"),
        ("azure.ai.openai", "gpt-4o-mini-2024-07-18"),
        ("azure.ai.inference", "gpt-4o-mini"),
        ("anthropic", "claude-sonnet-5-5-20260929"),
        ("gcp.vertex_ai", "claude-sonnet-4-5@20250929"),
        ("gcp.vertex_ai", "publishers/google/models/gemini-2.5-pro"),
        ("gcp.vertex_ai", "projects/p/locations/l/publishers/google/models/gemini-2.5-pro"),
        ("gcp.gemini", "models/gemini-3.5-flash"),
        ("gcp.gen_ai", "gemini-3.5-flash"),
        ("aws.bedrock", "amazon.nova-lite-v1:0"),
        ("aws.bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        (
            "aws.bedrock",
            "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        ),
        ("mistral_ai", "mistral-large-latest"),
        ("cohere", "command-r-plus"),
        ("groq", "llama-3.3-70b-versatile"),
        ("x_ai", "grok-4"),
        ("deepseek", "deepseek-chat"),
    ],
)
def test_models_are_known_by_the_names_that_their_providers_and_clients_use(
    provider: str, model: str
) -> None:
    assert price(provider, model, TokenUsage(MILLION, MILLION)) > 0


def test_a_fine_tuned_model_costs_what_fine_tuned_models_cost() -> None:
    usage = TokenUsage(MILLION, MILLION)
    tuned = price("openai", "ft:gpt-4o-mini-2024-07-18:acme::abc", usage)
    assert tuned == 2 * price("openai", "gpt-4o-mini", usage)


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-4o-mini-of-the-house"),
        ("openai", "gpt-4o-mini-2099-01-01"),
        ("azure.ai.openai", "my-deployment"),
        ("openai", "models/gpt-4o-mini"),
        ("anthropic", "openai/gpt-4o-mini"),
        ("unknown", "gpt-4o-mini"),
        ("openai", ""),
    ],
)
def test_a_name_that_only_resembles_a_model_has_no_price(provider: str, model: str) -> None:
    assert table().cost(provider, model, TokenUsage(10, 10)) is None


def test_a_long_prompt_costs_what_long_prompts_cost() -> None:
    short = price("gcp.gemini", "gemini-2.5-pro", TokenUsage(100_000, 1000))
    long = price("gcp.gemini", "gemini-2.5-pro", TokenUsage(300_000, 1000))
    assert long > 3 * short


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_batch_is_half_the_price(provider: str) -> None:
    model = {"openai": "gpt-4o-mini", "anthropic": "claude-sonnet-4-5"}[provider]
    usage = TokenUsage(1000, 1000)
    assert 2 * price(provider, model, usage, "batch") == price(provider, model, usage)


def test_tiers_of_service_have_their_own_prices_and_dates() -> None:
    usage = TokenUsage(MILLION, MILLION)
    flex = table().cost("openai", "gpt-5", usage, "flex")
    assert flex is not None
    assert flex.usd < price("openai", "gpt-5", usage) < price("openai", "gpt-5", usage, "priority")
    assert flex.effective_date == "2026-10-12"


@pytest.mark.parametrize("tier", ["", "auto", "default", "standard"])
def test_the_standard_tier_by_any_name_is_the_price(tier: str) -> None:
    usage = TokenUsage(1000, 1000)
    assert price("openai", "gpt-4o-mini", usage, tier) == price("openai", "gpt-4o-mini", usage)


def test_a_tier_without_a_price_is_not_guessed_from_another() -> None:
    assert table().cost("openai", "gpt-4o-mini", TokenUsage(10, 10), "scale") is None
    assert table().cost("cohere", "command-r-plus", TokenUsage(10, 10), "batch") is None


def test_an_entry_of_the_price_file_may_be_for_one_tier_or_for_long_prompts(
    tmp_path: Path,
) -> None:
    path = file_of(
        tmp_path,
        entry(service_tier="batch", input_per_million=0.5),
        entry(above_input_tokens=1000, input_per_million=2),
        entry(),
    )
    prices = PriceTable.from_file(path)

    def cost(tokens: int, tier: str = "") -> Decimal:
        found = prices.cost("any", "house", TokenUsage(tokens), tier)
        assert found is not None
        return found.usd * MILLION / tokens

    assert (cost(1000), cost(1001), cost(1000, "batch")) == (
        Decimal(1),
        Decimal(2),
        Decimal("0.5"),
    )


def test_wrong_values_of_these_are_told(tmp_path: Path) -> None:
    path = file_of(tmp_path, entry(service_tier=""), entry(above_input_tokens=True))
    with pytest.raises(PriceFileError) as caught:
        read_price_file(path)
    assert caught.value.problems == (
        "prices[0].service_tier must be a name, got ''",
        "prices[1].above_input_tokens must be a number of tokens, got True",
    )


counts = st.integers(min_value=0, max_value=10**7)
models = st.sampled_from(
    [
        ("openai", "gpt-4o-mini"),
        ("openai", "gpt-5"),
        ("anthropic", "claude-sonnet-5-5"),
        ("anthropic", "claude-sonnet-4-5"),
        ("gcp.gemini", "gemini-2.5-pro"),
        ("gcp.gemini", "gemini-3.5-flash"),
        ("aws.bedrock", "amazon.nova-lite-v1:0"),
    ]
)


@given(named=models, fresh=counts, read=counts, said=counts, more=counts)
def test_more_tokens_never_cost_less(
    named: tuple[str, str], fresh: int, read: int, said: int, more: int
) -> None:
    before = price(*named, TokenUsage(fresh + read, said, read))
    assert price(*named, TokenUsage(fresh + more + read, said, read)) >= before
    assert price(*named, TokenUsage(fresh + read, said + more, read)) >= before


@given(named=models, fresh=counts, read=counts, said=counts)
def test_to_read_from_the_cache_never_costs_more_than_to_read_anew(
    named: tuple[str, str], fresh: int, read: int, said: int
) -> None:
    cached = price(*named, TokenUsage(fresh + read, said, read))
    assert cached <= price(*named, TokenUsage(fresh + read, said))


small = st.integers(min_value=0, max_value=1000)


@given(named=models, calls=st.lists(st.tuples(small, small), min_size=1, max_size=8))
def test_calls_below_the_long_prompt_add_up_to_the_cent(
    named: tuple[str, str], calls: list[tuple[int, int]]
) -> None:
    apart = sum(price(*named, TokenUsage(into, out)) for into, out in calls)
    together = TokenUsage(sum(into for into, _ in calls), sum(out for _, out in calls))
    assert apart == price(*named, together)


@given(named=models, into=counts, out=counts)
def test_the_price_file_always_wins(named: tuple[str, str], into: int, out: int) -> None:
    provider, model = named
    mine = ModelPrice(f"{model}*", provider, Decimal(7), Decimal(9))
    cost = PriceTable(PriceFile("mine", "v1", "2026-01-01", (mine,))).cost(
        provider, model, TokenUsage(into, out)
    )
    assert cost is not None
    assert cost.usd == Decimal(7 * into + 9 * out) / MILLION
    assert (cost.table, cost.version, cost.effective_date) == ("mine", "v1", "2026-01-01")
