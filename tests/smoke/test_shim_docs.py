"""The shim's pages are all in its index, and what they show is what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from midwatch.config import SETTINGS
from midwatch.startup import DEFAULTS

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = sorted((DOCS / "shim").glob("*.md"))
OURS = re.compile(r"\b(?:MIDWATCH|AGENT|LANGFUSE|LANGSMITH)_[A-Z][A-Z0-9_]*[A-Z0-9]\b")


def links(page: Path) -> set[Path]:
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)\s#]+)", text)
    return {(page.parent / target).resolve() for target in targets if ":" not in target}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page_is_in_the_index(page: Path) -> None:
    if page.name != "README.md":
        assert page in links(DOCS / "shim" / "README.md")


def test_every_page_of_the_reference_is_in_the_index() -> None:
    reference = set((DOCS / "reference").glob("*.md"))
    assert reference
    assert reference <= links(DOCS / "shim" / "README.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert [target for target in links(page) if not target.exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_variable_that_a_page_names_exists(page: Path) -> None:
    known = {setting.variable for setting in SETTINGS} | set(DEFAULTS)
    assert set(OURS.findall(page.read_text("utf-8"))) <= known
