"""The import that wakes gets the module it asked for, once, whatever the start does meanwhile."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from midwatch import run, waking
from midwatch.instrumentors import langsmith
from midwatch.instrumentors.libraries import LIBRARIES


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of modules, which are forgotten after the test."""
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("wakes_first", "wakes_second", "made_of_parts"):
        (tmp_path / f"{name}.py").write_text("loaded = []\n")
    yield tmp_path
    for name in list(sys.modules):
        if name.startswith(("wakes_", "made_of_parts")):
            del sys.modules[name]


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the start does: nothing but to be remembered."""
    seen: list[str] = []
    monkeypatch.setattr(waking, "_start", lambda: seen.append("started"))
    return seen


@pytest.fixture
def waker(monkeypatch: pytest.MonkeyPatch, starts: list[str]) -> waking.Waker:
    made = waking.Waker(frozenset({"wakes_first", "wakes_second"}))
    monkeypatch.setattr(sys, "meta_path", [made, *sys.meta_path])
    return made


def test_the_first_import_that_matters_wakes_and_no_other(modules, waker, starts):
    importlib.import_module("made_of_parts")
    assert starts == []
    for name in ("wakes_first", "wakes_second"):
        assert importlib.import_module(name).loaded == []
    assert starts == ["started"]
    waker.wake()
    assert starts == ["started"]


def test_a_finder_that_the_start_adds_is_asked_for_the_same_import(modules, waker, monkeypatch):
    asked = []

    class Late:
        def find_spec(self, name, path=None, target=None):
            asked.append(name)

    monkeypatch.setattr(waking, "_start", lambda: sys.meta_path.insert(0, Late()))
    importlib.import_module("wakes_first")
    assert asked == ["wakes_first"]


def test_a_module_that_the_start_imports_is_not_loaded_twice(modules, waker, monkeypatch):
    def start() -> None:
        importlib.import_module("wakes_first").loaded.append("by the start")

    monkeypatch.setattr(waking, "_start", start)
    module = importlib.import_module("wakes_first")
    assert module.loaded == ["by the start"]
    assert module is sys.modules["wakes_first"]
    assert module.__spec__
    assert module.__spec__.origin == str(modules / "wakes_first.py")


def test_a_module_that_there_is_not_is_missing(waker):
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("wakes_first")


def test_what_is_waited_for_is_every_library_and_opentelemetry(monkeypatch, starts):
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(sys, "path", [])
    waking.start_when_needed()
    waker = sys.meta_path[0]
    assert isinstance(waker, waking.Waker)
    waited_for = {each.module for each in LIBRARIES if not each.at_once and not each.only_if}
    assert waited_for | {"opentelemetry"} == waker._names
    assert starts == []


@pytest.mark.parametrize(
    ("distribution", "at_once"),
    [
        ("opentelemetry_instrumentation_django-1.dist-info", True),
        ("opentelemetry_instrumentation_flask-1.dist-info", False),
        ("django-1.dist-info", False),
    ],
)
def test_instrumentation_that_midwatch_does_not_know_starts_it_at_once(
    monkeypatch, starts, tmp_path, distribution, at_once
):
    folder = tmp_path / distribution
    folder.mkdir()
    (folder / "entry_points.txt").write_text("[opentelemetry_instrumentor]\nx = y:Z\n")
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(sys, "path", [str(tmp_path / "no such folder"), str(tmp_path)])
    waking.start_when_needed()
    assert starts == (["started"] if at_once else [])


def test_a_start_that_fails_is_told(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "midwatch.startup", None)
    waking._start()
    assert "midwatch: not started (ModuleNotFoundError" in capsys.readouterr().err


def test_the_command_is_run_with_the_folder_of_the_bootstrap_first(monkeypatch):
    called: dict[str, object] = {}

    def execute(file, arguments, environ):
        called.update(file=file, arguments=arguments, path=environ["PYTHONPATH"])

    monkeypatch.setattr("os.execvpe", execute)
    monkeypatch.setenv("PYTHONPATH", f"/own:{run.BOOTSTRAP}:")
    run.main(["python", "-c", "pass"])
    assert called == {
        "file": "python",
        "arguments": ["python", "-c", "pass"],
        "path": f"{run.BOOTSTRAP}:/own",
    }


@pytest.mark.parametrize(
    ("command", "code"), [([], 2), (["--help"], 0), (["no-such-program"], 127)]
)
def test_a_wrong_command_ends_with_a_code_that_says_so(command, code):
    with pytest.raises(SystemExit) as ended:
        run.main(command)
    assert ended.value.code == code


def test_langsmiths_own_tracer_that_cannot_be_turned_off_is_counted(monkeypatch):
    from types import ModuleType

    from midwatch.pipeline.failures import FAILURES

    before = FAILURES.counts().get("langsmith", 0)
    langsmith._turn_off(ModuleType("langsmith"))
    assert FAILURES.counts()["langsmith"] == before + 1
