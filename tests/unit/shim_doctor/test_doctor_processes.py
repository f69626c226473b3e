"""What is really instrumented: in a process of the doctor's own, and in one that runs."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections import Counter

import pytest
from midwatch.config import load_settings
from midwatch.doctor import diagnose
from midwatch.doctor.report import Patient
from midwatch.doctor.self_test import SelfTest, _Lines, main, run_self_test
from midwatch.instruments.recorder import Recorder
from midwatch.pipeline.failures import FAILURES
from midwatch.pipeline.rendering import (
    OWN_PREFIXES,
    RenderReader,
    join_families,
    local_meter_provider,
)
from midwatch.registry.own_metrics import (
    EXPORT_BREAKER_STATE,
    INSTRUMENTED,
    SAMPLING_RATIO,
    SPANS,
    SPOOL_BYTES,
)
from opentelemetry.metrics import Observation


@pytest.fixture
def real(environ):
    """The environment with what a Python needs to start."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return {**kept, **environ}


@pytest.fixture(scope="module")
def tested(tmp_path_factory):
    """A self-test of libraries that work, one that is broken, and one that does not suit."""
    folder = tmp_path_factory.mktemp("broken")
    (folder / "flask.py").write_text("raise ImportError('half installed')")
    (folder / "requests.py").write_text("")
    (folder / "sitecustomize.py").write_text("")
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": str(folder),
        "OTEL_SERVICE_NAME": "agent",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
        "AGENT_TRACE_JSONL_PATH": str(folder / "events.jsonl"),
    }
    seen = run_self_test(
        Patient(environ, load_settings(environ)), ["flask", "requests", "structlog", "threading"]
    )
    return seen, folder


def test_a_library_that_works_is_seen_to_be_instrumented(tested):
    seen, _ = tested
    assert seen.problem == ""
    assert seen.states["structlog"] == "active"
    assert seen.states["threading"] == "active"


def test_a_library_that_cannot_be_imported_is_seen(tested):
    assert tested[0].errors == {"flask": "ImportError: half installed"}


def test_an_instrumentor_that_fails_is_seen_with_its_reason(tested):
    seen, _ = tested
    assert seen.states["requests"] == "failed"
    assert "requests" in seen.told_of("requests")


def test_the_self_test_leaves_nothing_behind(tested):
    _, folder = tested
    left = {path.name for path in folder.iterdir()} - {"__pycache__"}
    assert left == {"flask.py", "requests.py", "sitecustomize.py"}


SEEN = {
    "instrumented": (SelfTest({"flask": "active"}), "ok", "active", "instrumented"),
    "broken": (SelfTest(errors={"flask": "no"}), "problem", "broken", "cannot be imported (no)"),
    "failed": (
        SelfTest({"flask": "failed"}, log=["midwatch: instrument.flask failed (E: x); the rest"]),
        "problem",
        "failed",
        "is installed but not instrumented (E: x)",
    ),
    "silent": (SelfTest(), "problem", "failed", "without saying why"),
}


@pytest.mark.parametrize("case", SEEN)
def test_what_the_self_test_saw_is_told(environ, monkeypatch, case):
    seen, status, state, told = SEEN[case]
    monkeypatch.setattr("midwatch.doctor.libraries.run_self_test", lambda *_: seen)
    found = diagnose(environ).section("libraries")["flask"]
    assert (found.status, found.data["state"], told in found.detail) == (status, state, True)


def test_a_python_that_does_not_start_midwatch_is_a_problem(real):
    patient = Patient({**real, "OTEL_TRACES_SAMPLER": "traceidratio"}, load_settings(real))
    assert run_self_test(patient, []).problem == ""
    patient = Patient({**real, "AGENT_OBSERVABILITY_ENABLED": "false"}, load_settings(real))
    assert "did not start Midwatch (INFO midwatch: off" in run_self_test(patient, []).problem


