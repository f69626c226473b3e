"""Redaction takes linear time whatever it is given, and a growing history is searched once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from time import process_time

import pytest
from midwatch.pipeline import redaction
from midwatch.pipeline.redaction import Redactor, find
from midwatch.pipeline.redaction_kinds import KINDS

PIECES = {
    "letters": "a",
    "digits": "1",
    "spaced digits": "4 ",
    "dotted digits": "1.",
    "dashes": "-",
    "at": "@",
    "local parts": "a@",
    "near addresses": "alice@example ",
    "percent": "%40",
    "schemes": "://",
    "near credentials": "http://a:",
    "near tokens": "eyJ",
    "near jwts": "eyJaaaaaaa.",
    "near keys": "sk-",
    "near key blocks": "-----BEGIN PRIVATE KEY-----",
    "passwords": "password=",
    "quotes": 'token:"',
    "assigned": "secret:::",
    "bearers": "bearer ",
    "basics": "basic a",
    "plus": "+1",
    "brackets": "(555) ",
    "near ibans": "DE89 3704 ",
    "near cards": "4111-1111-",
    "backslashes": "\\",
    "escapes": "\\n\\u0041",
    "capitals that grow": "\u0130token",
    "spaces": " ",
    "lines": "\n",
    "hooks": "hooks.slack.com/",
}


def seconds(text: str, patterns: Sequence[re.Pattern[str]] = ()) -> float:
    best = float("inf")
    for _ in range(3):
        began = process_time()
        Redactor(patterns).redact(text)
        best = min(best, process_time() - began)
    return best


@pytest.mark.parametrize("piece", PIECES.values(), ids=PIECES)
def test_four_times_the_text_takes_about_four_times_the_time(piece):
    short = (piece * 10_000)[:10_000]
    # Quadratic time would be sixteen times; what is too quick to be measured passes.
    assert seconds(short * 4) <= 9 * max(seconds(short), 0.001)


def test_the_growth_test_finds_a_pattern_of_quadratic_time():
    slow = [re.compile(r"a*b")]
    assert seconds("a" * 12_000, slow) > 9 * seconds("a" * 3_000, slow)


def test_all_triggers_of_the_table_in_a_row_take_linear_time():
    triggers = "".join(sorted({trigger for kind in KINDS for trigger in kind.triggers}))
    short = (triggers * 100)[:10_000]
    assert seconds(short * 4) <= 9 * max(seconds(short), 0.001)


def test_a_message_that_was_seen_is_not_searched_again(monkeypatch):
    searched: list[int] = []

    def counting(text, patterns=()):
        searched.append(len(text))
        return find(text, patterns)

    monkeypatch.setattr(redaction, "find", counting)
    redactor = Redactor()
    history: list[str] = []
    for number in range(50):
        history.append(f"message {number} from alice{number}@example.com " * 20)
        for message in history:
            assert "@example.com" not in redactor.redact(message)
    assert len(searched) == 50


def test_no_text_is_kept_only_where_something_was_found():
    redactor = Redactor()
    redactor.redact("a secret text by alice@example.com that nobody may keep")
    kept = repr([redactor._young, redactor._old])
    assert "alice" not in kept
    assert "secret text" not in kept


def test_what_is_remembered_is_bounded():
    redactor = Redactor()
    for number in range(20_000):
        redactor.redact(f"some text {number}")
    assert len(redactor._young) + len(redactor._old) <= 2 * redaction._CACHE_ENTRIES
