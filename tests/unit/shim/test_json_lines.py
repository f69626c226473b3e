"""The file of events: one whole JSON object a line, whatever happens around it."""

from __future__ import annotations

import json
import logging
import multiprocessing
import threading
from datetime import datetime, timedelta

import pytest
from midwatch import AgentTelemetry
from midwatch.pipeline.events import EventRecord, JsonLinesSink, plain
from midwatch.pipeline.failures import FAILURES


def rows(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_line_has_the_fields_of_the_contract_in_their_order(tmp_path):
    path = tmp_path / "not" / "yet" / "there" / "events.jsonl"
    JsonLinesSink(path).write(EventRecord("handoff", "t", "s", "se", "tu", "svc", {"a": 1}))
    (row,) = rows(path)
    assert list(row) == [
        "ts",
        "event",
        "trace_id",
        "span_id",
        "session_id",
        "turn_id",
        "service",
        "metadata",
    ]
    assert row["metadata"] == {"a": 1}


def test_the_time_is_rfc_3339_in_utc(tmp_path):
    path = tmp_path / "events.jsonl"
    JsonLinesSink(path).write(EventRecord("handoff"))
    (row,) = rows(path)
    assert row["ts"].endswith("Z")
    assert datetime.fromisoformat(row["ts"]).utcoffset() == timedelta(0)


def test_lines_of_many_threads_do_not_mix(tmp_path):
    path = tmp_path / "events.jsonl"
    sink = JsonLinesSink(path)
    metadata = {"text": "x" * 9000}

    def write_many() -> None:
        for _ in range(50):
            sink.write(EventRecord("message.sent", metadata=metadata))

    threads = [threading.Thread(target=write_many) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(rows(path)) == 400


def write_in_child(sink: JsonLinesSink) -> None:
    for _ in range(50):
        sink.write(EventRecord("message.sent", metadata={"text": "y" * 5000}))


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_lines_of_forked_workers_do_not_mix(tmp_path):
    path = tmp_path / "events.jsonl"
    sink = JsonLinesSink(path)
    sink.write(EventRecord("turn.started"))
    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=write_in_child, args=(sink,)) for _ in range(4)]
    for worker in workers:
        worker.start()
    write_in_child(sink)
    for worker in workers:
        worker.join()
    assert len(rows(path)) == 251


def test_a_rotated_file_is_followed_by_a_new_one(tmp_path):
    path = tmp_path / "events.jsonl"
    sink = JsonLinesSink(path)
    sink.write(EventRecord("turn.started"))
    path.rename(tmp_path / "events.jsonl.1")
    sink.write(EventRecord("turn.finished"))
    assert [row["event"] for row in rows(path)] == ["turn.finished"]


def test_a_path_that_cannot_be_written_is_counted_and_logged_once(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    before = FAILURES.counts().get("jsonl", 0)
    sink = JsonLinesSink(tmp_path / "file" / "events.jsonl")
    with caplog.at_level(logging.WARNING, logger="midwatch"):
        for _ in range(3):
            sink.write(EventRecord("turn.started"))
    assert FAILURES.counts()["jsonl"] == before + 3
    assert len(caplog.records) == 1


def test_values_that_json_does_not_know_become_their_text(tmp_path):
    path = tmp_path / "events.jsonl"
    telemetry = AgentTelemetry(namespace="x", trace_jsonl_path=path)
    telemetry.emit_event(
        "mine", metadata={"set": {1}, "nan": float("nan"), "path": path, "none": None, "\ud800": 1}
    )
    (row,) = rows(path)
    assert row["metadata"]["set"] == [1]
    assert row["metadata"]["nan"] == "nan"
    assert row["metadata"]["path"] == str(path)
    assert "none" not in row["metadata"]


def test_nested_values_keep_their_shape():
    assert plain({"a": ({"b": 1.5},), "c": True}) == {"a": [{"b": 1.5}], "c": True}
