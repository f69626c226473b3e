"""Instrumentors are loaded on the import of their target, and fail alone."""

from __future__ import annotations

import importlib
import sys
from importlib import metadata
from typing import cast

import pytest
from midwatch.instrumentors import loader
from midwatch.instrumentors.libraries import LIBRARIES, Library
from midwatch.instrumentors.states import States
from midwatch.pipeline.failures import FAILURES


@pytest.fixture
def library(tmp_path, monkeypatch):
    """Makes a library with an instrumentor of the given body."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(name: str, body: str, **fields) -> Library:
        (tmp_path / f"target_{name}.py").write_text("instrumented = 0\n")
        (tmp_path / f"instrumentor_{name}.py").write_text(
            f"import target_{name} as target\n"
            f"class One:\n    def instrument(self):\n        {body}\n"
        )
        return Library(name, f"target_{name}", (f"instrumentor_{name}:One",), **fields)

    yield make
    for name in [name for name in sys.modules if name.startswith(("target_", "instrumentor_"))]:
        del sys.modules[name]


def test_nothing_is_imported_before_the_application_does(library):
    states = States()
    loader.load_lazily([library("lazy", "target.instrumented += 1")], states)
    assert "instrumentor_lazy" not in sys.modules
    assert states.known() == []
    target = importlib.import_module("target_lazy")
    assert target.instrumented == 1
    assert states.known() == [("lazy", "active")]


def test_a_library_that_is_imported_already_is_instrumented_at_once(library):
    early = library("early", "target.instrumented += 1")
    target = importlib.import_module("target_early")
    loader.load_lazily([early], States())
    assert target.instrumented == 1


def test_one_that_fails_is_counted_and_skipped(library):
    states = States()
    before = FAILURES.counts().get("instrument.bad", 0)
    loader.load_lazily(
        [library("bad", "raise RuntimeError('no')"), library("good", "target.instrumented = 1")],
        states,
    )
    importlib.import_module("target_bad")
    assert importlib.import_module("target_good").instrumented == 1
    assert states.known() == [("bad", "failed"), ("good", "active")]
    assert FAILURES.counts()["instrument.bad"] == before + 1


def test_one_that_declines_without_raising_has_failed(library):
    states = States()
    declining = library("old", "self.is_instrumented_by_opentelemetry = False")
    loader.load_lazily([declining], states)
    importlib.import_module("target_old")
    assert states.known() == [("old", "failed")]


def test_a_library_that_is_not_installed_is_absent():
    states = States()
    loader.load_lazily([Library("gone", "no_such_module_here", ("x:Y",))], states)
    assert states.known() == [("gone", "absent")]


def test_a_library_that_the_environment_turns_off_is_left_alone(library, monkeypatch):
    monkeypatch.setenv("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "other, off")
    states = States()
    loader.load_lazily([library("off", "target.instrumented += 1")], states)
    assert importlib.import_module("target_off").instrumented == 0
    assert states.known() == []


def test_an_installed_rival_is_shown_beside_the_state_of_the_library(library, monkeypatch):
    monkeypatch.setattr(loader, "installed_version", lambda name: "1.0")
    states = States()
    loader.load_lazily([library("raced", "pass", rivals=("the-rival",))], states)
    importlib.import_module("target_raced")
    assert states.known() == [("raced", "active"), ("raced", "rival")]


def test_an_entry_point_that_raises_does_not_reach_the_caller():
    class Broken:
        name = "broken"
        value = "broken:One"

        def load(self):
            raise OSError("no native module")

    states = States()
    loader.load_entry_point(cast("metadata.EntryPoint", Broken()), states)
    assert states.known() == [("broken", "failed")]


def test_a_module_of_a_common_name_is_none_of_the_library_without_its_distribution(library):
    states = States()
    loader.load_lazily([library("own", "target.instrumented += 1", distribution="nowhere")], states)
    assert importlib.import_module("target_own").instrumented == 0
    assert states.known() == [("own", "absent")]


def test_what_has_to_be_asked_for_is_left_alone_until_it_is(library, monkeypatch):
    states = States()
    asked = library("asked", "target.instrumented += 1", only_if=("TRACE_NAMES", "TRACE_ALL"))
    loader.load_lazily([asked], states)
    assert importlib.import_module("target_asked").instrumented == 0
    assert states.known() == []
    monkeypatch.setenv("TRACE_ALL", "true")
    loader.load_lazily([asked], states)
    assert importlib.import_module("target_asked").instrumented == 1


@pytest.mark.parametrize("known", LIBRARIES, ids=lambda each: each.name)
def test_each_librarys_instrumentors_are_ones_of_ours_or_of_its_official_package(known):
    for path in known.instrumentors:
        module, _, name = path.partition(":")
        assert name
        assert module.startswith(("midwatch.instrumentors.", "opentelemetry.instrumentation."))
        assert module.startswith("midwatch.") or known.official
    assert known.official not in known.rivals
