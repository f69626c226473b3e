"""Starts Midwatch when a program first imports something that it has to do with, and not before.

Most Python processes of a pod are helpers: build steps, health probes, supervisors that fork. They
record nothing, and so they neither pay for telemetry nor connect to anything.
"""

from __future__ import annotations

import os
import sys
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

_OFFICIAL = "opentelemetry"
_OWN = "midwatch."


class Waker:
    """Takes part in every import, and calls `start` at the first that matters.

    That is the import of a library that is instrumented, of OpenTelemetry's API, or of a part of
    Midwatch. It stays among the finders afterwards, and finds nothing: to leave them in the middle
    of an import could keep another thread's import from asking the next one.
    """

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names
        self._lock = threading.Lock()
        self._woken = False

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """What is to be imported, for the import that wakes; else nothing.

        That import is already past the place where those finders stand that the start adds, and
        the start may have imported the very same module, which must not become two.
        """
        if self._woken or not (name in self._names or name.startswith(_OWN)):
            return None
        self.wake()
        if name in sys.modules:
            return _kept(sys.modules[name])
        others = [finder for finder in sys.meta_path if finder is not self]
        found = (finder.find_spec(name, path, target) for finder in others)
        return next((spec for spec in found if spec is not None), None)

    def wake(self) -> None:
        """Start Midwatch, once; never raises."""
        with self._lock:
            if self._woken:
                return
            self._woken = True
        _start()


class _Present:
    """Loads a module that is there already, as it is."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._spec = module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec


def start_when_needed() -> None:
    """Wait for an import that matters; start at once where what matters is not known.

    That is so where another package brings instrumentation of its own: its target may be anything.
    """
    from midwatch.instrumentors.libraries import LIBRARIES

    known = {name for library in LIBRARIES for name in (library.official, *library.rivals)}
    if _brings_others(sys.path, known):
        _start()
        return
    names = {
        library.module
        for library in LIBRARIES
        if not library.at_once
        and (not library.only_if or any(map(os.environ.get, library.only_if)))
    }
    sys.meta_path.insert(0, Waker(frozenset({*names, _OFFICIAL})))


def _start() -> None:
    try:
        from midwatch.pipeline.resource_detection import detecting_in_this_thread

        # The import of OpenTelemetry's SDK alone asks them, too.
        with detecting_in_this_thread():
            from midwatch.instrumentors.loader import load_others
            from midwatch.startup import init

            started = init()
        if started:
            load_others()
    except Exception as error:
        sys.stderr.write(f"midwatch: not started ({type(error).__name__}: {error})\n")


def _kept(module: ModuleType) -> ModuleSpec:
    """A specification that loads the module as it is.

    Python, too, notices that the module is there by now, and takes the specification that it has:
    until this import ends, it has this one.
    """
    from importlib.machinery import ModuleSpec

    spec = ModuleSpec(module.__name__, _Present(module))  # type: ignore[arg-type]
    module.__spec__ = spec
    return spec


def _brings_others(folders: list[str], known: set[str]) -> bool:
    """Whether a distribution is installed that instruments a library that Midwatch does not know.

    Told by the names of folders, a hundred times faster than by reading all that is installed.
    """
    for folder in folders:
        try:
            names = os.listdir(folder or os.curdir)
        except OSError:
            continue
        for name in names:
            if not name.endswith(".dist-info") or "instrumentation" not in name:
                continue
            distribution = name.partition("-")[0].replace("_", "-").lower()
            if distribution not in known and _instruments(os.path.join(folder, name)):
                return True
    return False


def _instruments(folder: str) -> bool:
    try:
        with open(os.path.join(folder, "entry_points.txt"), encoding="utf-8") as file:
            return "[opentelemetry_instrumentor]" in file.read()
    except (OSError, ValueError):
        return False
