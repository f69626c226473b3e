"""Instrumentors are loaded when their target is imported; one that fails is skipped."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Iterable
from importlib import metadata, util
from types import ModuleType
from typing import Protocol, cast

import wrapt

from midwatch.instrumentors.libraries import LIBRARIES, Library
from midwatch.instrumentors.states import STATES, States
from midwatch.pipeline.failures import FAILURES

_logger = logging.getLogger("midwatch")

_DISABLED = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"
_INSTRUMENTOR_GROUP = "opentelemetry_instrumentor"


class Instrumentor(Protocol):
    """What instruments a library."""

    def instrument(self) -> None:
        """Do it."""


def load_lazily(libraries: Iterable[Library] = LIBRARIES, states: States = STATES) -> None:
    """Have each library instrumented on its import (at once if it is imported already).

    `OTEL_PYTHON_DISABLED_INSTRUMENTATIONS` is obeyed. Rivals are noted and never loaded.
    """
    disabled = disabled_names()
    for library in libraries:
        for rival in library.rivals:
            if installed_version(rival) is not None:
                states.note(library.name, "rival")
                _logger.warning(
                    "midwatch: %s is installed too and would record %s a second time; it is not "
                    "loaded. Uninstall it, or set %s=%s to use it in place of midwatch",
                    rival,
                    library.name,
                    _DISABLED,
                    library.name,
                )
        if "*" in disabled or library.name in disabled or not _is_asked_for(library):
            continue
        if not is_there(library):
            states.note(library.name, "absent")
            continue
        _on_import(library, states)


def is_there(library: Library) -> bool:
    """Whether the library can be imported, without importing it."""
    if library.distribution:
        return installed_version(library.distribution) is not None
    return is_present(library.module)


def is_present(module: str) -> bool:
    """Whether the module can be imported, without importing it."""
    if module in sys.modules:
        return True
    try:
        return util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def installed_version(distribution: str) -> str | None:
    """The installed version of a distribution, if it is installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def disabled_names() -> frozenset[str]:
    """The instrumentations that the environment turns off."""
    return frozenset(name.strip() for name in os.environ.get(_DISABLED, "").split(","))


def load_others(states: States = STATES) -> None:
    """Load the installed instrumentations of libraries that the shim itself does not know.

    Those of the libraries that it does know, and their rivals, are left out.
    """
    disabled = disabled_names()
    ours = {name for library in LIBRARIES for name in (library.official, *library.rivals)}
    for entry_point in metadata.entry_points(group=_INSTRUMENTOR_GROUP):
        owner = entry_point.dist.name if entry_point.dist else ""
        if owner in ours or entry_point.name in disabled or "*" in disabled:
            continue
        load_entry_point(entry_point, states)


def handles(entry_point: metadata.EntryPoint) -> bool:
    """Whether the shim itself, and nothing else, is to instrument what the entry point is for."""
    owner = entry_point.dist.name if entry_point.dist else ""
    names = {library.name for library in LIBRARIES}
    owners = {name for library in LIBRARIES for name in (library.official, *library.rivals)}
    return owner in owners or (not owner and entry_point.name in names)


def load_entry_point(entry_point: metadata.EntryPoint, states: States = STATES) -> None:
    """Load and call an instrumentor; its failure is logged and counted."""
    try:
        _activate(entry_point.value, cast("type[Instrumentor]", entry_point.load()))
    except ModuleNotFoundError:
        # The library that it is for is not installed.
        return
    except Exception as error:
        states.note(entry_point.name, "failed")
        FAILURES.note(f"instrument.{entry_point.name}", error)
    else:
        states.note(entry_point.name, "active")


def _is_asked_for(library: Library) -> bool:
    return not library.only_if or any(os.environ.get(name) for name in library.only_if)


def _activate(path: str, kind: type[Instrumentor]) -> None:
    instrumentor = kind()
    instrumentor.instrument()
    # The official base class only logs when a library's version does not suit it.
    if getattr(instrumentor, "is_instrumented_by_opentelemetry", True) is False:
        raise RuntimeError(f"{path} does not support the installed version of its library")


def _on_import(library: Library, states: States) -> None:
    def instrument(_: ModuleType) -> None:
        try:
            for path in library.instrumentors:
                module, _sep, name = path.partition(":")
                found = getattr(importlib.import_module(module), name)
                _activate(path, cast("type[Instrumentor]", found))
        except Exception as error:
            states.note(library.name, "failed")
            FAILURES.note(f"instrument.{library.name}", error)
        else:
            states.note(library.name, "active")

    if library.at_once:
        instrument(sys.modules[library.module])
    else:
        wrapt.register_post_import_hook(instrument, library.module)
