"""Whatever happens to the collector, the disk or the clock, the agent's work is unchanged.

The work goes on in this thread while the collector is as bad as it can be; it could not come to its
end if it waited for the collector, which does not get better before. Then the collector recovers,
and what it may have is there, once and in order.
"""

from __future__ import annotations

import logging
import os
import resource
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from midwatch.config import load_settings
from midwatch.pipeline.destinations import Destinations, destinations_from_environment
from midwatch.pipeline.setup import (
    Exporters,
    Pipeline,
    build_pipeline,
    exporters_from_environment,
)

from .receiving import OtlpReceiver, answer, eventually, receiving, reset

TURNS = 200


@pytest.fixture
def collector() -> Iterator[OtlpReceiver]:
    with receiving() as receiver:
        yield receiver


@contextmanager
def exporting_to(url: str, spool: Path, monkeypatch: pytest.MonkeyPatch, **more: str):
    """A pipeline as the environment makes it, that sends often."""
    for name, value in {
        "OTEL_EXPORTER_OTLP_ENDPOINT": url,
        # What is taken later than this, on a busy machine, would be sent a second time.
        "OTEL_EXPORTER_OTLP_TIMEOUT": "10",
        "OTEL_METRICS_EXPORTER": "none",
        "MIDWATCH_FLUSH_INTERVAL": "100ms",
        "MIDWATCH_MAX_RETRIES": "1",
        "MIDWATCH_SPOOL_DIR": str(spool),
        "MIDWATCH_ADAPTIVE_SAMPLING": "false",
        **more,
    }.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.problems == ()
    pipeline = build_pipeline(settings, exporters_from_environment(settings))
    try:
        yield pipeline
    finally:
        pipeline.close(2)


def agent(pipeline: Pipeline, turn: int) -> list[str]:
    """A turn with a tool call and a model call; returns what these found."""
    tracer, found = pipeline.tracer_provider.get_tracer("agent"), []
    with tracer.start_as_current_span(f"turn {turn}"):
        for step in ("tool", "model"):
            with tracer.start_as_current_span(f"{step} {turn}"):
                found.append(f"{step} of {turn}")
    return found


def work(pipeline: Pipeline, turns: int = TURNS) -> None:
    """All turns, each with the result that it has without telemetry."""
    for turn in range(turns):
        assert agent(pipeline, turn) == [f"tool of {turn}", f"model of {turn}"]
        time.sleep(0.001)


def expected(turns: int = TURNS) -> list[str]:
    return [f"{what} {turn}" for turn in range(turns) for what in ("tool", "model", "turn")]


def all_told(pipeline: Pipeline) -> int:
    """The spans that are known to have arrived."""
    counts = pipeline.account.counts()
    return counts[("exported", "none")] + counts[("replayed", "none")]


def hang(handler: BaseHTTPRequestHandler, path: str) -> bool:
    """Answer nothing until the other side gives up."""
    handler.connection.settimeout(30)
    with suppress(OSError):
        handler.connection.recv(1)
    return True


def crawl(handler: BaseHTTPRequestHandler, path: str) -> bool:
    """Take it, slowly."""
    time.sleep(0.2)
    return False


BAD: dict[str, Callable[[BaseHTTPRequestHandler, str], bool]] = {
    "hanging": hang,
    "slow": crawl,
    "resetting connections": lambda handler, path: reset(handler),
    "unavailable": lambda handler, path: answer(handler, 503),
    "asking to wait": lambda handler, path: answer(handler, 429, retry_after="1"),
}


@pytest.mark.parametrize("mode", ["on-failure", "write-ahead"])
@pytest.mark.parametrize("how", BAD)
def test_a_bad_collector_changes_no_work_and_gets_everything_later(
    collector, tmp_path, monkeypatch, how, mode
):
    collector.behave = BAD[how]
    patience = {"OTEL_EXPORTER_OTLP_TIMEOUT": "1"} if how == "hanging" else {}
    with exporting_to(
        collector.url, tmp_path / "spool", monkeypatch, MIDWATCH_SPOOL_MODE=mode, **patience
    ) as pipeline:
        work(pipeline)
        eventually(lambda: collector.requests)
        collector.behave = lambda handler, path: False
        eventually(lambda: len(collector.spans) >= 3 * TURNS)
        # What has waited on disk is in flight no more, and counted when its answer is there.
        eventually(lambda: all_told(pipeline) == 3 * TURNS)
        counts = pipeline.account.counts()
    assert collector.spans == expected()
    assert counts[("exported", "none")] + counts[("replayed", "none")] == 3 * TURNS
    assert counts[("spooled", "none")] == counts[("replayed", "none")]


