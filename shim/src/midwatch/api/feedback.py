"""`feedback`: what users and reviewers think of an answer."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from opentelemetry import context, trace
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags

from midwatch.api.arguments import shown
from midwatch.api.ids import Ids, checked, current_ids, read_ids
from midwatch.instruments.recorder import get_recorder
from midwatch.instruments.recording import SCOPE
from midwatch.instruments.turn_state import current_turn
from midwatch.instruments.turns import quiet_detach
from midwatch.pipeline.failures import FAILURES
from midwatch.registry.attributes import FEEDBACK_SCORES, SESSION_ID, TURN_ID
from midwatch.registry.span_attributes import FEEDBACK_KIND, FEEDBACK_VALUE

_STARS = range(1, 6)
_MAX_LABELS = 10
_MAX_LABEL_LENGTH = 50
_MAX_TEXT_LENGTH = 10_000
_THUMBS = {"up": "up", "down": "down", True: "up", False: "down"}


@dataclass(frozen=True)
class FeedbackResult:
    """Whether feedback was taken (also its truth value), and if not, everything wrong with it."""

    problems: tuple[str, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether it was taken."""
        return not self.problems

    def __bool__(self) -> bool:
        """Whether it was taken."""
        return self.accepted


@dataclass(frozen=True)
class _Part:
    kind: str
    value: str
    score: float | None = None


def feedback(
    *,
    thumbs: str | bool | None = None,
    stars: int | None = None,
    score: float | None = None,
    score_range: tuple[float, float] = (0.0, 1.0),
    text: str | None = None,
    labels: Sequence[str] = (),
    handle: Ids | Mapping[str, str] | str | None = None,
    trace_id: str = "",
    span_id: str = "",
    session_id: str = "",
    turn_id: str = "",
) -> FeedbackResult:
    """Record what somebody thinks of an answer; never raises.

    Several kinds may be given at once. Feedback is about what the handle or the ids name, else
    about the turn and the span that run here.

    Args:
        thumbs: `up` or `down` (or true or false).
        stars: from 1 to 5.
        score: a number within `score_range`.
        score_range: the lowest and the highest score.
        text: the person's own words; they leave the process by content policy only.
        labels: up to 10 short labels, such as `wrong-tool`.
        handle: what `midwatch.current_ids()` returned in the turn, or its `token`.
        trace_id: the trace, 32 hexadecimal digits.
        span_id: a span of the trace, such as that of a model call, 16 hexadecimal digits.
        session_id: the session.
        turn_id: the turn.
    """
    try:
        target, problems = _target(handle, Ids(trace_id, span_id, session_id, turn_id))
        parts = list(_rated(thumbs, stars, score, score_range, problems))
        marks = _labels(labels, problems)
        words = _words(text, problems)
        parts = parts or [_Part("text", "given")] * bool(words)
        if not problems and not parts and not marks:
            problems.append("feedback: empty; give thumbs, stars, score, text or labels")
        if problems:
            return FeedbackResult(tuple(problems))
        parts += [_Part("label", mark) for mark in marks] if not parts else []
        _record(target, parts, marks, words)
    except Exception as error:
        FAILURES.note("api.feedback", error)
        return FeedbackResult((f"feedback: failed inside midwatch ({type(error).__name__})",))
    return FeedbackResult()


def _target(handle: object, given: Ids) -> tuple[Ids, list[str]]:
    if handle is not None:
        ids, problems = read_ids(handle)
        if given:
            problems.append("handle: give either it or ids, not both")
        return ids, problems
    return checked(given) if given else (current_ids(), [])


def _rated(
    thumbs: object, stars: object, score: object, limits: object, problems: list[str]
) -> Iterator[_Part]:
    if thumbs is not None:
        if isinstance(thumbs, str | bool) and thumbs in _THUMBS:
            yield _Part("thumb", _THUMBS[thumbs])
        else:
            problems.append(f"thumbs: {shown(thumbs)} is not allowed; give 'up' or 'down'")
    if stars is not None:
        if isinstance(stars, int) and not isinstance(stars, bool) and stars in _STARS:
            yield _Part("stars", str(stars))
        else:
            problems.append(
                f"stars: {shown(stars)} is not allowed; give a whole number from 1 to 5"
            )
    if score is not None:
        yield from _scored(score, limits, problems)


