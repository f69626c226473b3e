"""Feedback: from applications and over the API, its review queue, and the dataset it becomes."""

from __future__ import annotations

import json
from typing import Any

import pytest

ABOUT = {"trace_id": "0123456789abcdef0123456789abcdef"}
DOWN = {"kind": "thumb", "value": "down", "by": "customer-7", **ABOUT}


def give(ledger: Any, key: str | None = None, **given: Any) -> Any:
    headers = {} if key is None else {"Idempotency-Key": key}
    return ledger.client.post("/feedback", json=given, headers=headers)


def listed(ledger: Any, **wanted: Any) -> Any:
    answer = ledger.client.get("/feedback", params=wanted)
    return answer.raise_for_status().json()["items"]


def review(ledger: Any, identifier: str, **given: Any) -> Any:
    return ledger.client.patch(f"/feedback/{identifier}", json={"by": "grace", **given})


def exported(ledger: Any, **wanted: Any) -> list[Any]:
    lines = ledger.client.get("/feedback/export", params=wanted).raise_for_status().text
    return [json.loads(line) for line in lines.splitlines()]


def test_what_an_application_reports_waits_for_review(ledger: Any) -> None:
    event = ledger.otlp.event(
        "feedback.recorded", kind="score", value="0.6-0.8", score=0.7, labels=["slow"], comment="ok"
    )
    ledger.send_events(event, event)

    (item,) = listed(ledger, state="new")

    assert (item["kind"], item["value"], item["score"]) == ("score", "0.6-0.8", 0.7)
    assert (item["labels"], item["comment"], item["source"]) == (["slow"], "ok", "application")
    assert (item["trace_id"], item["session_id"]) == (ABOUT["trace_id"], "session-7")


def test_a_repeated_event_does_not_undo_a_review(ledger: Any) -> None:
    event = ledger.otlp.event("feedback.recorded", kind="thumb", value="up")
    ledger.send_events(event)
    (item,) = listed(ledger)
    review(ledger, item["id"], state="accepted")

    ledger.send_events(event)

    assert [item["state"] for item in listed(ledger)] == ["accepted"]


def test_an_opinion_given_twice_under_one_key_is_one(ledger: Any) -> None:
    first, second = (give(ledger, "click-1", **DOWN) for _ in range(2))

    assert (first.status_code, first.json()) == (201, second.json())
    assert len(listed(ledger)) == 1


def test_another_opinion_under_the_same_key_is_refused(ledger: Any) -> None:
    give(ledger, "click-1", **DOWN)

    answer = give(ledger, "click-1", **{**DOWN, "value": "up"})

    assert answer.status_code == 409
    assert [item["value"] for item in listed(ledger)] == ["down"]


def test_without_a_key_each_opinion_counts(ledger: Any) -> None:
    give(ledger, **DOWN)
    give(ledger, **DOWN)

    assert len(listed(ledger, trace_id=ABOUT["trace_id"])) == 2


def test_a_review_goes_step_by_step_and_remembers_each(ledger: Any) -> None:
    identifier = give(ledger, **DOWN).json()["id"]

    review(ledger, identifier, state="in_review", assignee="grace")
    review(ledger, identifier, note="the tool was out")
    item = review(ledger, identifier, state="accepted", assignee="").json()

    assert (item["state"], item["assignee"]) == ("accepted", None)
    assert [(one["state"], one["assignee"], one["note"]) for one in item["reviews"]] == [
        ("in_review", "grace", None),
        ("in_review", "grace", "the tool was out"),
        ("accepted", None, None),
    ]


def test_a_step_that_changes_nothing_leaves_no_trace(ledger: Any) -> None:
    identifier = give(ledger, **DOWN).json()["id"]

    assert review(ledger, identifier, state="new").json()["reviews"] == []


def test_the_queue_is_filtered_by_state_and_assignee(ledger: Any) -> None:
    first, _ = (give(ledger, **DOWN).json()["id"] for _ in range(2))
    review(ledger, first, state="in_review", assignee="grace")

    assert [item["id"] for item in listed(ledger, assignee="grace")] == [first]
    assert first not in [item["id"] for item in listed(ledger, state="new")]


def test_the_dataset_has_what_was_asked_and_answered(ledger: Any) -> None:
    ledger.send(*ledger.otlp.turn())
    give(ledger, **DOWN)
    give(ledger, kind="thumb", value="up", span_id=f"{7:016x}", **ABOUT)
    give(ledger, kind="thumb", value="up", session_id="elsewhere")

    examples = {
        (example["value"], example["session_id"]): [
            call["span_id"] for call in example["model_calls"]
        ]
        for example in exported(ledger)
    }

    assert examples == {
        ("down", None): [f"{3:016x}", f"{7:016x}"],
        ("up", None): [f"{7:016x}"],
        ("up", "elsewhere"): [],
    }


def test_the_dataset_is_whole_however_long_it_is(ledger: Any) -> None:
    events = [
        ledger.otlp.event("feedback.recorded", kind="stars", value="5", at=number // 3, n=number)
        for number in range(450)
    ]
    ledger.send_events(*events)

    identifiers = [example["id"] for example in exported(ledger, kind="stars")]

    assert (len(identifiers), len(set(identifiers))) == (450, 450)


def test_deleting_an_execution_deletes_what_was_thought_of_it(ledger: Any) -> None:
    ledger.send(*ledger.otlp.turn())
    identifier = give(ledger, **DOWN).json()["id"]
    review(ledger, identifier, note="looking")

    told = ledger.client.delete(f"/execution-logs/executions/{ABOUT['trace_id']}").json()

    assert (told["deleted"]["feedback"], told["deleted"]["feedback_reviews"]) == (1, 1)
    assert ledger.client.get(f"/feedback/{identifier}").status_code == 404


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"kind": "thumb", "value": "down"}, "say what it is about"),
        ({**DOWN, "value": "sideways"}, "allowed are"),
        ({"kind": "stars", "value": "6", **ABOUT}, "allowed are"),
        ({"kind": "score", **ABOUT}, "from 0 to 1"),
        ({"kind": "text", **ABOUT}, "needs `comment`"),
        ({**DOWN, "trace_id": "xyz"}, "body.trace_id"),
        ({"kind": "thumb", "value": "up", "session_id": "s", "span_id": f"{1:016x}"}, "trace_id"),
    ],
)
def test_feedback_that_says_nothing_is_told_what_is_missing(
    ledger: Any, wrong: Any, told: str
) -> None:
    answer = give(ledger, **wrong)

    assert answer.status_code == 422
    assert told in answer.json()["detail"]
    assert listed(ledger) == []


def test_unknown_feedback_is_told_with_where_to_look(ledger: Any) -> None:
    answer = review(ledger, "00000000-0000-0000-0000-000000000000", state="accepted")

    assert answer.status_code == 404
    assert "GET /feedback" in answer.json()["detail"]
