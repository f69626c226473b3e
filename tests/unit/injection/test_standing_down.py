"""Where Midwatch does not fit, the application runs without it, and that is said once."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.programs

ADDED = "MIDWATCH_DEFAULT_OTEL_EXPORTER_OTLP_ENDPOINT"
LINE = "midwatch: stands down, the application runs without it: "
TRACER = "import opentelemetry.trace as t; print(type(t.get_tracer_provider()).__module__)"
ABSENT = "try:\n    import opentelemetry.sdk\nexcept ImportError:\n    print('as ever')"


@pytest.fixture(scope="module")
def older(new_environment) -> Path:
    """The Python of an application that has an older API of OpenTelemetry, and calls it."""
    return new_environment("opentelemetry-api==1.30.0")


def installed(folder: Path, name: str, version: str, *modules: str) -> Path:
    """A folder beside a script, with a distribution in it, as `pip install --target` leaves it."""
    (folder / f"{name}-{version}.dist-info").mkdir(parents=True)
    (folder / f"{name}-{version}.dist-info/METADATA").write_text(f"Name: {name}\n")
    for module in modules:
        (folder / module).write_text("")
    return folder


def test_an_application_with_an_older_api_keeps_it_and_runs_alone(run, older):
    ended = run(older, "-c", TRACER)
    assert (ended.code, ended.output) == (0, "opentelemetry.trace\n")
    assert ended.errors.splitlines() == [
        f"{LINE}the application's opentelemetry-api 1.30.0 is not ~=1.45.0"
    ]


def test_nothing_is_put_on_its_path(run, older, tree):
    code = "import opentelemetry.trace, sys; print(*sys.path)"
    assert str(tree) not in run(older, "-c", code).output


def test_the_collector_is_told_that_a_service_is_not_watched(run, older, receiver):
    code = "import opentelemetry.trace, time; time.sleep(2)"
    named = {"OTEL_SERVICE_NAME": "shop", "OTEL_METRICS_EXPORTER": "otlp", ADDED: receiver.url}
    assert run(older, "-c", code, **named).errors.count(LINE) == 1
    ((path, body),) = receiver.bodies
    (resource,) = body["resourceMetrics"]
    assert path == "/v1/metrics"
    assert resource["resource"]["attributes"] == [
        {"key": "service.name", "value": {"stringValue": "shop"}}
    ]
    (metric,) = resource["scopeMetrics"][0]["metrics"]
    (point,) = metric["gauge"]["dataPoints"]
    labels = {pair["key"]: pair["value"]["stringValue"] for pair in point["attributes"]}
    assert (metric["name"], labels) == (
        "midwatch.instrumented",
        {"library": "midwatch", "state": "failed"},
    )


def test_a_collector_that_is_away_neither_delays_nor_breaks_it(run, older):
    started = time.monotonic()
    ended = run(older, "-c", TRACER, OTEL_METRICS_EXPORTER="otlp", **{ADDED: "http://127.0.0.1:9"})
    assert ended.output == "opentelemetry.trace\n"
    assert len(ended.errors.splitlines()) == 1
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    ("name", "version", "told"),
    [
        ("wrapt", "1.10", "the application's wrapt 1.10 is not "),
        ("typing_extensions", "4.0.0", "the application's typing-extensions 4.0.0 is not "),
        ("opentelemetry_sdk", "1.45.0", "the application's opentelemetry-sdk 1.45.0 is not ==1.45"),
        ("packaging", "strange", "the application's packaging strange is not "),
    ],
)
def test_a_package_beside_the_script_counts_as_well(run, bare, tmp_path, name, version, told):
    folder = installed(tmp_path / "application", name, version)
    (folder / "main.py").write_text(ABSENT)
    ended = run(bare, folder / "main.py")
    assert (ended.code, ended.output) == (0, "as ever\n")
    assert ended.errors.startswith(f"{LINE}{told}")
    assert ended.errors.count("\n") == 1


@pytest.mark.parametrize("module", ["wrapt.py", "yaml/__init__.py", "opentelemetry/__init__.py"])
def test_a_module_of_its_own_by_the_same_name_is_never_shadowed(run, bare, tmp_path, module):
    file = tmp_path / "application" / module
    file.parent.mkdir(parents=True)
    file.write_text("mine = True\n")
    name = Path(module).parts[0].removesuffix(".py")
    (tmp_path / "application/main.py").write_text(f"import {name}; print({name}.mine)\n{ABSENT}")
    ended = run(bare, tmp_path / "application/main.py")
    assert (ended.code, ended.output) == (0, "True\nas ever\n")
    assert f"{file} goes before " in ended.errors


def test_several_reasons_are_one_line(run, bare, tmp_path):
    folder = installed(installed(tmp_path / "a", "wrapt", "1.0"), "packaging", "1")
    (folder / "main.py").write_text(ABSENT)
    (line,) = run(bare, folder / "main.py").errors.splitlines()
    assert "packaging 1 is not" in line
    assert "wrapt 1.0 is not" in line


def test_packages_that_fit_are_used_as_they_are(run, bare, tmp_path, tree):
    folder = installed(tmp_path / "a", "wrapt", "1.17.3")
    shutil.copytree(tree / "packages/wrapt", folder / "wrapt")
    (folder / "main.py").write_text(f"{TRACER}\nimport wrapt; print(wrapt.__file__)")
    ended = run(bare, folder / "main.py")
    assert ended.output == f"opentelemetry.sdk.trace\n{folder}/wrapt/__init__.py\n"


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.7", "3.8", "3.9", "3.10"])
def test_an_older_python_runs_its_program(run, version):
    python = shutil.which(f"python{version}")
    # For machines where pyenv chooses among several.
    chosen = {"PYENV_VERSION": version}
    if python is None or run(python, "-c", "", **chosen).code != 0:
        pytest.skip(f"there is no Python {version} on this machine")
    code = "try:\n    import opentelemetry\nexcept ImportError:\n    print('as ever')"
    ended = run(python, "-c", code, **chosen)
    assert (ended.code, ended.output) == (0, "as ever\n")
    if version not in {"2.7", "3.6"}:
        assert ended.errors == f"{LINE}Python {version} is older than 3.11\n"


def test_switched_off_it_is_silent(run, older, bare):
    off = {"AGENT_OBSERVABILITY_ENABLED": "false"}
    assert run(older, "-c", TRACER, **off).errors == ""
    assert "midwatch: on" not in run(bare, "-c", "import opentelemetry", **off).errors


def test_an_application_that_brings_midwatch_itself_uses_its_own(run, tree):
    code = "import opentelemetry.trace, midwatch, sys; print(midwatch.__file__, *sys.path)"
    ended = run(sys.executable, "-c", code)
    assert str(tree) not in ended.output
    assert ended.errors.count("midwatch: on") == 1


def test_under_midwatch_run_it_starts_once(run, tree):
    program = Path(sys.executable).with_name("midwatch-run")
    ended = run(program, sys.executable, "-c", "import flask, sys; print(*sys.path)")
    assert str(tree) not in ended.output
    assert ended.errors.count("midwatch: on") == 1


def test_a_volume_that_is_not_complete_is_told_and_harms_nothing(run, bare, tree, tmp_path):
    shutil.copytree(tree / "entry", tmp_path / "half/entry")
    ended = run(bare, "-c", "print('runs')", PYTHONPATH=str(tmp_path / "half/entry"))
    assert (ended.code, ended.output) == (0, "runs\n")
    assert ended.errors.startswith("midwatch: not started (")


def test_a_path_to_a_volume_that_is_not_there_harms_nothing(run, bare):
    ended = run(bare, "-c", "print('runs')", PYTHONPATH="/opt/not/there")
    assert (ended.code, ended.output, ended.errors) == (0, "runs\n", "")
