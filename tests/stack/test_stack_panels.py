"""Every panel of the boards has data in the running stack, or is meant to have none.

Tests of a folder run by the names of their files: this comes after those of the commands, while
which the stack's panels fill, and before the faults and kills of the pipeline's.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

BUILDERS = Path(__file__).resolve().parents[2] / "grafana-dashboards"
# The folder is no distribution: it holds the boards and the code that builds them.
if str(BUILDERS) not in sys.path:
    sys.path.insert(0, str(BUILDERS))

from builders import BOARDS, Board, Panel  # noqa: E402  (the path is set just above)

pytestmark = pytest.mark.programs

FAULT = "nothing of the kind goes wrong in the demo's quiet traffic"
NO_PEOPLE = "nobody gives feedback in the demo's quiet traffic"
NO_BUDGET = "the demo sets no budget"
UNUSED = "the demo's agents do not use this"
MINUTES = "compares with minutes ago, and the stack is younger than that"
DAYS = "compares with other days"

# Panels that may be empty, and why.
EMPTY: dict[str, dict[int, str]] = {
    "midwatch-fleet": {21: FAULT, 41: MINUTES, 42: DAYS, 53: UNUSED, 54: NO_PEOPLE},
    "midwatch-agent": {
        41: FAULT,
        42: MINUTES,
        61: MINUTES,
        81: UNUSED,
        82: NO_PEOPLE,
        83: UNUSED,
        101: DAYS,
        103: MINUTES,
        **dict.fromkeys(range(104, 109), DAYS),
        109: MINUTES,
    },
    "midwatch-models": {
        51: NO_BUDGET,
        52: NO_BUDGET,
        53: NO_BUDGET,
        61: FAULT,
        62: FAULT,
        71: UNUSED,
        72: NO_PEOPLE,
    },
    "midwatch-pipeline": {23: FAULT, 54: FAULT, 55: FAULT, 56: FAULT},
}


def plain(query: str) -> str:
    """The query as Grafana asks it with every variable at All."""
    query = query.replace("$__rate_interval", "1m").replace("$__range", "5m")
    return re.sub(r'=~"\$\w+"', '=~".*"', query)


def may_be_empty(board: Board, panel: Panel) -> bool:
    """Whether it is listed."""
    return panel.id in EMPTY.get(board.uid, {})


def test_the_list_of_empty_panels_names_panels_that_there_are() -> None:
    known = {board.uid: {panel.id for panel in board.panels} for board in BOARDS}
    for uid, reasons in EMPTY.items():
        assert set(reasons) <= known[uid]


def test_every_panel_has_data_or_is_meant_to_be_empty(running: Any) -> None:
    def without_data(panels: list[tuple[Board, Panel]]) -> list[tuple[Board, Panel]]:
        return [
            (board, panel)
            for board, panel in panels
            if not any(running.sources.query(plain(query.expr)) for query in panel.queries)
        ]

    every = [
        (board, panel)
        for board in BOARDS
        for panel in board.panels
        if panel.source == "prometheus" and not may_be_empty(board, panel)
    ]
    missing = every

    def all_have_data() -> bool:
        # What had none is asked for again, and when it has, everything once more.
        nonlocal missing
        late = len(missing) < len(every)
        missing = without_data(missing) or (without_data(every) if late else [])
        return not missing

    try:
        running.eventually(all_have_data, seconds=120)
    except AssertionError:
        names = [f"{board.uid} {panel.id} {panel.title}" for board, panel in missing]
        raise AssertionError(f"without data: {names}") from None


def test_every_query_of_a_board_is_taken_by_prometheus(running: Any) -> None:
    for board in BOARDS:
        for panel in board.panels:
            if panel.source == "prometheus":
                for query in panel.queries:
                    running.sources.query(plain(query.expr))
        for annotation in board.annotations:
            running.sources.query(plain(annotation.expr))
