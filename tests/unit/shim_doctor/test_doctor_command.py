"""`midwatch doctor`: what it prints, its exit codes, and its JSON form."""

from __future__ import annotations

import json
from typing import Any

import pytest
from midwatch.cli import app
from midwatch.doctor import CHECKS, diagnose
from midwatch.doctor.report import Finding, Report
from typer.testing import CliRunner


@pytest.fixture
def run(environ, monkeypatch):
    for name in ("MIDWATCH_CONTENT", "OTEL_EXPORTER_OTLP_ENDPOINT", "MIDWATCH_PROMPTS_DIR"):
        monkeypatch.delenv(name, raising=False)

    def invoke(*arguments: str, **variables: str):
        for name, value in {**environ, **variables}.items():
            monkeypatch.setenv(name, value)
        return CliRunner().invoke(app, ["doctor", "--no-self-test", *arguments])

    return invoke


def test_a_sound_installation_has_no_problems_and_code_0(run):
    done = run()
    assert done.exit_code == 0, done.output
    assert done.output.endswith("No problems found.\n")
    for section in ("Environment", "Settings", "Libraries", "Spool", "Content", "Sampling"):
        assert f"{section}\n" in done.output


def test_problems_come_last_with_their_remedies_and_code_1(run):
    done = run(MIDWATCH_CONTENT="all", MIDWATCH_SAMPLE_RATIO="2", OTEL_SERVICE_NAME="")
    assert done.exit_code == 1
    _, _, last = done.output.partition("Problems: 3\n")
    assert last.splitlines() == [
        "  ! environment, service name: the service has no name, so that it is called "
        "unknown_service",
        "    -> set OTEL_SERVICE_NAME=my-service",
        "  ! settings, MIDWATCH_CONTENT: MIDWATCH_CONTENT='all' is not allowed",
        "    -> set it to one of off, redacted, full, or unset it (in use now: off)",
        "  ! settings, MIDWATCH_SAMPLE_RATIO: MIDWATCH_SAMPLE_RATIO='2' is not allowed",
        "    -> set it to a number from 0 to 1, or unset it (in use now: 1)",
    ]


def test_problems_of_one_remedy_are_told_together(run, closed_port):
    done = run(
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{closed_port}",
        OTEL_TRACES_EXPORTER="otlp",
        OTEL_LOGS_EXPORTER="otlp",
    )
    assert done.exit_code == 1
    assert done.output.count("-> start it, or set OTEL_EXPORTER_OTLP_ENDPOINT") == 1


@pytest.mark.parametrize("arguments", [["--timeout", "0"], ["--unknown"], ["--process"]])
def test_wrong_use_has_code_2(run, arguments):
    assert run(*arguments).exit_code == 2


def test_the_json_form_keeps_its_shape(run):
    done = run("--json", MIDWATCH_CONTENT="all")
    assert done.exit_code == 1
    told = json.loads(done.output)
    assert set(told) == {
        "schema_version",
        "midwatch_version",
        "python_version",
        "exit_code",
        "problems",
        "findings",
    }
    assert (told["schema_version"], told["exit_code"], told["problems"]) == (1, 1, 1)
    kinds = {"section": str, "name": str, "status": str, "detail": str, "remedy": str, "data": dict}
    for finding in told["findings"]:
        assert {name: type(value) for name, value in finding.items()} == kinds
        assert finding["status"] in ("ok", "note", "problem")
        assert bool(finding["remedy"]) == (finding["status"] == "problem")


SECRETS = {
    "OTEL_EXPORTER_OTLP_HEADERS": "authorization=planted-secret, broken",
    "LANGFUSE_PUBLIC_KEY": "pk",
    "LANGFUSE_SECRET_KEY": "planted-secret",
    "LANGSMITH_API_KEY": "planted-secret",
    "LANGSMITH_TRACING": "true",
    "MIDWATCH_LEDGER_API_KEY": "planted-secret",
}


def test_no_secret_is_shown(run, receiver):
    receiver.status, receiver.body = 401, b"planted-secret is no key"
    done = run(
        "--json",
        **SECRETS,
        LANGFUSE_HOST=receiver.url,
        LANGSMITH_ENDPOINT=receiver.url,
        MIDWATCH_LEDGER_URL=receiver.url,
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url.replace("//", "//user:planted-secret@"),
        OTEL_TRACES_EXPORTER="otlp",
    )
    assert "OTEL_EXPORTER_OTLP_HEADERS" in done.output
    assert receiver.requests
    assert "planted-secret" not in done.output


def test_a_check_that_fails_is_a_problem_and_the_others_go_on(environ, monkeypatch):
    def check_nothing(_: Any) -> list[Finding]:
        raise RuntimeError("broken")

    monkeypatch.setattr("midwatch.doctor.CHECKS", (check_nothing, *CHECKS))
    report = diagnose(environ, self_test=False)
    (problem,) = report.problems
    assert str(problem).startswith("nothing: could not be looked at (RuntimeError: broken); report")
    assert report.section("spool")


def test_a_report_without_findings_is_well():
    assert Report(()).exit_code == 0
    assert Report(()).notes == ()