def _scored(score: object, limits: object, problems: list[str]) -> Iterator[_Part]:
    if not (
        isinstance(limits, tuple | list)
        and len(limits) == 2
        and all(_is_number(limit) for limit in limits)
        and float("-inf") < limits[0] < limits[1] < float("inf")
    ):
        problems.append(f"score_range: {shown(limits)} is not allowed; give two ascending numbers")
        return
    low, high = limits
    if not (isinstance(score, int | float) and _is_number(score) and low <= score <= high):
        problems.append(f"score: {shown(score)} is not allowed; give a number from {low} to {high}")
        return
    share = (score - low) / (high - low)
    fifth = min(int(share * len(FEEDBACK_SCORES)), len(FEEDBACK_SCORES) - 1)
    yield _Part("score", FEEDBACK_SCORES[fifth], share)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _labels(given: object, problems: list[str]) -> tuple[str, ...]:
    wanted = f"at most {_MAX_LABELS} texts of 1 to {_MAX_LABEL_LENGTH} characters"
    if (
        not isinstance(given, Sequence)
        or isinstance(given, str | bytes)
        or len(given) > _MAX_LABELS
        or not all(isinstance(one, str) and 0 < len(one) <= _MAX_LABEL_LENGTH for one in given)
    ):
        problems.append(f"labels: {shown(given)} is not allowed; give a list of {wanted}")
        return ()
    return tuple(dict.fromkeys(given))


def _words(given: object, problems: list[str]) -> str | None:
    if given is None:
        return None
    if not isinstance(given, str):
        problems.append(f"text: {shown(given)} is not allowed; give a text")
        return None
    return given.strip()[:_MAX_TEXT_LENGTH] or None


def _record(target: Ids, parts: list[_Part], labels: tuple[str, ...], words: str | None) -> None:
    ids = {"session_id": target.session_id, "turn_id": target.turn_id}
    with _about(target, parts[0]):
        for number, part in enumerate(parts):
            # What is said once is told once, with the first.
            first = number == 0
            get_recorder().feedback(
                part.kind,
                part.value,
                score=part.score,
                labels=labels if first else (),
                comment=words if first else None,
                ids=ids,
                by="hand",
            )


@contextmanager
def _about(target: Ids, part: _Part) -> Iterator[None]:
    """In the target's context, with a span of the target's trace that tells of the feedback.

    That span is always sampled and says what it is from its beginning on: by it the collector knows
    that the trace is to be kept. An event in the block is the target's own where that is a span.
    """
    told = {FEEDBACK_KIND.name: part.kind, FEEDBACK_VALUE.name: part.value}
    turn = current_turn()
    if turn is not None and turn.turn_id == target.turn_id and turn.span.is_recording():
        turn.span.set_attributes(told)
    if not target.trace_id:
        yield
        return
    span_id = target.span_id or secrets.token_hex(8)
    parent = _span_context(target.trace_id, span_id, TraceFlags.SAMPLED)
    span = trace.get_tracer(SCOPE).start_span(
        "feedback",
        trace.set_span_in_context(NonRecordingSpan(parent)),
        SpanKind.INTERNAL,
        {
            **told,
            **({SESSION_ID.name: target.session_id} if target.session_id else {}),
            **({TURN_ID.name: target.turn_id} if target.turn_id else {}),
        },
    )
    token = context.attach(trace.set_span_in_context(_span_of(target) or span))
    try:
        yield
    finally:
        quiet_detach(token)
        span.end()


def _span_of(target: Ids) -> Span | None:
    """The span that the feedback is about, if it names one.

    One that is not the current one may have been sampled or not; the shim's sampler is asked to
    keep what is not, so that this is what it is taken for.
    """
    if not target.span_id:
        return None
    about = _span_context(target.trace_id, target.span_id, TraceFlags.DEFAULT)
    current = trace.get_current_span()
    known = current.get_span_context()
    if (known.trace_id, known.span_id) == (about.trace_id, about.span_id):
        return current
    return NonRecordingSpan(about)


def _span_context(trace_id: str, span_id: str, flags: int) -> SpanContext:
    return SpanContext(
        int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(flags)
    )
