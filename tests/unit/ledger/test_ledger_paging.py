"""Cursors: each row once, whatever is written meanwhile."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

_FEW = settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
LISTS = ("/execution-logs/executions", "/execution-logs/llm-calls")


def pages(ledger: Any, path: str, limit: int, **query: Any) -> Any:
    """Give the pages of a list, one by one."""
    cursor: str | None = ""
    while cursor is not None:
        given = {"limit": limit, **query, **({"cursor": cursor} if cursor else {})}
        answer = ledger.client.get(path, params=given)
        assert answer.status_code == 200, answer.text
        yield answer.json()
        cursor = answer.headers.get("x-next-cursor")


@_FEW
@given(
    # Few different times: most rows share theirs with others.
    times=some.lists(some.integers(0, 3), min_size=1, max_size=12),
    later=some.lists(some.integers(-1, 4), max_size=6),
    limit=some.integers(1, 5),
)
def test_each_row_comes_once_also_while_others_are_written(
    ledger: Any, otlp: Any, times: list[int], later: list[int], limit: int
) -> None:
    trace = f"{hash((tuple(times), tuple(later), limit)) & 0xFFFFFFFF:032x}"
    ledger.client.delete(f"/execution-logs/executions/{trace}")
    builder = type(otlp)(trace_id=trace)
    ledger.otlp = builder
    report = f"00000000-0000-4000-8000-{trace[-12:]}"
    named = {"midwatch__report__id": report}
    ledger.send(*(builder.chat(n + 1, at=at, **named) for n, at in enumerate(times)))
    before = ledger.client.get(LISTS[1], params={"report_id": report, "limit": 500}).json()
    assert len(before) == len(times)

    seen: list[str] = []
    for number, page in enumerate(pages(ledger, LISTS[1], limit, report_id=report)):
        seen += [row["id"] for row in page]
        if number < len(later):
            ledger.send(builder.chat(100 + number, at=later[number], **named))

    assert len(seen) == len(set(seen))
    old = {row["id"] for row in before}
    assert [one for one in seen if one in old] == [row["id"] for row in before]


@pytest.mark.parametrize("path", LISTS)
def test_pages_by_cursor_are_what_pages_by_offset_are(ledger: Any, otlp: Any, path: str) -> None:
    ledger.send(*otlp.turn())
    whole = ledger.client.get(path).json()

    assert [row for page in pages(ledger, path, 2) for row in page] == whole
    answer = ledger.client.get(path, params={"limit": 1, "status": "completed"})
    link = answer.headers["link"]
    assert link.endswith('; rel="next"')
    again = ledger.client.get(link[1 : link.index(">")]).json()
    assert again == whole[1:2]


def test_alerts_have_cursors(ledger: Any) -> None:
    for number in range(3):
        alert = {
            "status": "firing",
            "fingerprint": f"{number}",
            "startsAt": "2026-11-21T10:00:00Z",
            "labels": {"alertname": "AgentSilent"},
        }
        ledger.client.post("/alerts/webhook", json={"alerts": [alert]}).raise_for_status()

    found = [row["fingerprint"] for page in pages(ledger, "/monitoring/alerts", 2) for row in page]

    assert sorted(found) == ["0", "1", "2"]


def test_who_works_off_the_queue_of_feedback_by_cursor_misses_nothing(ledger: Any) -> None:
    given = {"kind": "thumb", "value": "down"}
    made = [
        ledger.client.post("/feedback", json={**given, "turn_id": str(number)}).json()["id"]
        for number in range(5)
    ]

    seen = []
    for page in pages(ledger, "/feedback", 2, state="new"):
        for opinion in page["items"]:
            seen.append(opinion["id"])
            step = {"by": "ann", "state": "accepted"}
            ledger.client.patch(f"/feedback/{opinion['id']}", json=step).raise_for_status()

    assert sorted(seen) == sorted(made)


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"cursor": "!"}, "is none of ours"),
        ({"cursor": "é"}, "is none of ours"),
        ({"cursor": "bnVsbA"}, "is none of ours"),
        ({"cursor": "WzFlMzAwLCAiIiwgIiJd"}, "is none of ours"),
        ({"cursor": "W10", "offset": 3}, "give one of them"),
    ],
)
def test_a_cursor_that_is_none_is_told(ledger: Any, query: dict[str, Any], told: str) -> None:
    answer = ledger.client.get(LISTS[0], params=query)

    assert answer.status_code == 422
    assert told in answer.json()["detail"]


def test_a_cursor_is_good_for_its_own_list_and_filters_only(ledger: Any, otlp: Any) -> None:
    ledger.send(*otlp.turn())
    asked = {"limit": 1, "status": "completed"}
    cursor = ledger.client.get(LISTS[1], params=asked).headers["x-next-cursor"]

    for path, query in ((LISTS[1], {"status": "failed"}), (LISTS[1], {}), (LISTS[0], asked)):
        answer = ledger.client.get(path, params={**query, "cursor": cursor})
        assert answer.status_code == 422
        assert "other filters" in answer.json()["detail"]
