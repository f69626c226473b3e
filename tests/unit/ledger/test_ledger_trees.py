"""Trees of traces that are deep, broken or large."""

from __future__ import annotations

from typing import Any

from midwatch_ledger.services.trees import MAX_DEPTH, MAX_SPANS


def depth_of(node: dict[str, Any]) -> int:
    deepest, waiting = 0, [(node, 1)]
    while waiting:
        current, depth = waiting.pop()
        deepest = max(deepest, depth)
        waiting += [(child, depth + 1) for child in current["children"]]
    return deepest


def size_of(nodes: list[dict[str, Any]]) -> int:
    count, waiting = 0, list(nodes)
    while waiting:
        current = waiting.pop()
        count += 1
        waiting += current["children"]
    return count


def test_a_very_deep_trace_is_answered_whole_and_not_deeper_than_readers_bear(ledger: Any) -> None:
    spans = [ledger.otlp.span(number, number - 1 or None) for number in range(1, 501)]
    ledger.send(*spans)

    (root,) = ledger.tree()["spans"]

    assert (size_of([root]), depth_of(root)) == (500, MAX_DEPTH)


def test_spans_that_are_each_others_parents_are_all_shown_once(ledger: Any) -> None:
    ledger.send(ledger.otlp.span(1, 2), ledger.otlp.span(2, 1), ledger.otlp.span(3, 3))

    trace = ledger.tree()

    assert (size_of(trace["spans"]), trace["complete"]) == (3, False)


def test_a_span_whose_parent_is_missing_stands_at_the_top(ledger: Any) -> None:
    ledger.send(ledger.otlp.span(1), ledger.otlp.span(2, 99))

    trace = ledger.tree()

    assert [span["name"] for span in trace["spans"]] == ["span 1", "span 2"]
    assert trace["name"] == "span 1"


def test_a_trace_too_large_to_answer_says_that_it_is_cut(ledger: Any) -> None:
    ledger.send(*(ledger.otlp.span(number, at=number) for number in range(1, MAX_SPANS + 11)))

    trace = ledger.tree()

    assert (trace["truncated"], trace["span_count"]) == (True, MAX_SPANS + 10)
    assert size_of(trace["spans"]) == MAX_SPANS
