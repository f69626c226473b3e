"""What injected code decides before it starts; `tests/unit/injection` shows it from outside."""

from __future__ import annotations

import json
import os
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Any

import packaging
import pytest
from midwatch.injection.fitting import misfits
from midwatch.injection.standing_down import stand_down
from midwatch.injection.waiting import Gate, wait

KNOWN = {"wrapt": {"accepts": ">=1.10,<3", "modules": ["wrapt", "wrapt.py"]}}
BUNDLE = {"python": [3, 11], "distributions": KNOWN}


@pytest.fixture
def packages(tmp_path: Path) -> str:
    """The folder of what is injected, with the library that compares versions."""
    folder = tmp_path / "packages"
    folder.mkdir()
    (folder / "packaging").symlink_to(Path(packaging.__file__).parent)
    (folder / "bundle.json").write_text(json.dumps(BUNDLE))
    (folder / "triggers.txt").write_text("flask\nopenai OPENAI_API_KEY\n")
    return str(folder)


def having(folder: Path, *names: str) -> list[str]:
    """The path of an application with these in a folder of packages."""
    for name in names:
        (folder / "site" / name).mkdir(parents=True)
    return ["", str(folder / "absent"), str(folder / "site")]


@pytest.mark.parametrize(
    ("names", "problems"),
    [
        ((), []),
        (("wrapt", "wrapt-2.1.0.dist-info"), []),
        (("wrapt", "Wrapt-1.17.2-py3.11.egg-info"), []),
        (("wrapt-1.9.dist-info",), ["the application's wrapt 1.9 is not >=1.10,<3"]),
        (("wrapt-house.dist-info",), ["the application's wrapt house is not >=1.10,<3"]),
        (("wrapt.dist-info",), ["the application's wrapt (no version) is not >=1.10,<3"]),
    ],
)
def test_what_the_application_has_is_compared_with_what_is_needed(
    tmp_path, packages, monkeypatch, names, problems
):
    monkeypatch.chdir(tmp_path)
    found = misfits(BUNDLE, packages, [packages, *having(tmp_path, *names)])
    assert (found.problems, found.has_own) == (problems, False)


def test_a_module_without_a_version_is_no_ground_to_build_on(tmp_path, packages, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (problem,) = misfits(BUNDLE, packages, having(tmp_path, "wrapt")).problems
    assert problem.endswith("/wrapt goes before wrapt and tells no version")


def test_an_application_that_brings_midwatch_uses_its_own(tmp_path, packages):
    found = misfits(BUNDLE, packages, having(tmp_path, "midwatch-1.0.dist-info"))
    assert (found.problems, found.has_own) == ([], True)


def test_an_older_python_is_told(packages):
    (problem,) = misfits({**BUNDLE, "python": [9, 1]}, packages, []).problems
    assert problem.endswith(" is older than 9.1")


class Over(SystemExit):
    """Ends a thread without a word."""


@pytest.fixture
def sent(monkeypatch) -> list[urllib.request.Request]:
    """What is sent; the thread that sends ends after it."""
    requests = []

    def send(request: urllib.request.Request, timeout: float) -> Any:
        assert timeout > 0
        requests.append(request)
        raise Over

    monkeypatch.setattr(urllib.request, "urlopen", send)
    return requests


def after_standing_down(**environ: str) -> None:
    stand_down(["too old", "too new"], environ)
    for thread in threading.enumerate():
        if thread.name == "midwatch-stands-down":
            thread.join(10)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(
    ("environ", "url", "service"),
    [
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318/", "OTEL_SERVICE_NAME": "shop"},
            "http://c:4318/v1/metrics",
            "shop",
        ),
        (
            {
                "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "https://m/x",
                "OTEL_RESOURCE_ATTRIBUTES": "team=a, service.name=till",
            },
            "https://m/x",
            "till",
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"},
            "http://c/v1/metrics",
            "unknown_service:python",
        ),
    ],
)
def test_who_stands_down_says_why_and_tells_the_collector(sent, capsys, environ, url, service):
    after_standing_down(OTEL_EXPORTER_OTLP_HEADERS="x-key=1, =2", **environ)
    told = capsys.readouterr().err
    assert told == ("midwatch: stands down, the application runs without it: too old; too new\n")
    (request,) = sent
    assert request.full_url == url
    assert request.get_header("X-key") == "1"
    assert service in request.data.decode()
    assert '"midwatch.instrumented"' in request.data.decode()


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_METRICS_EXPORTER": "none"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "c:4317"},
    ],
)
def test_nothing_is_sent_where_nobody_could_take_it(sent, capsys, environ):
    after_standing_down(**environ)
    assert capsys.readouterr().err.count("stands down") == 1
    assert sent == []


