"""What the policy makes of each sort of text in each mode."""

from __future__ import annotations

import json
import re
import sys
from types import ModuleType, SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from midwatch.config import load_settings
from midwatch.pipeline.content import ContentPolicy
from midwatch.pipeline.content_cut import cut_messages
from midwatch.pipeline.redaction import Redactor

MAIL = "alice@example.com"
TRACE = f"""Traceback (most recent call last):
  File "/app/agent.py", line 7, in answer
    raise ValueError(text)
ValueError: {MAIL} said so
"""


def attribute(mode, name, value):
    return ContentPolicy(mode).attributes({name: value, "kept": 1}).get(name)


@pytest.mark.parametrize(
    ("name", "value", "off", "redacted"),
    [
        ("gen_ai.input.messages", f"[{MAIL}]", None, "[[redacted:email]]"),
        ("gen_ai.prompt.0.content", "hello there", None, "hello there"),
        ("gen_ai.prompt.name", "greeting", "greeting", "greeting"),
        ("prompt_text", MAIL, None, "[redacted:email]"),
        ("exception.message", f"no {MAIL}", None, "no [redacted:email]"),
        ("url.full", f"https://a.example/p?q={MAIL}#x", "https://a.example/p", None),
        ("url.query", "q=hello", None, "q=hello"),
        ("db.query.text", "select 'a long text' from t", "select ? from t", None),
        ("db.query.parameter.0", "a long text", None, "a long text"),
        ("http.request.header.cookie", "x=1", "[redacted:header]", "[redacted:header]"),
        ("app.password", "letmein99", "[redacted:password]", "[redacted:password]"),
        ("app.api_key", "aB3dE6gH9jK2mN5p", "[redacted:secret]", "[redacted:secret]"),
        ("gen_ai.token.type", "input", "input", "input"),
        ("app.note", f"by {MAIL}", "by [redacted:email]", "by [redacted:email]"),
        ("app.notes", [MAIL, "b"], ["[redacted:email]", "b"], ["[redacted:email]", "b"]),
        ("app.deep", {"a": {MAIL: MAIL}}, {"a": {"[redacted:email]": "[redacted:email]"}}, None),
        ("app.bytes", MAIL.encode(), b"[redacted:email]", b"[redacted:email]"),
        ("app.count", 17, 17, 17),
    ],
)
def test_an_attribute_by_mode(name, value, off, redacted):
    assert attribute("off", name, value) == off
    if redacted is not None:
        assert attribute("redacted", name, value) == redacted
    assert attribute("full", name, value) == value


def test_attributes_that_may_leave_as_they_are_are_the_same_object():
    given_attributes = {"gen_ai.agent.name": "writer", "n": 1, "list": ["a", "b"]}
    assert ContentPolicy("off").attributes(given_attributes) is given_attributes


def test_a_stack_trace_keeps_its_places_at_off_and_loses_the_words():
    shown = attribute("off", "exception.stacktrace", TRACE)
    assert 'File "/app/agent.py", line 7, in answer' in shown
    assert MAIL not in shown
    assert "said so" not in shown


@pytest.mark.parametrize(
    ("text", "error_type", "shown"),
    [
        ("ValueError: the whole prompt", None, "ValueError"),
        ("the whole prompt", "builtins.ValueError", "builtins.ValueError"),
        ("the whole prompt", None, None),
        ("TimeoutError", None, "TimeoutError"),
        ("hello", None, None),
        ("", None, ""),
        (None, None, None),
    ],
)
def test_the_description_of_a_status_is_an_errors_type_at_off(text, error_type, shown):
    assert ContentPolicy("off").error(text, error_type) == shown
    assert ContentPolicy("full").error(text, error_type) == text


def test_what_an_exception_says_is_redacted_before_it_is_cut():
    error = ValueError("x" * 495 + " 4111 1111 1111 1111")
    shown = ContentPolicy("redacted").described(error)
    assert "4111" not in shown
    assert ContentPolicy("off").described(error) == "ValueError"
    assert ContentPolicy("full").described(error) == str(error)[:500]


def test_two_ids_with_personal_data_stay_two_ids():
    policy = ContentPolicy("redacted")
    one, other = policy.scrub_id("alice@example.com"), policy.scrub_id("bob@example.com")
    assert one != other
    assert one == policy.scrub_id("alice@example.com")
    assert "alice" not in one
    assert policy.scrub_id("session-17") == "session-17"


def test_long_content_is_cut_with_a_word_on_it():
    policy = ContentPolicy("redacted")
    shown = policy.head("word " * 1000, 1024)
    assert shown.startswith("word word")
    assert shown.endswith("… [cut: 3976 characters]")


@pytest.mark.parametrize("mode", ["off", "redacted"])
@pytest.mark.parametrize("name", ["app.note", "db.query.text", "url.full"])
def test_an_attribute_of_any_length_is_cut_so_that_no_receiver_refuses_it_for_its_size(mode, name):
    text = f"{MAIL} and 17 " + "words, " * 2_000_000
    shown = attribute(mode, name, text)
    assert len(shown) < 132 * 1024
    assert MAIL not in shown
    assert "[redacted:email]" in shown
    assert "… [cut: " in shown


