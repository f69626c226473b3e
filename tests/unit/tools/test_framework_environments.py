"""The frameworks' environments: made once for each lock, told clearly when they can't be."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from frameworks import running
from frameworks.environments import (
    FOLDER,
    Environment,
    EnvironmentUnavailable,
    chosen_environments,
    known_environments,
)
from frameworks.running import Counts, read_results, variables_of_tests
from frameworks.running import run_tests as run_tests_of
from typer.testing import CliRunner

ENVIRONMENTS = known_environments()
SHIM = FOLDER.parents[1] / "shim"


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """An environment that is this very interpreter's, with one test that passes and one not."""
    folder = tmp_path / "small"
    folder.mkdir()
    (folder / "requirements.in").write_text("")
    (folder / "requirements.lock").write_text("")
    (folder / "test_small.py").write_text(
        "import pytest\n"
        "def test_good(): pass\n"
        "def test_bad(): raise ValueError('wrong on purpose')\n"
        "@pytest.mark.skip\n"
        "def test_left_out(): pass\n"
    )
    monkeypatch.setattr(Environment, "python", Path(sys.executable))
    monkeypatch.setattr(running, "_OF_THE_TESTER", re.compile("nothing"))
    # The plugins of this interpreter are of no use to the little tests, and slow to load.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p pytest_timeout")
    return Environment("small", folder)


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda each: each.name)
def test_each_lock_pins_everything_with_hashes_and_names_no_host(environment: Environment) -> None:
    text = environment.lock.read_text()
    assert "://" not in text
    entries = re.findall(r"^[a-z0-9][^ \n]*==[^\n]*\n((?: +--hash[^\n]*\n)*)", text, re.MULTILINE)
    assert len(entries) > 10
    assert all("--hash=sha256:" in hashes for hashes in entries)


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda each: each.name)
def test_each_lock_holds_the_shims_own_requirements_as_pinned(environment: Environment) -> None:
    project = tomllib.loads((SHIM / "pyproject.toml").read_text())["project"]
    pins = [one for one in project["dependencies"] if one.startswith("opentelemetry-")]
    locked = environment.lock.read_text()
    assert pins
    assert [pin for pin in pins if f"{pin} " not in locked] == []


def test_another_lock_is_another_environment(tmp_path: Path) -> None:
    (tmp_path / "requirements.lock").write_text("one")
    environment = Environment("one", tmp_path)
    before = environment.place
    (tmp_path / "requirements.lock").write_text("two")
    assert environment.place != before
    assert environment.place.parent == before.parent


def test_the_cache_is_where_the_environment_says(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("MIDWATCH_CACHE_DIR", str(tmp_path / "elsewhere"))
    assert ENVIRONMENTS[0].place.parent == tmp_path / "elsewhere" / "environments"


def test_a_framework_that_is_none_is_told_with_those_that_are() -> None:
    with pytest.raises(EnvironmentUnavailable, match=r"langgrap; there are .*langgraph"):
        chosen_environments(["langgrap"])


def test_an_environment_that_can_not_be_downloaded_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIDWATCH_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("UV_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    (tmp_path / "requirements.lock").write_text("left-pad==1.0 --hash=sha256:" + "0" * 64 + "\n")
    environment = Environment("lonely", tmp_path)
    with pytest.raises(EnvironmentUnavailable, match="connect this machine to the network"):
        environment.make()
    assert not environment.is_made


def test_a_cache_that_can_not_be_written_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MIDWATCH_CACHE_DIR", str(tmp_path / "file"))
    (tmp_path / "requirements.lock").write_text("")
    with pytest.raises(EnvironmentUnavailable, match="MIDWATCH_CACHE_DIR"):
        Environment("stuck", tmp_path).make()


def test_what_pytest_found_is_counted(small: Environment, tmp_path: Path) -> None:
    report = run_tests_of(small, tmp_path, [])
    assert report.counts == Counts(passed=1, failed=1, skipped=1)
    assert not report.ok
    assert "wrong on purpose" in report.output


def test_a_choice_that_leaves_no_test_of_a_framework_is_no_failure(
    small: Environment, tmp_path: Path
) -> None:
    report = run_tests_of(small, tmp_path, ["-k", "nothing_of_that_name"])
    assert report.ok
    assert report.counts == Counts()


def test_a_report_that_was_never_written_counts_nothing(tmp_path: Path) -> None:
    assert read_results(tmp_path / "none.xml") == (Counts(), 0.0)


def test_the_testers_own_telemetry_stays_out_of_the_tests(tmp_path: Path) -> None:
    (tmp_path / "requirements.lock").write_text("")
    given = {
        "OTEL_SERVICE_NAME": "mine",
        "MIDWATCH_CONTENT": "full",
        "MIDWATCH_CACHE_DIR": "/kept",
        "PYTHONPATH": "/mine",
        "PATH": "/bin",
    }
    made = variables_of_tests(given, Environment("any", tmp_path), tmp_path)
    assert set(made) == {"MIDWATCH_CACHE_DIR", "PATH", "PYTHONPATH"}
    assert "/mine" not in made["PYTHONPATH"]
    assert made["PATH"].endswith("/bin")


def test_the_total_and_the_exit_code_say_how_it_went(
    small: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    from frameworks import cli

    monkeypatch.setattr(cli, "chosen_environments", lambda names: [small])
    monkeypatch.setattr(Environment, "is_made", True)
    ended = CliRunner().invoke(cli.application, ["test"])
    assert ended.exit_code == 1
    assert "[frameworks] small: 1 passed, 1 failed, 1 skipped" in ended.output
    last = ended.output.strip().splitlines()[-1]
    assert last.startswith("[frameworks] 1 environments: 1 passed, 1 failed, 1 skipped in")
    assert last.endswith("not well: small")


def test_the_main_tests_leave_the_frameworks_to_their_own_environments() -> None:
    tests = FOLDER.parent
    others = [f"--ignore={path}" for path in tests.iterdir() if path.is_dir() and path != FOLDER]
    listed = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", tests, *others],
        cwd=tests.parent,
        capture_output=True,
        text=True,
    )
    assert "no tests" in listed.stdout