@pytest.mark.parametrize("mode", ["on-failure", "write-ahead"])
def test_a_dead_collector_gets_everything_when_it_is_back(collector, tmp_path, monkeypatch, mode):
    collector.stop()
    with exporting_to(
        collector.url, tmp_path / "spool", monkeypatch, MIDWATCH_SPOOL_MODE=mode
    ) as pipeline:
        work(pipeline)
        eventually(lambda: pipeline.account.counts()[("spooled", "none")] == 3 * TURNS)
        assert pipeline.routes.spool_bytes() > 0
        assert pipeline.routes.breaker_state() == 2
        collector.start()
        eventually(lambda: pipeline.account.counts()[("replayed", "none")] == 3 * TURNS)
        assert pipeline.routes.breaker_state() == 0
        eventually(lambda: pipeline.routes.spool_bytes() == 0)
    assert collector.spans == expected()


@pytest.mark.parametrize("status", [401, 404])
@pytest.mark.parametrize("who", ["the same process", "the next process"])
def test_a_wrong_key_or_address_that_is_corrected_has_cost_nothing_and_was_told(
    collector, tmp_path, monkeypatch, status, who, caplog
):
    collector.behave = lambda handler, path: answer(handler, status)
    with exporting_to(collector.url, tmp_path / "spool", monkeypatch) as pipeline:
        work(pipeline, 50)
        eventually(lambda: pipeline.account.counts()[("spooled", "none")] == 150)
        assert pipeline.routes.breaker_state() == 2
        if who == "the same process":
            collector.behave = lambda handler, path: False
            eventually(lambda: len(collector.spans) == 150)
    if who == "the next process":
        collector.behave = lambda handler, path: False
        with exporting_to(collector.url, tmp_path / "spool", monkeypatch):
            eventually(lambda: len(collector.spans) == 150)
    assert collector.spans == expected(50)
    told = [r.getMessage() for r in caplog.records if r.levelname == "ERROR"]
    (of_spans,) = [line for line in told if "takes no spans" in line]
    assert f"HTTP {status}" in of_spans
    assert "midwatch doctor" in of_spans


def test_an_end_without_any_time_leaves_everything_to_the_next_process(
    collector, tmp_path, monkeypatch
):
    collector.stop()
    often = {"MIDWATCH_FLUSH_INTERVAL": "3600"}
    with exporting_to(collector.url, tmp_path / "spool", monkeypatch, **often) as pipeline:
        work(pipeline, 50)
        pipeline.close(0)
        counts = pipeline.account.counts()
    assert counts[("dropped", "shutdown")] == 0
    assert counts[("spooled", "none")] == 150
    collector.start()
    with exporting_to(collector.url, tmp_path / "spool", monkeypatch):
        eventually(lambda: len(collector.spans) == 150)
    assert sorted(collector.spans) == sorted(expected(50))


def test_without_a_spool_a_wrong_key_costs_what_memory_does_not_hold(
    collector, tmp_path, monkeypatch
):
    collector.behave = lambda handler, path: answer(handler, 403)
    with exporting_to(
        collector.url, tmp_path / "spool", monkeypatch, MIDWATCH_SPOOL_MODE="off"
    ) as pipeline:
        work(pipeline, 50)
        eventually(lambda: pipeline.routes.breaker_state() == 2)
        assert pipeline.account.counts()[("dropped", "refused")] == 0
        collector.behave = lambda handler, path: False
        eventually(lambda: len(collector.spans) == 150)
    assert collector.spans == expected(50)


def test_a_key_that_is_corrected_right_after_a_refusal_has_cost_nothing(
    collector, tmp_path, monkeypatch
):
    collector.behave = lambda handler, path: collector.requests == 1 and answer(handler, 403)
    with exporting_to(
        collector.url, tmp_path / "spool", monkeypatch, MIDWATCH_SPOOL_MODE="off"
    ) as pipeline:
        work(pipeline, 50)
        eventually(lambda: pipeline.account.in_flight() == 0)
        assert pipeline.account.counts()[("exported", "none")] == 150
    assert collector.spans == expected(50)


