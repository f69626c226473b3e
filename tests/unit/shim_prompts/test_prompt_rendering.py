"""Rendering: typed variables, all problems at once, and nothing that runs."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st
from midwatch.prompts import PromptRenderError
from midwatch.prompts.definitions import Definition, define

VARIABLES = {
    "customer": {"type": "str", "description": "the first name"},
    "orders": "int",
    "limit": "float",
    "vip": "bool",
    "tags": "list",
    "tone": {"values": ["formal", "friendly"]},
}
RIGHT = {
    "customer": "Ada",
    "orders": 3,
    "limit": 0.5,
    "vip": True,
    "tags": ["a", "b"],
    "tone": "formal",
}


def prompt(template: str, **variables: object) -> Definition:
    return define("p", "1", {"template": template, "variables": variables}, source="file")


def filled(template: str, declared: Mapping[str, object], values: Mapping[str, object]) -> str:
    return prompt(template, **declared).fill(values)[0].content


EVERY = " ".join(f"{{{{ {name} }}}}" for name in VARIABLES)


def test_each_type_has_its_look():
    assert filled(EVERY, VARIABLES, RIGHT) == "Ada 3 0.5 true a, b formal"


def test_every_problem_is_told_at_once():
    given_values = {"orders": "3", "tone": "rude", "extra": 1, "tags": [1], "vip": 1, "limit": 1}
    with pytest.raises(PromptRenderError) as refused:
        prompt(EVERY, **VARIABLES).fill(given_values)
    assert refused.value.problems == (
        "customer: missing; give a value of type str (the first name)",
        "orders: needs int, given '3' (str)",
        "tone: needs one of 'formal', 'friendly', given 'rude' (str)",
        "extra: unknown; leave it out or declare it in the prompt",
        "tags: needs list of str, given [1] (list)",
        "vip: needs bool, given 1 (int)",
    )
    assert "prompt p version 1 cannot be rendered" in str(refused.value)


class Tone(StrEnum):
    FORMAL = "formal"


@pytest.mark.parametrize(
    ("declared", "value", "text"),
    [
        ("float", 3, "3"),
        ("float", Decimal("0.10"), "0.10"),
        ({"values": ["formal"]}, Tone.FORMAL, "formal"),
        ({"type": "list", "items": "int"}, (1, 2), "1, 2"),
        ({"type": "list", "format": "lines"}, ["a", "b"], "a\nb"),
        ({"type": "list", "format": "bullets"}, ["a", "b"], "- a\n- b"),
        ({"type": "list", "format": "json"}, ['a"', "é"], '["a\\"", "é"]'),
        ({"type": "list", "items": "bool", "format": "json"}, [True], "[true]"),
        ({"type": "list", "items": "float", "format": "json"}, [0.5], "[0.5]"),
        ({"type": "list"}, [], ""),
        ({"default": "x"}, "", ""),
    ],
)
def test_what_fits_a_type_is_taken(declared, value, text):
    assert filled("{{ a }}", {"a": declared}, {"a": value}) == text


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ("int", True),
        ("int", 1.0),
        ("float", float("nan")),
        ("float", float("inf")),
        ("float", "1"),
        ("str", 1),
        ("str", None),
        ("bool", "true"),
        ("list", "abc"),
        ({"type": "list", "items": "int"}, [1, True]),
        ({"values": ["a"]}, ["a"]),
    ],
)
def test_what_does_not_fit_a_type_is_refused(declared, value):
    with pytest.raises(PromptRenderError):
        filled("{{ a }}", {"a": declared}, {"a": value})


def test_a_default_is_used_unless_a_value_is_given():
    declared = {"a": {"type": "int", "default": 7}}
    assert filled("{{ a }}", declared, {}) == "7"
    assert filled("{{ a }}", declared, {"a": 8}) == "8"


def test_json_and_code_need_no_escaping():
    template = 'Answer as {"text": {"a": [{"b": "{{ a }}"}]}} or ${HOME} {} {0} $a %s.'
    expected = template.replace("{{ a }}", "x")
    assert filled(template, {"a": "str"}, {"a": "x"}) == expected


def test_two_braces_as_such_are_written_as_four():
    assert filled("{{{{ a }} is {{ a }}", {"a": "str"}, {"a": "x"}) == "{{ a }} is x"


HOSTILE = ["{{ b }}", "{{{{", "{% for x in y %}", "$b", "${b}", "{b}", "{0.__class__}", "\\g<0>"]


@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_is_never_read_as_a_template(value):
    assert filled("{{ a }}/{{ b }}", {"a": "str", "b": "str"}, {"a": value, "b": "s"}) == (
        f"{value}/s"
    )


@given(st.text(), st.text())
def test_any_text_comes_out_as_it_went_in(value, around):
    around = around.replace("{{", "{")
    while "{{" in around:
        around = around.replace("{{", "{")
    around = around.rstrip("{").lstrip("}")
    assert filled(f"x{around} {{{{ a }}}}", {"a": "str"}, {"a": value}) == f"x{around} {value}"
