"""Feedback: taken from users at any time, linked to what it is about, never in the way."""

from __future__ import annotations

import json
from typing import Any

import midwatch
import pytest
from hypothesis import given
from hypothesis import strategies as st
from midwatch.api.ids import Ids, read_ids
from midwatch.config import load_settings
from midwatch.pipeline.sampling_setup import Sampling
from midwatch.registry.attributes import FEEDBACK_SCORES
from opentelemetry import context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def counted(told) -> list[str]:
    return [
        line.removeprefix("agent_feedback_total")
        for line in told.metrics().splitlines()
        if line.startswith("agent_feedback_total{") and not line.endswith(" 0")
    ]


CASES: dict[str, tuple[dict[str, Any], str]] = {
    "thumb up": ({"thumbs": "up"}, '{kind="thumb",value="up"} 1'),
    "thumb down as a truth value": ({"thumbs": False}, '{kind="thumb",value="down"} 1'),
    "stars": ({"stars": 4}, '{kind="stars",value="4"} 1'),
    "a score": ({"score": 0.5}, '{kind="score",value="0.4-0.6"} 1'),
    "the highest score": ({"score": 1}, '{kind="score",value="0.8-1.0"} 1'),
    "the lowest score": ({"score": 0.0}, '{kind="score",value="0.0-0.2"} 1'),
    "a score of another range": (
        {"score": -3, "score_range": (-10, 10)},
        '{kind="score",value="0.2-0.4"} 1',
    ),
    "words alone": ({"text": "thanks"}, '{kind="text",value="given"} 1'),
    "a label alone": ({"labels": ["wrong-tool"]}, '{kind="label",value="wrong-tool"} 1'),
}


@pytest.mark.parametrize("case", CASES)
def test_each_kind_is_counted(told, case):
    arguments, line = CASES[case]
    result = midwatch.feedback(**arguments)
    assert result
    assert result.accepted
    assert result.problems == ()
    assert counted(told) == [line]


def test_what_is_given_together_is_told_together(told):
    assert midwatch.feedback(stars=2, thumbs="down", labels=["slow", "slow"], text=" no ")
    first, second = told.events
    assert first.metadata == {"kind": "thumb", "value": "down", "labels": ["slow"]}
    assert second.metadata == {"kind": "stars", "value": "2"}


def test_a_score_is_told_exactly(told):
    midwatch.feedback(score=3, score_range=(1, 5))
    assert told.events[0].metadata == {"kind": "score", "value": FEEDBACK_SCORES[2], "score": 0.5}


def test_words_leave_the_process_by_content_policy_only(told):
    midwatch.feedback(text="my name is Ada")
    assert "Ada" not in json.dumps(dict(told.events[0].metadata))
    assert not any("Ada" in str(dict(span.attributes)) for span in told.spans("feedback"))


def test_it_is_about_what_runs_here(told):
    with midwatch.turn("s1", turn_id="t1") as block:
        midwatch.feedback(thumbs="up")
        span = block.turn.span.get_span_context()
    told_of = [one for one in told.events if one.event == "feedback.recorded"]
    assert [(one.session_id, one.turn_id) for one in told_of] == [("s1", "t1")]
    assert told_of[0].trace_id == f"{span.trace_id:032x}"
    (turn,) = told.spans("agent.turn")
    assert turn.attributes["midwatch.feedback.kind"] == "thumb"


def test_a_handle_links_it_to_the_turn_long_afterwards_and_elsewhere(told):
    with midwatch.turn("s1", turn_id="t1"), told.model_call() as call:
        handle = midwatch.current_ids()
        span = call.get_span_context()
    # Another request, and in general another process: all it has is the text.
    with midwatch.turn("other", turn_id="t9"):
        assert midwatch.feedback(thumbs="down", handle=handle.token)
    (event,) = [one for one in told.events if one.event == "feedback.recorded"]
    assert (event.session_id, event.turn_id) == ("s1", "t1")
    assert event.trace_id == f"{span.trace_id:032x}"
    assert event.span_id == f"{span.span_id:016x}", "it is about the model call"
    other = [one for one in told.spans("agent.turn") if one.attributes["session.id"] == "other"]
    assert "midwatch.feedback.kind" not in other[0].attributes


def test_its_trace_gets_a_span_by_which_samplers_keep_it(told):
    midwatch.feedback(stars=1, trace_id=TRACE, span_id=SPAN, session_id="s", turn_id="t")
    (span,) = told.spans("feedback")
    assert f"{span.context.trace_id:032x}" == TRACE
    assert f"{span.parent.span_id:016x}" == SPAN
    assert span.context.trace_flags.sampled
    assert dict(span.attributes) == {
        "midwatch.feedback.kind": "stars",
        "midwatch.feedback.value": "1",
        "session.id": "s",
        "midwatch.turn.id": "t",
    }


def test_a_trace_alone_is_enough(told):
    midwatch.feedback(stars=1, trace_id=TRACE)
    (span,) = told.spans("feedback")
    (event,) = told.events
    assert event.trace_id == TRACE == f"{span.context.trace_id:032x}"
    assert event.span_id == f"{span.context.span_id:016x}"


