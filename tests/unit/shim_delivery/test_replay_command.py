"""`midwatch replay`: what lies in a spool is sent without the process that wrote it."""

from __future__ import annotations

import json

import pytest
from midwatch.cli import app
from midwatch.pipeline.payloads import Payload, Sent, Unavailable
from typer.testing import CliRunner

from tests.free_ports import free_port

from .receiving import answer, receiving


def otlp(*names: str) -> bytes:
    spans = [
        {"name": name, "spanId": f"{number:016x}", "traceId": f"{number:032x}"}
        for number, name in enumerate(names, 1)
    ]
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()


@pytest.fixture
def left(process, receiver, spool_dir):
    """A spool in which a killed process left three payloads."""
    receiver.answer = lambda _: Unavailable("away")
    killed = process()
    for names in (["a"], ["b", "c"], ["d"]):
        killed.create(len(names))
        killed.lane.submit(Payload("traces", "application/json", otlp(*names), len(names)))
        killed.work()
    killed.kill()
    return spool_dir


def run(*arguments: str):
    return CliRunner().invoke(app, ["replay", *arguments])


def test_everything_is_sent_in_order_and_summed_up(left, process):
    with receiving() as collector:
        done = run("--dir", str(left), "--endpoint", collector.url)
    assert done.exit_code == 0, done.output
    assert collector.spans == ["a", "b", "c", "d"]
    assert "otlp spans: 4 sent, 0 refused" in done.output
    assert run("--dir", str(left)).output.startswith("Nothing waits")
    sums = process().spool.accounts.sum()
    assert sums[("replayed", "none")] == sums[("spooled", "none")] == 4


def test_the_environment_says_where_the_spool_and_the_receiver_are(left, monkeypatch):
    with receiving() as collector:
        monkeypatch.setenv("MIDWATCH_SPOOL_DIR", str(left))
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        assert run().exit_code == 0
    assert len(collector.spans) == 4


@pytest.mark.parametrize("option", ["--dry-run", "--list"])
def test_a_list_sends_nothing(left, option):
    with receiving() as collector:
        done = run("--dir", str(left), "--endpoint", collector.url, option)
    assert done.exit_code == 0
    assert "otlp spans: 4 wait" in done.output
    assert collector.requests == 0


def test_a_receiver_that_is_away_keeps_everything_and_fails_the_command(left, monkeypatch):
    monkeypatch.setattr("midwatch.pipeline.replay.time.sleep", lambda seconds: None)
    monkeypatch.setenv("MIDWATCH_MAX_RETRIES", "0")
    done = run("--dir", str(left), "--endpoint", f"http://127.0.0.1:{free_port()}")
    assert done.exit_code == 1
    assert "is away" in done.output
    assert "4 wait" in run("--dir", str(left), "--list").output


def test_what_is_refused_is_dropped_told_and_fails_the_command(left):
    with receiving() as collector:
        collector.behave = lambda handler, path: answer(handler, 400)
        done = run("--dir", str(left), "--endpoint", collector.url)
    assert done.exit_code == 1
    assert "4 refused for good" in done.output
    assert run("--dir", str(left)).output.startswith("Nothing waits")


def test_what_a_running_process_keeps_is_left_to_it(process, receiver, spool_dir):
    receiver.answer = lambda _: Unavailable("away")
    living = process()
    living.submit("mine")
    living.work()
    with receiving() as collector:
        done = run("--dir", str(spool_dir), "--endpoint", collector.url)
    assert done.exit_code == 0
    assert "1 more are sent by the processes that run" in done.output
    assert collector.requests == 0
    living.kill()


def test_while_a_running_process_sends_what_is_left_the_command_does_not(left, process, receiver):
    heir = process()
    receiver.answer = lambda _: Unavailable("away")
    heir.lane.step()
    with receiving() as collector:
        done = run("--dir", str(left), "--endpoint", collector.url)
    assert done.exit_code == 1
    assert "a running process is sending it now" in done.output
    receiver.answer = lambda _: Sent()
    heir.kill()


def test_a_destination_that_is_not_set_up_is_told(left, monkeypatch):
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    done = run("--dir", str(left))
    assert done.exit_code == 1
    assert "no receiver of traces is set up for 'otlp'" in done.output


def test_a_folder_that_is_not_there_is_told(tmp_path):
    done = run("--dir", str(tmp_path / "nowhere"))
    assert done.exit_code == 2
    assert "is no folder" in done.output


def test_an_empty_spool_is_no_problem(tmp_path):
    assert run("--dir", str(tmp_path)).exit_code == 0