def test_who_is_turned_off_says_nothing(sent, capsys):
    after_standing_down(OTEL_SDK_DISABLED="True", OTEL_EXPORTER_OTLP_ENDPOINT="http://c")
    assert capsys.readouterr().err == ""
    assert sent == []


@pytest.fixture
def alone(monkeypatch) -> None:
    """A process that was not started by `midwatch-run`."""
    monkeypatch.delitem(sys.modules, "midwatch.waking", raising=False)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("OPENAI_API_KEY", "OTEL_EXPORTER_OTLP_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


def test_a_gate_waits_for_what_matters_in_this_environment(alone, packages, monkeypatch):
    before = len(sys.meta_path)
    wait(packages)
    assert len(sys.meta_path) == before + 1
    gate: Any = sys.meta_path[0]
    assert gate._names == {"flask"}
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    wait(packages)
    gate = sys.meta_path[0]
    assert gate._names == {"flask", "openai"}


def test_what_is_there_already_needs_no_gate(alone, packages, monkeypatch):
    monkeypatch.setitem(sys.modules, "midwatch.waking", sys)
    before = list(sys.meta_path)
    wait(packages)
    assert sys.meta_path == before
    assert Gate(packages, frozenset({"flask"})).find_spec("flask") is None


def test_a_gate_finds_nothing_where_midwatch_does_not_fit(alone, packages, sent, capsys):
    Path(packages, "bundle.json").write_text(json.dumps({**BUNDLE, "python": [9, 1]}))
    gate = Gate(packages, frozenset({"flask"}))
    assert gate.find_spec("email") is None
    assert gate.find_spec("midwatch.run") is None
    assert capsys.readouterr().err == ""
    assert gate.find_spec("flask") is None
    assert gate.find_spec("flask") is None
    assert capsys.readouterr().err.count("is older than 9.1") == 1
    assert packages not in sys.path


@pytest.mark.parametrize("brings_its_own", [False, True])
def test_a_gate_lets_midwatch_in_at_the_import_that_matters_behind_the_applications_packages(
    alone, packages, monkeypatch, tmp_path, brings_its_own
):
    # What follows is Midwatch's own start, which this turns off.
    monkeypatch.setattr(os, "environ", {**os.environ, "MIDWATCH_DEFAULT_OTEL_SDK_DISABLED": "true"})
    monkeypatch.delitem(os.environ, "OTEL_SDK_DISABLED", raising=False)
    application = having(tmp_path, *(["midwatch-1.0.dist-info"] if brings_its_own else []))
    others = [path for path in sys.path if "site-packages" not in path]
    monkeypatch.setattr(sys, "path", [*others, application[-1]])
    gate = Gate(packages, frozenset({"this"}))
    found = gate.find_spec("this")
    assert found is not None
    assert found.name == "this"
    assert os.environ["OTEL_SDK_DISABLED"] == "true"
    assert (sys.path[-1] == packages) is not brings_its_own
    assert gate.find_spec("this") is None


def test_what_is_incomplete_is_told_and_the_import_goes_on(alone, packages, capsys):
    Path(packages, "bundle.json").unlink()
    assert Gate(packages, frozenset({"flask"})).find_spec("flask") is None
    assert capsys.readouterr().err.startswith("midwatch: not started (FileNotFoundError")
