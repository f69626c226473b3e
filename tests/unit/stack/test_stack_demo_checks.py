"""The demo's checks fail on what is not there, and tell what is missing."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import httpx
import pytest
from stack.demo.paging import Page, find_page
from stack.demo.pictures import closing_words
from stack.demo.sources import Sources
from stack.demo.steps import (
    InterruptedDemoError,
    Outcome,
    Patience,
    Step,
    StepFailedError,
    Verdict,
    run_steps,
)
from stack.demo.telemetry import complete_trace, events_present, series_present, trace_lacks

FAULT_AT = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)


class Knowledge:
    """Stands for the programs that the checks ask."""

    def __init__(self, **answers: Any) -> None:
        self._answers = answers

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *_: self._answers[name]


def knowing(**answers: Any) -> Sources:
    return cast(Sources, Knowledge(**answers))


def slack_message(title: str, seconds: float) -> dict[str, Any]:
    received = (FAULT_AT + timedelta(seconds=seconds)).isoformat()
    return {"id": 1, "received_at": received, "payload": {"attachments": [{"title": title}]}}


def test_the_page_is_the_first_firing_message_since_the_fault() -> None:
    messages = [
        slack_message("[FIRING:1] critical AgentToolFailureRatioHigh", -60),
        slack_message("[RESOLVED] critical AgentToolFailureRatioHigh", 2),
        slack_message("[FIRING:1] critical Other", 3),
        slack_message("[FIRING:1] critical AgentToolFailureRatioHigh", 14),
    ]
    page = find_page(knowing(messages=messages), "slack", ["AgentToolFailureRatioHigh"], FAULT_AT)
    assert page.seconds == pytest.approx(14)


def test_without_a_page_the_step_fails_and_names_the_alert() -> None:
    messages = [slack_message("[FIRING:1] critical Other", 3)]
    with pytest.raises(StepFailedError, match=r"AgentToolFailureRatioHigh.*1 other messages"):
        find_page(knowing(messages=messages), "slack", ["AgentToolFailureRatioHigh"], FAULT_AT)


def test_a_mail_is_known_by_its_subject() -> None:
    mail = {
        "id": 1,
        "received_at": (FAULT_AT + timedelta(seconds=9)).isoformat(),
        "subject": "[FIRING:1] AgentHandoffLoop",
        "text": "",
        "html": None,
    }
    assert find_page(knowing(messages=[mail]), "smtp", ["AgentHandoffLoop"], FAULT_AT).seconds == 9


def test_the_last_words_say_how_fast_the_page_came_and_how_to_see_it_again() -> None:
    pages = [Page("slack", "AgentHandoffLoop", {}, 13.42), Page("smtp", "AgentHandoffLoop", {}, 14)]
    words = closing_words(pages, "python -m stack demo --seed 7").plain
    assert words.splitlines() == [
        "from fault to page: Slack 13.4 s, Email 14.0 s (AgentHandoffLoop)",
        "once more: python -m stack demo --seed 7",
    ]
    assert "fault to page" not in closing_words([], "python -m stack demo").plain


def test_series_that_stay_at_zero_do_not_count() -> None:
    with pytest.raises(
        StepFailedError, match=r"agent_route_total.*agent_turn_latency_seconds_count"
    ):
        series_present(knowing(query=[]))


EVENT = {
    "ts": "2026-11-21T10:00:00Z",
    "event": "turn.finished",
    "trace_id": "t",
    "span_id": "s",
    "session_id": "x",
    "turn_id": "1",
    "service": "security-agent",
    "metadata": {},
}


def test_event_lines_with_all_fields_are_seen() -> None:
    sources = knowing(event_files=["f"], events=[EVENT])
    assert "1 turns" in events_present(sources)


@pytest.mark.parametrize(
    ("files", "events", "missing"),
    [
        ([], [], "agent-traces.jsonl"),
        (["f"], [{**EVENT, "event": "turn.started"}], "turn.finished"),
        (["f"], [{k: v for k, v in EVENT.items() if k != "session_id"}], "session_id"),
    ],
)
def test_event_lines_that_lack_something_fail(files: Any, events: Any, missing: str) -> None:
    with pytest.raises(StepFailedError, match=missing):
        events_present(knowing(event_files=files, events=events))


def span(**fields: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "parent_span_id": "p",
        "agent": None,
        "tool": None,
        "model": None,
        "input_tokens": None,
        "output_tokens": None,
        "children": [],
    }
    return {**base, **fields}


WHOLE: dict[str, Any] = {
    "trace_id": "t",
    "complete": True,
    "session_id": "s",
    "total_cost": 0.001,
    "spans": [
        span(
            parent_span_id=None,
            children=[
                span(
                    agent="monitor",
                    children=[
                        span(tool="get_status"),
                        span(model="gpt-4.1-mini", input_tokens=5, output_tokens=3),
                    ],
                )
            ],
        )
    ],
}


def test_a_whole_trace_lacks_nothing() -> None:
    assert trace_lacks(WHOLE) == []
    sources = knowing(events=[EVENT], ledger_trace=WHOLE)
    assert complete_trace(sources) == WHOLE


@pytest.mark.parametrize(
    ("spoil", "lack"),
    [
        (lambda t: t.update(complete=False), "its own completeness"),
        (lambda t: t.update(total_cost=None), "a cost"),
        (lambda t: t.update(session_id=None), "a session"),
        (lambda t: t["spans"].append(span()), "a single root"),
        (lambda t: t["spans"][0]["children"][0].update(agent=None), "a span of an agent"),
        (lambda t: t["spans"][0]["children"][0]["children"].pop(0), "a tool call"),
        (lambda t: t["spans"][0]["children"][0]["children"].pop(), "a model call with tokens"),
    ],
)
def test_a_trace_with_a_hole_is_not_whole(
    spoil: Callable[[dict[str, Any]], object], lack: str
) -> None:
    trace = copy.deepcopy(WHOLE)
    spoil(trace)
    assert trace_lacks(trace) == [lack]
    with pytest.raises(StepFailedError, match=lack):
        complete_trace(knowing(events=[EVENT], ledger_trace=trace))


def outcomes_of(*steps: Step) -> list[Outcome]:
    return run_steps(list(steps), lambda _: None, lambda _: None)


def failing() -> str:
    raise StepFailedError("nothing there", "ledger")


def test_after_an_essential_failure_the_rest_is_not_tried() -> None:
    outcomes = outcomes_of(
        Step("a", lambda: "seen"), Step("b", failing, essential=True), Step("c", lambda: "seen")
    )
    assert [one.verdict for one in outcomes] == [Verdict.SEEN, Verdict.FAILED, Verdict.NOT_TRIED]
    assert outcomes[1].programs == ("ledger",)


def test_after_another_failure_the_rest_is_tried() -> None:
    outcomes = outcomes_of(Step("a", failing), Step("b", lambda: "seen"))
    assert [one.verdict for one in outcomes] == [Verdict.FAILED, Verdict.SEEN]


def test_patience_waits_for_a_program_that_is_restarting() -> None:
    answers = iter([httpx.ConnectError("refused"), StepFailedError("not yet"), None])

    def look() -> str:
        problem = next(answers)
        if problem is not None:
            raise problem
        return "there"

    assert Patience(None, lambda: False).until(look, 30) == "there"


def test_patience_ends_with_the_last_reason() -> None:
    with pytest.raises(StepFailedError, match="nothing there"):
        Patience(None, lambda: False).until(failing, 0)


def test_patience_ends_when_the_user_wants_to() -> None:
    with pytest.raises(InterruptedDemoError):
        Patience(None, lambda: True).until(failing, 30)