def test_what_an_exception_says_at_any_length_is_cut_too():
    shown = attribute("redacted", "exception.message", f"{MAIL} " + "x " * 1_000_000)
    assert len(shown) < 132 * 1024


@given(before=st.integers(0, 400), mode=st.sampled_from(["redacted"]))
def test_a_secret_at_the_cut_never_leaves_in_half(before, mode):
    key = "sk-proj-" + "aB3dE6gH" * 8
    policy = ContentPolicy(mode)
    shown = policy.head("x " * (before // 2) + key + " y" * 400, 256)
    for length in range(14, len(key)):
        assert key[:length] not in shown


@given(text=st.text(max_size=300), size=st.integers(1, 400))
def test_what_is_cut_fits_into_its_bytes(text, size):
    shown = ContentPolicy("full").head(text, size)
    kept = shown.partition("… [cut: ")[0] if shown != text else shown
    assert len(kept.encode("utf-8", "replace")) <= size


def test_of_too_long_a_history_the_newest_messages_stay_and_the_rest_is_counted():
    messages = [
        {"role": "user", "parts": [{"type": "text", "content": f"{number} " * 50}]}
        for number in range(100)
    ]
    text = cut_messages("gen_ai.input.messages", json.dumps(messages), 2000)
    kept = json.loads(text)
    assert kept[-1] == messages[-1]
    assert kept[0]["parts"][0]["type"] == "cut"
    assert kept[0]["parts"][0]["messages"] == 100 - (len(kept) - 1)
    assert len(text) < 2200


@given(text=st.text(max_size=200))
def test_redaction_twice_is_redaction_once(text):
    redactor = Redactor()
    once = redactor.redact(f"{text} alice@example.com {text}")
    assert Redactor().redact(once) == once


@given(text=st.text(max_size=200))
def test_full_changes_nothing(text):
    policy = ContentPolicy("full")
    assert policy.scrub(text) == text
    assert policy.attributes({"a": text}) == {"a": text}


def test_patterns_of_ones_own_are_redacted_as_custom():
    settings = load_settings(
        {"MIDWATCH_CONTENT": "redacted", "MIDWATCH_REDACT_PATTERNS": "CASE-\\d+\n(?i)project x"}
    )
    policy = ContentPolicy.from_settings(settings)
    assert (
        policy.content("see CASE-17 of Project X") == "see [redacted:custom] of [redacted:custom]"
    )
    assert policy.redactor.counts()["custom"] == 2


def test_a_search_that_fails_lets_nothing_leave():
    def broken(text):
        raise RuntimeError("engine down")

    assert Redactor(engines=[broken]).redact("some harmless text") == "[redacted:failed]"


class TestPresidio:
    """Presidio by a stand-in that has its interface."""

    @pytest.fixture
    def asked(self, monkeypatch):
        asked: list[tuple[str, str]] = []

        class AnalyzerEngine:
            def analyze(self, text, language):
                asked.append((text, language))
                return [
                    SimpleNamespace(
                        entity_type="PERSON", start=match.start(), end=match.end(), score=0.85
                    )
                    for match in re.finditer("Ada Lovelace", text)
                ] + [SimpleNamespace(entity_type="PERSON", start=0, end=2, score=0.1)]

        module = ModuleType("presidio_analyzer")
        module.AnalyzerEngine = AnalyzerEngine  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "presidio_analyzer", module)
        return asked

    def policy(self) -> ContentPolicy:
        variables = {"MIDWATCH_CONTENT": "redacted", "MIDWATCH_REDACT_ENGINE": "presidio"}
        return ContentPolicy.from_settings(load_settings(variables))

    def test_what_it_finds_is_redacted_beside_the_table(self, asked):
        shown = self.policy().content("Ada Lovelace wrote to alice@example.com")
        assert shown == "[redacted:presidio_person] wrote to [redacted:email]"
        assert asked[0][1] == "en"

    def test_its_models_are_not_loaded_before_there_is_a_text(self, asked):
        self.policy()
        assert asked == []

    def test_without_it_no_content_leaves_and_that_is_said(self, monkeypatch, caplog):
        monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
        policy = self.policy()
        assert policy.mode == "off"
        assert "pip" not in caplog.text or "midwatch[presidio]" in caplog.text
        assert "no content is sent" in caplog.text


def test_what_was_harmless_under_one_mode_is_looked_at_again_under_another():
    policy = ContentPolicy("redacted")
    given = {"gen_ai.input.messages": "Good morning", "gen_ai.operation.name": "chat", "steps": 3}
    assert policy.attributes(given) is given
    policy.mode = "off"
    for _ in range(2):
        assert policy.attributes(given) == {"gen_ai.operation.name": "chat", "steps": 3}


def test_a_text_that_is_harmless_under_one_name_is_looked_at_under_another():
    policy = ContentPolicy("off")
    assert policy.attributes({"gen_ai.operation.name": "chat"}) == {"gen_ai.operation.name": "chat"}
    assert policy.attributes({"gen_ai.output.messages": "chat"}) == {}
