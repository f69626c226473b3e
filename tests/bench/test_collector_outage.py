"""The collector's benchmark tells what is lost; a store that comes back gets everything."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.bench.collector.outage import STORES, arrived, measure_outages


def test_what_is_lost_and_what_came_more_than_once_are_told_apart():
    found = arrived(Counter({1: 1, 2: 3, 4: 1}), range(1, 6))
    assert found == {"arrived": 3, "lost": 2, "twice": 2}


@pytest.mark.programs
def test_a_store_that_was_away_gets_every_span_and_the_others_did_not_wait(tmp_path: Path):
    rows = measure_outages(1.5, 80, tmp_path / "queues", lambda _: None)
    assert [row["store"] for row in rows] == list(STORES)
    for row in rows:
        assert row["waiting_at_return"] > 0
        for name, one in row["arrived"].items():
            sent = row["samples_sent"] if name == "prometheus" else row["spans_sent"]
            assert (one["arrived"], one["lost"]) == (sent, 0), (row["store"], name)
        assert all(
            behind < row["waiting_at_return"] for behind in row["others_behind_at_return"].values()
        )
