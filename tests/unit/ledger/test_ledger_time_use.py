"""Own time and critical path, on spans of any shape."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from midwatch_ledger.services.time_use import Stretch, critical_path, own_times, tree

TIMES = st.tuples(st.integers(0, 60), st.integers(0, 60)).map(sorted)


@st.composite
def forests(draw: st.DrawFn) -> list[Stretch]:
    """Draw spans with parents among those before them, unknown ones, and even cycles."""
    count = draw(st.integers(1, 12))
    names = [str(number) for number in range(count)]
    parents = [None, "missing", *names]
    return [Stretch(name, draw(st.sampled_from(parents)), *draw(TIMES)) for name in names]


@st.composite
def nested(draw: st.DrawFn) -> list[Stretch]:
    """Draw a tree whose children lie within their parents and don't overlap."""
    spans = [Stretch("0", None, 0, 1000)]
    free = {"0": 0}
    for number in range(1, draw(st.integers(2, 12))):
        parent = draw(st.sampled_from(spans))
        room = parent.end - free[parent.span_id]
        start = free[parent.span_id] + draw(st.integers(0, max(0, room // 2)))
        end = start + draw(st.integers(0, max(0, (parent.end - start) // 2)))
        free[parent.span_id] = end
        spans.append(Stretch(str(number), parent.span_id, start, end))
        free[str(number)] = start
    return spans


@given(forests())
def test_own_time_is_what_no_child_covers_moment_by_moment(spans: list[Stretch]) -> None:
    _, children = tree(spans)
    found = own_times(spans)

    for span in spans:
        uncovered = sum(
            not any(child.start <= moment < child.end for child in children.get(span.span_id, ()))
            for moment in range(span.start, span.end)
        )
        assert found[span.span_id] == uncovered


@given(forests())
def test_the_critical_path_is_as_long_as_its_root(spans: list[Stretch]) -> None:
    path = critical_path(spans)

    lengths = {span.span_id: span.end - span.start for span in spans}
    assert sum(path.values()) in lengths.values()
    assert all(0 <= time <= lengths[name] for name, time in path.items())


@given(nested())
def test_where_nothing_overlaps_all_own_time_is_critical(spans: list[Stretch]) -> None:
    own, critical = own_times(spans), critical_path(spans)

    assert sum(own.values()) == 1000
    assert {name: time for name, time in own.items() if time} == {
        name: time for name, time in critical.items() if time
    }


def test_of_parallel_work_only_what_was_waited_for_is_critical() -> None:
    spans = [
        Stretch("turn", None, 0, 100),
        Stretch("slow", "turn", 10, 90),
        Stretch("quick", "turn", 10, 40),
        Stretch("late", "turn", 95, 300),
    ]

    assert critical_path(spans) == {"turn": 15, "slow": 80, "late": 5}
    assert own_times(spans)["turn"] == 15


def test_without_spans_there_is_no_path() -> None:
    with pytest.raises(ValueError, match="no root"):
        critical_path([])
