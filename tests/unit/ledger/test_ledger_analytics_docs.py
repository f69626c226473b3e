"""The page on analytics: its example is what the ledger answers, its tables are whole."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from midwatch_ledger.api.experiments import GuardGiven
from midwatch_ledger.report_settings import ReportSettings
from midwatch_ledger.services.rollups import catch_up

PAGE = (Path(__file__).parents[3] / "docs/ledger/analytics.md").read_text(encoding="utf-8")
EXAMPLES = [json.loads(found) for found in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]


def rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items()}
    return round(value, 4) if isinstance(value, float) else value


def test_the_example_of_a_comparison_is_what_the_ledger_answers(ledger: Any) -> None:
    kind, first = type(ledger.otlp), ledger.otlp.start
    spans = []
    for number in range(50):
        turn = kind(trace_id=f"{number + 1:032x}", start=first + number * 10**10)
        for at, (model, failed) in enumerate((("small", 5), ("large", 15)), start=1):
            error = "Timeout" if number < failed else None
            spans.append(turn.chat(at, gen_ai__request__model=model, error=error))
    ledger.send(*spans)
    catch_up(ledger.database)
    start = datetime.fromtimestamp(ledger.otlp.start / 1e9, UTC)

    answer = ledger.client.get(
        "/analytics/compare",
        params={
            "by": "model",
            "baseline": "small",
            "candidate": "large",
            "start_date": (start - timedelta(hours=1)).isoformat(),
            "end_date": (start + timedelta(hours=1)).isoformat(),
        },
    ).json()

    (measure,) = [one for one in answer["measures"] if one["measure"] == "failure_ratio"]
    assert rounded(measure) == EXAMPLES[0]


def test_the_example_of_a_guard_is_one() -> None:
    GuardGiven.model_validate(EXAMPLES[1])


@pytest.mark.parametrize("name", sorted(ReportSettings.model_fields))
def test_every_setting_of_reports_is_in_the_page(name: str) -> None:
    assert f"`MIDWATCH_LEDGER_{name.upper()}`" in PAGE


def test_every_route_of_analytics_is_in_the_page(open_ledger: Any, sqlite_url: str) -> None:
    paths = open_ledger(sqlite_url).client.get("/openapi.json").json()["paths"]

    ours = [path for path in paths if path.startswith(("/analytics", "/experiments"))]
    assert len(ours) >= 10
    for path in ours:
        assert f"`{path}" in PAGE or f"GET {path}" in PAGE or f"PUT {path}" in PAGE, path
