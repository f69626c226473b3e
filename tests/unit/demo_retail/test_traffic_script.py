from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from traffic.script import Arrival, Conversation, Kind, Script
from traffic.settings import PROFILES, Mix, MixChange, Profile

NORMAL = PROFILES[Profile.NORMAL]


def arrivals(seed: int, count: int, mix: Mix = NORMAL, storm: bool = False) -> list[Arrival]:
    script = Script(seed)
    return [script.next(mix, lambda _: storm) for _ in range(count)]


@given(st.integers(0, 2**31), st.integers(1, 60))
@settings(max_examples=25, deadline=None)
def test_the_same_seed_plays_the_same_arrivals(seed: int, count: int) -> None:
    assert arrivals(seed, count) == arrivals(seed, count)


def test_every_conversation_has_a_session_of_its_own() -> None:
    played = [a for a in arrivals(1, 500) if isinstance(a, Conversation)]
    assert len({conversation.session_id for conversation in played}) == len(played)


def test_there_are_conversations_of_one_and_of_several_turns() -> None:
    lengths = Counter(len(a.turns) for a in arrivals(1, 500) if isinstance(a, Conversation))
    assert lengths[1] > 50
    assert sum(count for length, count in lengths.items() if length > 1) > 50


def test_a_change_of_the_protection_mode_is_followed_by_a_word_on_it() -> None:
    changes = [
        a for a in arrivals(1, 500) if isinstance(a, Conversation) and a.kind is Kind.PROTECTION
    ]
    words = [conversation.turns[1].confirm for conversation in changes]
    assert set(words) == {True, False}
    assert words.count(True) > words.count(False)


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_the_shares_of_the_mix_are_kept(guardrail: float, simulation: float, seed: int) -> None:
    mix = NORMAL.model_copy(
        update={"guardrail_ratio": guardrail, "simulation_ratio": simulation, "off_topic_ratio": 0}
    )
    kinds = Counter(arrival.kind for arrival in arrivals(seed, 1000, mix))
    simulated = kinds[Kind.SIMULATION_DAYS] + kinds[Kind.SIMULATION_EVENT]
    assert simulated / 1000 == pytest.approx(simulation, abs=0.08)
    assert kinds[Kind.INJECTION] / 1000 == pytest.approx(guardrail * (1 - simulation), abs=0.08)


def test_a_storm_turns_arrivals_into_injections_and_leaves_the_others_as_they_were() -> None:
    calm, script = arrivals(4, 200), Script(4)
    stormy = [script.next(NORMAL, lambda random: random.random() < 0.5) for _ in range(200)]
    changed = [b for a, b in zip(calm, stormy, strict=True) if a != b]
    assert 60 < len(changed) < 140
    assert {arrival.kind for arrival in changed} == {Kind.INJECTION}


def test_a_profile_comes_first_and_single_values_after_it() -> None:
    mix = MixChange(profile=Profile.STORM, rate=7).applied_to(NORMAL)
    assert mix == PROFILES[Profile.STORM].model_copy(update={"rate": 7})


def test_all_values_that_are_out_of_range_are_named_at_once() -> None:
    with pytest.raises(ValidationError) as refused:
        MixChange(rate=0, guardrail_ratio=2, max_concurrency=0).applied_to(NORMAL)
    named = {entry["loc"][0] for entry in refused.value.errors()}
    assert named == {"rate", "guardrail_ratio", "max_concurrency"}
