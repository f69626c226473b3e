"""Each kind finds its true cases, wherever they stand, and leaves what only looks like one."""

from __future__ import annotations

import json
import random
import re
import string
import tomllib
from pathlib import Path

import pytest
from midwatch.pipeline.redaction import Redactor
from midwatch.pipeline.redaction_kinds import KINDS

CORPUS = Path(__file__).parent / "corpus"
ALPHABETS = {
    "a": string.ascii_letters + string.digits,
    "A": string.ascii_uppercase + string.digits,
    "h": "0123456789abcdef",
    "d": string.digits,
}
DRAWN = re.compile(r"<([aAhd])(\d+)>")


def drawn(text: str, part: str) -> tuple[str, str]:
    """The texts with their placeholders drawn, the same for the same placeholder."""
    source = random.Random(text)  # noqa: S311 (no key is made)
    values: dict[str, str] = {}

    def draw(match: re.Match[str]) -> str:
        if match[0] not in values:
            letters = [source.choice(ALPHABETS[match[1]]) for _ in range(int(match[2]) - 2)]
            # Two that each kind of secret has: a digit, and a letter where there are letters.
            ending = {"d": "77", "h": "7a"}.get(match[1], "7Q")
            values[match[0]] = "".join(letters) + ending
        return values[match[0]]

    return DRAWN.sub(draw, text), DRAWN.sub(draw, part)


def cases() -> tuple[list[tuple[str, str, str]], list[str]]:
    true: list[tuple[str, str, str]] = []
    false: list[str] = []
    for path in sorted(CORPUS.glob("*.toml")):
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        for case in document["true"]:
            kind, text, part = case if len(case) == 3 else (document["kind"], *case)
            true.append((kind, *drawn(text, part)))
        false.extend(document["false"])
    return true, false


TRUE, FALSE = cases()

SURROUNDINGS = (
    "{}",
    "Please note: {} (as told before).",
    "first line\n{}\nlast line",
    "first line\\n{}\\nlast line",
    "看\uff1a{}\u3002",
    '"{}"',
    "<p>{}</p>",
)


each_true_case = pytest.mark.parametrize(
    ("kind", "text", "part"), TRUE, ids=[text[:40] for _, text, _ in TRUE]
)


@each_true_case
def test_a_true_case_is_redacted_as_its_kind_wherever_it_stands(kind, text, part):
    assert part in text
    for surrounding in SURROUNDINGS:
        redacted = Redactor().redact(surrounding.replace("{}", text))
        assert part not in redacted
        assert f"[redacted:{kind}]" in redacted


@each_true_case
def test_a_true_case_within_json_is_redacted_and_the_json_stays_json(kind, text, part):
    document = json.dumps({"messages": [{"role": "user", "content": f"so\n{text}\nyes"}], "n": 1})
    redacted = Redactor().redact(document)
    content = json.loads(redacted)["messages"][0]["content"]
    assert part not in content
    assert part not in redacted


@pytest.mark.parametrize("text", FALSE)
def test_a_false_case_stays_as_it_is_alone_and_among_other_text(text):
    for surrounding in ("{}", "see {} there", "first line\n{}\nlast line", "看\uff1a{}\u3002"):
        placed = surrounding.replace("{}", text)
        assert Redactor().redact(placed) == placed


@each_true_case
def test_what_is_redacted_stays_the_same_when_it_is_redacted_again(kind, text, part):
    once = Redactor().redact(text)
    assert Redactor().redact(once) == once


def test_every_kind_has_true_cases():
    assert {kind.name for kind in KINDS} == {kind for kind, _, _ in TRUE}


def test_every_kind_is_described_and_its_name_is_a_label():
    for kind in KINDS:
        assert re.fullmatch(r"[a-z_]+", kind.name)
        assert re.fullmatch(r"[A-Z].*\.", kind.description)
