"""Experiments: the same session gets the same variant, everywhere and for ever, by weight."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from midwatch import prompts
from midwatch.instruments.turns import turn
from midwatch.prompts.labels import Assignment, Variant, assignment

SESSIONS = [f"session-{number}" for number in range(4000)]


def experiment(name: str = "tone", **weights: float) -> Assignment:
    variants = {
        variant: {"version": str(number), "weight": weight}
        for number, (variant, weight) in enumerate(weights.items(), 1)
    }
    found, problems = assignment(
        "greeting", "production", {"experiment": name, "variants": variants}
    )
    assert problems == []
    assert found is not None
    return found


# These are what every process, machine and version of Midwatch must choose.
CHOSEN = {"ada": "a", "grace": "a", "s-3": "a", "s-4": "b", "": "a", "é\ud800": "b"}


@pytest.mark.parametrize("session", CHOSEN)
def test_the_choice_never_changes(session):
    assert experiment(a=2, b=1).choose(session).name == CHOSEN[session]


def test_another_process_chooses_the_same(tmp_path):
    program = (
        "import sys\n"
        "from midwatch.prompts.labels import Assignment, Variant\n"
        "one = Assignment('tone', (Variant('a', '1', 1), Variant('b', '2', 1)))\n"
        "print(''.join(one.choose(f's-{number}').name for number in range(200)))\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.strip()
    here = Assignment("tone", (Variant("a", "1", 1), Variant("b", "2", 1)))
    assert shown == "".join(here.choose(f"s-{number}").name for number in range(200))
    assert set(shown) == {"a", "b"}


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 20), min_size=2, max_size=5), st.text(min_size=1, max_size=5))
def test_sessions_are_divided_by_weight(weights, name):
    one = experiment(name, **{f"v{number}": weight for number, weight in enumerate(weights)})
    counts = Counter(one.choose(session).name for session in SESSIONS)
    for number, weight in enumerate(weights):
        share = weight / sum(weights)
        spread = (share * (1 - share) / len(SESSIONS)) ** 0.5
        # Five standard deviations: by chance once in two million.
        assert abs(counts[f"v{number}"] / len(SESSIONS) - share) < 5 * spread


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 20))
def test_a_higher_weight_takes_sessions_and_moves_no_others(first, second, more):
    before, after = experiment(a=first, b=second), experiment(a=first, b=second + more)
    for session in SESSIONS[:500]:
        chosen = before.choose(session).name
        assert after.choose(session).name in (chosen, "b")


def test_a_new_variant_takes_sessions_and_moves_no_others():
    before, after = experiment(a=1, b=1), experiment(a=1, b=1, c=1)
    for session in SESSIONS[:500]:
        assert after.choose(session).name in (before.choose(session).name, "c")


def test_the_order_of_the_variants_does_not_matter():
    one, other = experiment(a=1, b=3), experiment(b=3, a=1)
    assert [one.choose(session).name for session in SESSIONS[:200]] == [
        other.choose(session).name for session in SESSIONS[:200]
    ]


def test_two_experiments_divide_sessions_independently():
    one, other = experiment("tone", a=1, b=1), experiment("length", a=1, b=1)
    both = sum(one.choose(s).name == other.choose(s).name for s in SESSIONS) / len(SESSIONS)
    assert abs(both - 0.5) < 0.04


def test_a_variant_of_no_weight_gets_no_session():
    assert {experiment(a=0, b=1).choose(session).name for session in SESSIONS[:300]} == {"b"}


def test_without_a_session_the_heaviest_variant_is_chosen():
    assert experiment(a=1, b=5, c=2).choose("").name == "b"


@pytest.fixture
def greeting(folder, monkeypatch):
    for version in ("1", "2"):
        folder.write(f"greeting/{version}.md", "Hello.")
    folder.write(
        "labels.yaml",
        """
        greeting:
          production:
            variants:
              short: {version: 1, weight: 50}
              long: {version: 2, weight: 50}
        """,
    )
    monkeypatch.setenv("MIDWATCH_PROMPTS_DIR", str(folder.path))
    monkeypatch.setattr(prompts, "_library", None)


@pytest.mark.usefixtures("greeting")
def test_the_session_is_that_of_the_turn_unless_it_is_given():
    by_hand = {name: prompts.get("greeting", session_id=name).variant for name in SESSIONS[:40]}
    assert set(by_hand.values()) == {"short", "long"}
    for name, variant in by_hand.items():
        with turn(session_id=name):
            found = prompts.get("greeting")
        assert found.variant == variant
        assert found.version == {"short": "1", "long": "2"}[variant]
        assert found.label == "production"


@pytest.mark.usefixtures("greeting")
def test_a_turn_without_a_session_keeps_to_one_variant():
    seen = set()
    for _ in range(30):
        with turn():
            chosen = {prompts.get("greeting").variant for _ in range(5)}
        assert len(chosen) == 1
        seen |= chosen
    assert seen == {"short", "long"}