def test_a_batch_whose_words_a_firewall_does_not_like_holds_up_no_other(
    collector, tmp_path, monkeypatch
):
    collector.behave = lambda handler, path: (
        b"turn 7" in collector.last_body and answer(handler, 403)
    )
    with exporting_to(collector.url, tmp_path / "spool", monkeypatch) as pipeline:
        for turn in range(20):
            agent(pipeline, turn)
            pipeline.flush(5)
        eventually(lambda: pipeline.account.in_flight() == 0)
        assert pipeline.account.counts()[("dropped", "refused")] == 3
    assert collector.spans == [name for name in expected(20) if not name.endswith(" 7")]


@pytest.mark.parametrize("status", [400, 413, 500])
def test_a_refusing_collector_changes_no_work_and_each_loss_is_counted(
    collector, tmp_path, monkeypatch, status, caplog
):
    collector.behave = lambda handler, path: answer(handler, status)
    with exporting_to(collector.url, tmp_path / "spool", monkeypatch) as pipeline:
        work(pipeline, 50)
        eventually(lambda: pipeline.account.in_flight() == 0)
        assert pipeline.account.counts()[("dropped", "refused")] == 150
    assert len([r for r in caplog.records if "refuses spans for good" in r.getMessage()]) == 1
    assert collector.spans == []


@contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process can grow beyond a little, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("mode", ["on-failure", "write-ahead"])
def test_a_full_disk_changes_no_work_and_loses_nothing_that_memory_holds(
    collector, tmp_path, monkeypatch, mode
):
    collector.stop()
    with (
        exporting_to(
            collector.url,
            tmp_path / "spool",
            monkeypatch,
            MIDWATCH_SPOOL_MODE=mode,
            OTEL_LOGS_EXPORTER="none",
        ) as pipeline,
        full_disk(),
    ):
        work(pipeline)
        eventually(lambda: pipeline.routes.breaker_state() == 2)
        collector.start()
        eventually(lambda: len(collector.spans) >= 3 * TURNS)
    assert collector.spans == expected()


def test_a_full_disk_and_a_dead_collector_lose_the_oldest_and_count_them(
    collector, tmp_path, monkeypatch
):
    collector.stop()
    with (
        exporting_to(
            collector.url, tmp_path / "spool", monkeypatch, MIDWATCH_BUFFER_SIZE="60"
        ) as pipeline,
        full_disk(),
    ):
        work(pipeline)
        eventually(lambda: pipeline.account.counts()[("dropped", "queue_full")] > 100)
        collector.start()
        eventually(lambda: pipeline.account.in_flight() == 0)
        counts = pipeline.account.counts()
    sent = counts[("exported", "none")] + counts[("replayed", "none")]
    assert sent == len(collector.spans)
    assert counts[("created", "none")] == 3 * TURNS == sent + counts[("dropped", "queue_full")]
    assert collector.spans[-1] == expected()[-1]


@pytest.mark.parametrize("mode", ["on-failure", "write-ahead"])
def test_a_folder_that_cannot_be_written_changes_no_work_and_is_told_once(
    collector, monkeypatch, caplog, mode
):
    monkeypatch.setattr("midwatch.pipeline.spool._complained", set())
    collector.stop()
    with exporting_to(
        collector.url, Path("/proc/midwatch"), monkeypatch, MIDWATCH_SPOOL_MODE=mode
    ) as pipeline:
        work(pipeline)
        collector.start()
        eventually(lambda: len(collector.spans) >= 3 * TURNS)
    assert collector.spans == expected()
    told = [r.getMessage() for r in caplog.records if "cannot be used" in r.getMessage()]
    assert len(told) == 1
    assert "MIDWATCH_SPOOL_DIR" in told[0]


