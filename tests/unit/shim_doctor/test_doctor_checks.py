"""What the doctor sees of settings, libraries, content, sampling, spool, prices and prompts."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import socket
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from midwatch.doctor.spool import shown_bytes, shown_seconds
from midwatch.instrumentors.libraries import LIBRARIES
from midwatch.pipeline.payloads import Payload
from midwatch.pipeline.spool import Spool
from midwatch.pipeline.spool_lane import SpoolLane

from tests.free_ports import free_port


def problems(report) -> str:
    return "\n".join(str(problem) for problem in report.problems)


def test_all_wrong_settings_are_told_at_once(look):
    report = look(
        MIDWATCH_CONTENT="all",
        LANGFUSE_SAMPLE_RATE="9",
        OTEL_TRACES_EXPORTER="otlp",
        OTEL_EXPORTER_OTLP_PROTOCOL="carrier-pigeon",
        options={"offline": True},
    )
    assert [problem.name for problem in report.problems] == [
        "MIDWATCH_CONTENT",
        "LANGFUSE_SAMPLE_RATE",
        "OTEL_EXPORTER_OTLP_PROTOCOL",
    ]
    assert re.search("OTLP_PROTOCOL=.* set it to one of .*grpc", problems(report))


def test_the_settings_that_are_set_are_named(look):
    found = look(MIDWATCH_CONTENT="full").section("settings")["variables"]
    assert found.data["set"] == ["MIDWATCH_CONTENT", "MIDWATCH_SPOOL_DIR"]


@pytest.mark.parametrize(
    "variables", [{"AGENT_OBSERVABILITY_ENABLED": "false"}, {"OTEL_SDK_DISABLED": "true"}]
)
def test_telemetry_that_is_off_is_told(look, variables):
    report = look(options={"self_test": True, "offline": True}, **variables)
    assert next(iter(variables)) in report.section("environment")["enabled"].detail
    assert "instrumented when it is imported" in report.section("libraries")["flask"].detail


@pytest.mark.parametrize(
    ("variables", "others"),
    [
        ({}, "distro"),
        ({"OTEL_PYTHON_DISTRO": "midwatch"}, "configurator"),
        ({"OTEL_PYTHON_DISTRO": "midwatch", "OTEL_PYTHON_CONFIGURATOR": "house"}, "house"),
        ({"OTEL_PYTHON_DISTRO": "midwatch", "OTEL_PYTHON_CONFIGURATOR": "midwatch"}, ""),
    ],
)
def test_another_distribution_that_the_official_launcher_may_start_instead_is_told(
    look, monkeypatch, variables, others
):
    monkeypatch.setattr(
        "midwatch.doctor.environment.entry_points",
        lambda group: [
            SimpleNamespace(name="midwatch"),
            SimpleNamespace(name=group.removeprefix("opentelemetry_")),
        ],
    )
    found = look(**variables).section("environment").get("opentelemetry-instrument")
    assert (found is not None) is bool(others)
    if found is not None:
        assert found.status == "note"
        assert others in found.detail
        assert "OTEL_PYTHON_CONFIGURATOR=midwatch" in found.detail


def test_where_midwatch_alone_is_installed_the_official_launcher_needs_no_word(look):
    assert "opentelemetry-instrument" not in look().section("environment")


def test_what_wins_with_a_file_of_declarative_configuration_is_told(look, tmp_path):
    file = tmp_path / "otel.yaml"
    file.write_text(
        "file_format: '1.0'\n"
        "resource: {attributes: [{name: service.name, value: of the file}]}\n"
        "tracer_provider:\n"
        "  processors:\n"
        "    - batch:\n"
        "        exporter:\n"
        "          otlp_http:\n"
        "            endpoint: http://of-the-file:4318/v1/traces\n"
        "            headers: [{name: key, value: s3cret}]\n"
        "log_level: debug\n"
    )
    report = look(options={"offline": True}, OTEL_CONFIG_FILE=str(file))
    found = report.section("environment")
    told = found["OTEL_CONFIG_FILE"]
    assert report.problems == ()
    assert told.status == "note"
    assert "traces go where it says, whatever OTEL_* variables say; metrics and logs" in told.detail
    assert told.detail.endswith("does not take from the file: log_level")
    assert told.data == {
        "path": str(file),
        "signals": ["traces"],
        "unused": ["log_level"],
    }
    assert found["service name"].detail == "of the file"
    (traces,) = report.section("destinations").values()
    assert traces.data["endpoint"] == "http://of-the-file:4318/v1/traces"
    assert "s3cret" not in json.dumps(report.as_dict())


def test_a_file_of_declarative_configuration_that_is_not_there_is_a_problem(look):
    report = look(OTEL_CONFIG_FILE="absent.yaml")
    assert "absent.yaml is not used (No such file or directory)" in problems(report)
    assert "the OTEL_* variables decide; mend the file" in problems(report)


def test_a_file_of_events_that_can_be_written_is_told(look, tmp_path):
    report = look(AGENT_TRACE_JSONL_PATH=str(tmp_path / "logs" / "events.jsonl"))
    assert report.problems == ()
    assert "events.jsonl" in report.section("settings")["JSON lines"].detail


def test_a_file_of_events_that_cannot_be_written_is_a_problem(look, tmp_path):
    (tmp_path / "file").write_text("")
    assert "is a folder" in problems(look(AGENT_TRACE_JSONL_PATH=str(tmp_path)))
    below = str(tmp_path / "file" / "events.jsonl")
    assert "is no folder" in problems(look(AGENT_TRACE_JSONL_PATH=below))


def test_a_folder_without_permission_is_a_problem(look, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "may not be written by this user" in problems(look())


def test_a_read_only_file_system_is_a_problem(look, monkeypatch):
    real = os.statvfs

    class ReadOnly:
        def __init__(self, path) -> None:
            self.f_flag = real(path).f_flag | os.ST_RDONLY

    monkeypatch.setattr(os, "statvfs", ReadOnly)
    assert "read-only file system" in problems(look())


def test_a_port_for_metrics_that_is_taken_is_a_problem(look):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        given = {
            "OTEL_METRICS_EXPORTER": "prometheus",
            "OTEL_EXPORTER_PROMETHEUS_HOST": "127.0.0.1",
            "OTEL_EXPORTER_PROMETHEUS_PORT": port,
        }
        assert f"127.0.0.1:{port} cannot be listened on" in problems(look(**given))
    assert look(**given).problems == ()


@pytest.mark.parametrize(("host", "told"), [("", True), ("127.0.0.1", True), ("::", False)])
def test_a_port_for_metrics_that_no_other_machine_reaches_is_told(look, host, told):
    port = str(free_port())
    found = look(
        OTEL_METRICS_EXPORTER="prometheus",
        OTEL_EXPORTER_PROMETHEUS_HOST=host,
        OTEL_EXPORTER_PROMETHEUS_PORT=port,
    ).section("settings")["metrics port"]
    assert found.status == "note"
    assert "has no exemplars" in found.detail
    assert ("only this machine can scrape it" in found.detail) is told


def test_a_port_for_metrics_that_is_none_is_a_problem(look):
    given = {"OTEL_METRICS_EXPORTER": "prometheus", "OTEL_EXPORTER_PROMETHEUS_PORT": "99999999"}
    assert "99999999 cannot be listened on" in problems(look(**given))


def test_every_library_is_told_with_its_state_and_version(look):
    found = look(OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="flask").section("libraries")
    assert {library.name for library in LIBRARIES} <= set(found)
    assert found["flask"].data["state"] == "disabled"
    assert found["fastapi"].data["state"] == "present"
    assert found["fastapi"].data["version"]
    assert found["asyncio"].data["state"] == "unasked"


@pytest.mark.parametrize("version", ["1.2b0", None])
def test_a_skew_of_the_genai_packages_is_a_problem(look, installed, version):
    installed["opentelemetry-util-genai"] = version
    (problem,) = look().problems
    assert problem.name == "opentelemetry-util-genai"
    assert "install opentelemetry-util-genai==1.3b0" in problem.remedy


def test_a_rival_is_a_problem_whatever_its_entry_point_is_called(look, installed):
    installed["opentelemetry-instrumentation-langchain"] = "0.62.4"
    (problem,) = look().problems
    assert "opentelemetry-instrumentation-langchain 0.62.4" in problem.detail
    assert "a second time" in problem.detail
    assert problem.data["library"] == "langchain"


@pytest.mark.parametrize("disabled", ["langchain", "*"])
def test_a_rival_that_was_chosen_is_none(look, installed, disabled):
    installed["opentelemetry-instrumentation-langchain"] = "0.62.4"
    report = look(OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=disabled)
    assert report.problems == ()
    assert report.section("libraries")["langchain"].data["state"] == "disabled"


@pytest.mark.parametrize(("mode", "status"), [("off", "ok"), ("redacted", "ok"), ("full", "note")])
def test_the_content_policy_in_force_is_told(look, mode, status):
    found = look(MIDWATCH_CONTENT=mode).section("content")["policy"]
    assert found.detail.startswith(f"{mode}: ")
    assert found.status == status


def test_patterns_of_ones_own_are_counted(look):
    found = look(MIDWATCH_REDACT_PATTERNS="a+\nb+").section("content")["policy"]
    assert "2 patterns of your own" in found.detail


def test_an_engine_that_is_not_installed_is_a_problem(look, installed):
    installed["presidio-analyzer"] = None
    assert "install presidio-analyzer" in problems(look(MIDWATCH_REDACT_ENGINE="presidio"))
    installed["presidio-analyzer"] = "2.3"
    assert look(MIDWATCH_REDACT_ENGINE="presidio").problems == ()


SAMPLING = {
    "as it is by default": ({}, "ok", "100% of turns are traced, less while"),
    "a part": ({"MIDWATCH_SAMPLE_RATIO": "0.25"}, "ok", "25% of turns"),
    "nothing": ({"MIDWATCH_SAMPLE_RATIO": "0"}, "note", "no turn can be looked at"),
    "by OpenTelemetry": ({"OTEL_TRACES_SAMPLER": "always_on"}, "note", "always_on decides"),
}


@pytest.mark.parametrize("case", SAMPLING)
def test_the_sampling_in_force_is_told(look, case):
    variables, status, told = SAMPLING[case]
    found = look(**variables).section("sampling")["ratio"]
    assert (found.status, told in found.detail) == (status, True)


def test_sampling_that_does_not_adapt_is_told_without_limits(look):
    found = look(MIDWATCH_ADAPTIVE_SAMPLING="false").section("sampling")["ratio"]
    assert found.detail == "100% of turns are traced"


def spooled(environ, age_seconds: float = 0.0) -> None:
    """A record of 1000 bytes of content that waits for the receiver `otlp`."""
    spool = Spool(Path(environ["MIDWATCH_SPOOL_DIR"]), 1 << 24)
    lane = SpoolLane(spool, "otlp", "traces", lambda *_: None)
    lane.append(Payload("traces", "application/json", os.urandom(1000), 7), spooled=True)
    lane.close()
    then = time.time() - age_seconds
    for file in spool.root.rglob("*.segment"):
        os.utime(file, (then, then))


def test_what_waits_in_the_spool_is_told(look, environ):
    spooled(environ)
    found = look().section("spool")["waiting for otlp"]
    assert found.status == "note"
    assert 1000 < found.data["waiting_bytes"] < 1300
    assert found.data["segments"] == 1


def test_what_has_waited_for_long_is_a_problem(look, environ):
    spooled(environ, 3 * 3600)
    (problem,) = look().problems
    assert problem.name == "waiting for otlp"
    assert "3 h old" in problem.detail
    assert "midwatch replay" in problem.remedy


def test_looking_at_a_spool_does_not_make_one(look, environ):
    found = look().section("spool")
    assert "at most 256 MiB" in found["mode"].detail
    assert not os.path.exists(environ["MIDWATCH_SPOOL_DIR"])


def test_a_disk_with_less_room_than_the_spool_may_need_is_told(look):
    found = look(MIDWATCH_SPOOL_MAX_BYTES="999999GiB").section("spool")["folder"]
    assert found.status == "note"
    assert "less than the spool may need" in found.detail


def test_a_spool_that_is_off_is_told(look):
    found = look(MIDWATCH_SPOOL_MODE="off").section("spool")
    assert set(found) == {"mode"}
    assert found["mode"].status == "note"


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (shown_bytes(3), "3 bytes"),
        (shown_bytes(1536), "1.5 KiB"),
        (shown_bytes(256 << 20), "256 MiB"),
        (shown_bytes(50 << 30), "50 GiB"),
        (shown_seconds(3), "3 s"),
        (shown_seconds(120), "2 min"),
        (shown_seconds(7200), "2 h"),
        (shown_seconds(200_000), "2 d"),
    ],
)
def test_sizes_and_durations_are_told_for_people(shown, expected):
    assert shown == expected


def test_the_price_table_is_told_with_version_and_age(look):
    data = look().section("prices")["table"].data
    assert data["table"] == "genai-prices"
    assert data["version"]
    newest = dt.date.fromisoformat(data["newest_price"])
    assert (dt.datetime.now(dt.UTC).date() - newest).days == data["age_days"]


@pytest.mark.parametrize(
    ("newest", "status"), [(None, "ok"), (dt.date(2020, 1, 1), "note")], ids=["undated", "old"]
)
def test_an_old_price_table_is_told(look, monkeypatch, newest, status):
    monkeypatch.setattr("midwatch.doctor.prices.newest_price", lambda: newest)
    found = look().section("prices")["table"]
    assert found.status == status
    assert ("upgrade genai-prices" in found.detail) == (status == "note")


def test_every_problem_of_a_price_file_is_told(look, tmp_path):
    prices = tmp_path / "prices.json"
    prices.write_text('{"prices": [{"model": "m", "input_per_million": -1}], "date": "today"}')
    told = problems(look(MIDWATCH_PRICES_FILE=str(prices)))
    for name in ("output_per_million", "input_per_million", "'date'", str(prices)):
        assert name in told


def test_a_sound_price_file_is_no_problem(look, tmp_path):
    prices = tmp_path / "prices.json"
    prices.write_text(
        '{"prices": [{"model": "m", "input_per_million": 1, "output_per_million": 2}]}'
    )
    report = look(MIDWATCH_PRICES_FILE=str(prices))
    assert report.problems == ()
    assert "1 prices of" in report.section("prices")["price file"].detail


def test_the_files_of_prompts_are_checked(look, tmp_path):
    folder = tmp_path / "prompts" / "greeting"
    folder.mkdir(parents=True)
    (folder / "1.md").write_text("Hello.")
    (folder / "2.md").write_text("Hello {{ name }}.")
    report = look(MIDWATCH_PROMPTS_DIR=str(folder.parent))
    assert "greeting/2.md: {{ name }} is not declared" in problems(report)
    assert report.section("prompts")["files"].data == {"prompts": 1, "versions": 2}


def test_a_spool_that_cannot_be_written_is_a_problem(look, tmp_path):
    (tmp_path / "file").write_text("")
    report = look(MIDWATCH_SPOOL_DIR=str(tmp_path / "file" / "spool"))
    (problem,) = report.problems
    assert (problem.section, "is no folder" in problem.detail) == ("spool", True)
    assert "MIDWATCH_SPOOL_DIR" in problem.remedy


def test_a_lane_in_which_nothing_waits_is_told(look, environ):
    spooled(environ)
    for file in Path(environ["MIDWATCH_SPOOL_DIR"]).rglob("*.segment"):
        file.unlink()
    assert look().section("spool")["waiting for otlp"].detail == "nothing"


def test_a_path_that_is_none_is_a_problem(look):
    (problem,) = look(AGENT_TRACE_JSONL_PATH="x" * 5000).problems
    assert "cannot be looked at (File name too long)" in problem.detail


def test_a_variable_with_a_slip_of_the_pen_is_told(look):
    report = look(MIDWATCH_CONTNET="full", MIDWATCH_LEDGER_LISTEN="x", OTHER="x")
    (note,) = [one for one in report.notes if one.section == "settings"]
    assert str(note) == "MIDWATCH_CONTNET: is no setting of the shim; is MIDWATCH_CONTENT meant?"
    assert report.problems == ()


def test_a_variable_like_no_other_is_told_without_a_guess(look):
    found = look(MIDWATCH_XYZZY="1").section("settings")["MIDWATCH_XYZZY"]
    assert found.detail == "is no setting of the shim"
