"""Where the time of a trace goes: each span's own time, and the critical path.

A span's own time is what none of its children covers. The critical path is what the trace's end
waited for: from the end backwards, always the child that ended last before. Its parts add up to the
trace's duration, so that a part of it is what the trace would be shorter by, at most.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stretch:
    """A span as time: when it began and ended, in nanoseconds, and which span it is part of."""

    span_id: str
    parent_span_id: str | None
    start: int
    end: int


def own_times(spans: Sequence[Stretch]) -> dict[str, int]:
    """Return how many nanoseconds of each span none of its children covers."""
    _, children = tree(spans)
    return {
        span.span_id: (span.end - span.start) - _covered(span, children.get(span.span_id, ()))
        for span in spans
    }


def critical_path(spans: Sequence[Stretch]) -> dict[str, int]:
    """Return how many nanoseconds each span is on the critical path of the root.

    Raises:
        ValueError: there are no spans.
    """
    root, children = tree(spans)
    path: dict[str, int] = defaultdict(int)
    waiting = [(root, root.start, root.end)]
    while waiting:
        span, start, end = waiting.pop()
        for child, child_start, child_end in _waited_for(
            children.get(span.span_id, ()), start, end
        ):
            path[span.span_id] += end - child_end
            waiting.append((child, child_start, child_end))
            end = child_start
        path[span.span_id] += end - start
    return dict(path)


def tree(spans: Sequence[Stretch]) -> tuple[Stretch, Mapping[str, Sequence[Stretch]]]:
    """Return the root and the children of each span; spans whose parent is missing are the root's.

    Raises:
        ValueError: there are no spans.
    """
    if not spans:
        raise ValueError("a trace without spans has no root")
    known = {span.span_id: span for span in spans}
    ordered = sorted(spans, key=lambda span: (span.start, -span.end, span.span_id))
    orphans = [span for span in ordered if span.parent_span_id not in known]
    root = next((span for span in orphans if span.parent_span_id is None), None)
    root = root or (orphans or ordered)[0]
    children: dict[str, list[Stretch]] = defaultdict(list)
    for span in ordered:
        if span is not root:
            parent = span.parent_span_id if span.parent_span_id in known else root.span_id
            children[str(parent)].append(span)
    return root, children


def _covered(span: Stretch, children: Sequence[Stretch]) -> int:
    covered, reached = 0, span.start
    for child in sorted(children, key=lambda one: one.start):
        start, end = max(child.start, reached), min(child.end, span.end)
        if end > start:
            covered += end - start
            reached = end
    return covered


def _waited_for(
    children: Sequence[Stretch], start: int, end: int
) -> Iterator[tuple[Stretch, int, int]]:
    """Give the children that the time from start to end waited for, the last first."""
    for child in sorted(children, key=lambda one: (one.end, one.start), reverse=True):
        child_start, child_end = max(child.start, start), min(child.end, end)
        if child_end > child_start:
            yield child, child_start, child_end
            end = child_start