@contextmanager
def nobody() -> Iterator[None]:
    """As a user who may not write everywhere, if this one may."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


@pytest.mark.parametrize("mode", ["on-failure", "write-ahead"])
def test_a_read_only_folder_changes_no_work(collector, monkeypatch, caplog, mode):
    monkeypatch.setattr("midwatch.pipeline.spool._complained", set())
    with tempfile.TemporaryDirectory() as folder:
        # What is imported with the first batch could not be read by another user.
        with exporting_to(collector.url, Path(folder) / "spool", monkeypatch) as pipeline:
            work(pipeline, 1)
        Path(folder).chmod(0o555)
        collector.spans.clear()
        collector.stop()
        with (
            nobody(),
            exporting_to(
                collector.url, Path(folder) / "other", monkeypatch, MIDWATCH_SPOOL_MODE=mode
            ) as pipeline,
        ):
            work(pipeline)
            eventually(lambda: pipeline.routes.breaker_state() == 2)
            collector.start()
            eventually(lambda: len(collector.spans) >= 3 * TURNS)
        assert not (Path(folder) / "other").exists()
    assert collector.spans == expected()
    assert len([r for r in caplog.records if "cannot be used" in r.getMessage()]) == 1


@pytest.mark.parametrize("jump", [-10 * 365 * 86400, 10 * 365 * 86400])
def test_a_clock_that_jumps_changes_no_work_and_no_delivery(collector, tmp_path, monkeypatch, jump):
    collector.stop()
    with exporting_to(collector.url, tmp_path / "spool", monkeypatch) as pipeline:
        work(pipeline, 50)
        eventually(lambda: pipeline.account.counts()[("spooled", "none")] > 0)
        real, real_ns = time.time, time.time_ns
        monkeypatch.setattr(time, "time", lambda: real() + jump)
        monkeypatch.setattr(time, "time_ns", lambda: real_ns() + jump * 10**9)
        work(pipeline, 50)
        collector.start()
        eventually(lambda: len(collector.spans) >= 300)
    assert collector.spans == expected(50) * 2


@contextmanager
def two_receivers(first, second, tmp_path, monkeypatch) -> Iterator[Pipeline]:
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    settings = load_settings({"MIDWATCH_FLUSH_INTERVAL": "100ms"})
    spans = []
    for name, receiver in (("first", first), ("second", second)):
        found = destinations_from_environment(
            settings, {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url}
        )
        spans.append(replace(found.spans[0], name=name))
    pipeline = build_pipeline(
        replace(settings, spool_dir=tmp_path / "spool"),
        Exporters(destinations=Destinations(spans=tuple(spans))),
    )
    try:
        yield pipeline
    finally:
        pipeline.close(0.1)


def test_a_hanging_receiver_delays_no_other(collector, tmp_path, monkeypatch):
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    with receiving() as other:
        other.behave = hang
        with two_receivers(other, collector, tmp_path, monkeypatch) as pipeline:
            work(pipeline)
            eventually(lambda: len(collector.spans) >= 3 * TURNS)
            assert collector.spans == expected()
            assert other.spans == []
            delivered = pipeline.routes.counts.counts()
            assert delivered[("second", "traces", "exported", "none")] == 3 * TURNS
            # The account follows the first receiver.
            assert pipeline.account.counts()[("exported", "none")] == 0


def test_an_exit_with_a_hanging_collector_takes_two_seconds_and_keeps_everything(
    collector, tmp_path, monkeypatch
):
    collector.behave = hang
    with exporting_to(
        collector.url, tmp_path / "spool", monkeypatch, OTEL_EXPORTER_OTLP_TIMEOUT="30"
    ) as pipeline:
        work(pipeline, 50)
        begun = time.monotonic()
        pipeline.close(2.0)
        assert time.monotonic() - begun < 4
        counts = pipeline.account.counts()
    assert counts[("spooled", "none")] == 150
    collector.behave = lambda handler, path: False
    with exporting_to(collector.url, tmp_path / "spool", monkeypatch):
        eventually(lambda: len(collector.spans) >= 150)
    assert collector.spans == expected(50)


def test_what_fails_is_told_when_it_begins_and_when_it_ends(
    collector, tmp_path, monkeypatch, caplog
):
    def told() -> list[str]:
        return [r.getMessage() for r in caplog.records if "export of spans" in r.getMessage()]

    caplog.set_level(logging.WARNING, "midwatch")
    collector.stop()
    with exporting_to(collector.url, tmp_path / "spool", monkeypatch) as pipeline:
        work(pipeline, 20)
        eventually(lambda: pipeline.account.counts()[("spooled", "none")] == 60)
        collector.start()
        # The receiver has the spans before the sender knows that it has.
        eventually(lambda: len(told()) >= 2)
    begun, ended = told()
    assert "fails" in begun
    assert f"waits in {tmp_path / 'spool'}" in begun
    assert "works again" in ended