def test_a_turn_alone_is_enough(told):
    midwatch.feedback(stars=1, session_id="s", turn_id="t")
    (event,) = told.events
    assert (event.session_id, event.turn_id, event.trace_id) == ("s", "t", "")
    assert told.spans("feedback") == []


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "empty; give thumbs, stars, score, text or labels"),
    "blank words": ({"text": "  "}, "empty"),
    "another thumb": ({"thumbs": "sideways"}, "give 'up' or 'down'"),
    "a number as thumb": ({"thumbs": 1}, "give 'up' or 'down'"),
    "six stars": ({"stars": 6}, "from 1 to 5"),
    "half a star": ({"stars": 3.5}, "from 1 to 5"),
    "a truth value of stars": ({"stars": True}, "from 1 to 5"),
    "a score outside": ({"score": 1.1}, "give a number from 0.0 to 1.0"),
    "a score that is no number": ({"score": float("nan")}, "give a number"),
    "a range that is none": ({"score": 1, "score_range": (1, 1)}, "two ascending numbers"),
    "a range without end": ({"score": 1, "score_range": (0, float("inf"))}, "ascending"),
    "words that are none": ({"text": 3}, "give a text"),
    "one label as text": ({"labels": "slow"}, "give a list"),
    "too many labels": ({"labels": ["x"] * 11}, "at most 10"),
    "an empty label": ({"labels": [""]}, "1 to 50"),
    "a trace that is none": ({"thumbs": "up", "trace_id": "xyz"}, "32 hexadecimal digits"),
    "a trace of zeros": ({"thumbs": "up", "trace_id": "0" * 32}, "not all 0"),
    "a span without a trace": ({"thumbs": "up", "span_id": SPAN}, "needs the trace_id"),
    "a handle that is none": ({"thumbs": "up", "handle": "???"}, "midwatch.current_ids()"),
    "a handle of another shape": ({"thumbs": "up", "handle": 7}, "midwatch.current_ids()"),
    "a dict of other names": ({"thumbs": "up", "handle": {"id": "1"}}, "unknown id"),
    "a session that is no text": ({"thumbs": "up", "session_id": 7}, "session_id: needs a text"),
    "a handle and ids": ({"thumbs": "up", "handle": Ids(TRACE), "trace_id": TRACE}, "not both"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_answered_and_not_raised(told, case):
    arguments, said = WRONG[case]
    result = midwatch.feedback(**arguments)
    assert not result
    assert not result.accepted
    assert said in "\n".join(result.problems)
    assert told.events == []


def test_every_problem_is_answered_at_once(told):
    wrong: Any = {"labels": "a", "text": 1}
    result = midwatch.feedback(thumbs="x", stars=9, score=7, trace_id="t", **wrong)
    assert [problem.partition(":")[0] for problem in result.problems] == [
        "trace_id",
        "thumbs",
        "stars",
        "score",
        "labels",
        "text",
    ]


def test_a_failure_inside_is_counted_and_answered(told, monkeypatch):
    from midwatch.pipeline.failures import FAILURES

    noted: list[str] = []
    monkeypatch.setattr(FAILURES, "note", lambda where, error: noted.append(where))
    monkeypatch.setattr("midwatch.api.feedback._record", lambda *_: 1 / 0)
    assert not midwatch.feedback(thumbs="up")
    assert noted == ["api.feedback"]


def test_without_anything_running_there_are_no_ids(told):
    ids = midwatch.current_ids()
    assert not ids
    assert ids == Ids()
    assert midwatch.feedback(thumbs="up", handle=ids)


def test_ids_can_be_kept_as_a_dict(told):
    with midwatch.turn("s1", turn_id="t1"):
        ids = midwatch.current_ids()
    assert read_ids(ids.as_dict()) == (ids, [])


@given(st.text(max_size=256), st.text(max_size=256))
def test_a_token_holds_any_ids(session_id, turn_id):
    ids = Ids(TRACE, SPAN, session_id, turn_id)
    assert read_ids(ids.token) == (ids, [])
    assert ids.token.replace("-", "").replace("_", "").isalnum()


@given(st.text())
def test_no_text_makes_reading_a_token_raise(text):
    ids, problems = read_ids(text)
    assert ids == Ids() or not problems


def test_a_turn_whose_span_is_not_the_current_one_is_found_all_the_same(told):
    with midwatch.turn("s1", turn_id="t1") as block:
        span = block.turn.span.get_span_context()
        token = context.attach(context.Context())
        ids = midwatch.current_ids()
        context.detach(token)
    assert ids == Ids(f"{span.trace_id:032x}", f"{span.span_id:016x}", "s1", "t1")


@pytest.fixture
def sampling_nothing(told, monkeypatch):
    """The shim's own sampling at a ratio of 0: only what must not be missed is exported."""
    sampling = Sampling.from_settings(
        load_settings({"MIDWATCH_SAMPLE_RATIO": "0"}),
        lambda *_: None,
        [SimpleSpanProcessor(told.exporter)],
        pressure=lambda: 0.0,
        on_change=lambda _: None,
    )
    provider = TracerProvider(sampler=sampling.sampler)
    provider.add_span_processor(SimpleSpanProcessor(told.exporter))
    assert sampling.held is not None
    provider.add_span_processor(sampling.held)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    monkeypatch.setattr(told.recorder, "sampling", sampling)


@pytest.mark.usefixtures("sampling_nothing")
@pytest.mark.parametrize("by_handle", [False, True])
def test_a_turn_with_feedback_is_kept_although_it_was_not_sampled(told, by_handle):
    with midwatch.turn("quiet"):
        pass
    with midwatch.turn("liked"):
        handle = midwatch.current_ids()
        with midwatch.agent("worker"):
            midwatch.feedback(thumbs="up", handle=handle if by_handle else None)
    (turn,) = told.spans("agent.turn")
    assert turn.attributes["session.id"] == "liked"
    assert len(told.spans("invoke_agent worker")) == 1
    assert len(told.spans("feedback")) == 1


@pytest.mark.usefixtures("sampling_nothing")
def test_feedback_on_a_turn_that_is_gone_is_exported_all_the_same(told):
    midwatch.feedback(thumbs="up", trace_id=TRACE, span_id=SPAN)
    (span,) = told.spans("feedback")
    assert span.context.trace_flags.sampled
