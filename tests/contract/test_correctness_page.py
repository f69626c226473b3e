"""The page of correctness names tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/shim/correctness.md").read_text(encoding="utf-8")


def test_each_case_of_the_page_names_a_test_that_is_there():
    there = {
        name
        for folder in ("unit", "frameworks")
        for file in (ROOT / "tests" / folder).rglob("*.py")
        for name in re.findall(r"def (test_\w+)", file.read_text(encoding="utf-8"))
    }
    named = re.findall(r"`(test_\w+)`", PAGE)
    assert len(named) > 50
    assert [name for name in named if name not in there] == []


def test_each_case_of_the_page_is_shown_by_a_test():
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and "---" not in line]
    cases = [row for row in rows if not row.startswith("| case ")]
    assert [row for row in cases if "`test_" not in row] == []