def test_a_python_that_fails_is_a_problem(real, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    assert (
        "no process can be started" in run_self_test(Patient(real, load_settings(real)), []).problem
    )
    monkeypatch.setattr(sys, "executable", "/bin/false")
    monkeypatch.setattr("midwatch.doctor.libraries.is_there", lambda _: True)
    report = diagnose(real)
    assert "ended with code 1 (it said nothing)" in report.section("libraries")["self-test"].detail


def test_a_python_that_hangs_is_a_problem(real, monkeypatch):
    monkeypatch.setattr("midwatch.doctor.self_test._SECONDS", 0.001)
    assert "took more than" in run_self_test(Patient(real, load_settings(real)), []).problem


@pytest.fixture(autouse=True)
def no_failures(monkeypatch):
    """What failed in other tests of this process is not this application's."""
    monkeypatch.setattr(FAILURES, "_counts", Counter())


class Running:
    """An application's metrics, rendered by the shim's own renderer."""

    def __init__(self, states, spans, breaker=0) -> None:
        self.reader = RenderReader()
        provider = local_meter_provider(self.reader)
        self.recorder = Recorder(provider, reader=self.reader)
        meter = provider.get_meter("midwatch")
        library, state = INSTRUMENTED.attribute_names
        meter.create_observable_gauge(
            INSTRUMENTED.name,
            [lambda _: [Observation(1, {library: one, state: each}) for one, each in states]],
            INSTRUMENTED.unit,
        )
        result, reason = SPANS.attribute_names
        counter = meter.create_counter(SPANS.name, SPANS.unit)
        for (what, why), count in spans.items():
            counter.add(count, {result: what, reason: why})
        for metric, value in (
            (EXPORT_BREAKER_STATE, breaker),
            (SPOOL_BYTES, 7),
            (SAMPLING_RATIO, 1),
        ):
            meter.create_gauge(metric.name, metric.unit).set(value)

    def text(self, namespace: str = "") -> bytes:
        return join_families(self.recorder.families(namespace, OWN_PREFIXES)).encode()


@pytest.mark.parametrize("namespace", ["", "security_agent"])
def test_a_running_application_tells_of_itself(look, receiver, namespace):
    spans = {("created", "none"): 10, ("exported", "none"): 8, ("sampled_out", "sampler"): 1}
    receiver.body = Running([("flask", "active"), ("redis", "absent")], spans).text(namespace)
    report = look(options={"process": f"{receiver.url}/metrics"})
    assert report.problems == ()
    found = report.section("process")
    assert found["libraries"].detail == "absent: redis; active: flask"
    assert found["spans"].data == {"created": 10, "exported": 8, "sampled_out": 1}
    assert found["export breaker"].detail == "closed"
    assert found["bytes in the spool"].data == {"value": 7.0}


def test_what_is_wrong_in_a_running_application_is_told(look, receiver):
    running = Running(
        [("openai", "failed"), ("langchain", "rival")],
        {("created", "none"): 9, ("dropped", "queue_full"): 2},
        breaker=2,
    )
    FAILURES.count("some_part", 3)
    for number in range(150):
        running.recorder.route(f"agent-{number}")
    receiver.body = running.text()
    report = look(options={"process": receiver.url})
    told = {problem.name: problem.detail for problem in report.problems}
    assert told["library openai"] == "failed"
    assert told["library langchain"] == "rival"
    assert told["lost spans"] == "2 by queue_full"
    assert told["export breaker"] == "open"
    assert "some_part (3)" in told["failures inside Midwatch"]
    assert "agent_route_total.selected_agent" in (
        report.section("process")["labels at their bound"].detail
    )


@pytest.mark.parametrize("url", ["ftp://x", "/metrics", "http://127.0.0.1:9/metrics"])
def test_an_application_that_cannot_be_asked_is_a_problem(look, url):
    (problem,) = look(options={"process": url}).problems
    assert "gives no metrics" in problem.detail


def test_an_application_without_midwatch_is_a_problem(look, receiver):
    receiver.body = b"# HELP up x\nup 1\nnonsense\n"
    (problem,) = look(options={"process": receiver.url}).problems
    assert "start the application with midwatch-run" in problem.remedy


def test_the_process_of_the_self_test_prints_what_it_saw(monkeypatch, capsys):
    from midwatch.instrumentors import libraries

    broken = libraries.Library("broken", "midwatch_no_such_module", ())
    asked = libraries.Library("json", "json", ())
    unasked = libraries.Library("unasked", "midwatch_no_such_module_either", ())
    monkeypatch.setattr(libraries, "LIBRARIES", (broken, asked, unasked))
    handlers = list(logging.getLogger("midwatch").handlers)
    monkeypatch.setattr(logging.getLogger("midwatch"), "handlers", handlers)
    main(["broken", "json"])
    mark, _, told = capsys.readouterr().out.strip().partition(":")
    assert mark == "midwatch-self-test"
    assert list(json.loads(told)["errors"]) == ["broken"]


def test_the_log_of_the_self_test_is_kept_as_it_is_told():
    kept = _Lines()
    kept.emit(logging.LogRecord("midwatch", logging.WARNING, "", 0, "%s failed", ("x",), None))
    assert kept.lines == ["x failed"]


@pytest.mark.programs
def test_the_libraries_of_this_machine_are_really_instrumented(real):
    found = diagnose(real).section("libraries")
    states = {name: one.data["state"] for name, one in found.items() if "state" in one.data}
    for name in ("flask", "fastapi", "requests", "langchain", "openai", "threading"):
        assert states[name] == "active", found[name]
    assert not {"failed", "broken"} & set(states.values()), found
