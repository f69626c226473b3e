"""Waits for the first import that matters; only then is anything looked at, and judged."""

from __future__ import annotations

import os
import sys
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

TRIGGERS = "triggers.txt"
"""Lists the modules whose import matters, each with the variables of which one has to be set."""
BUNDLE = "bundle.json"
"""What is in the folder of packages, and which versions of each would do as well."""
_LAUNCHER = "midwatch.run"


class Gate:
    """Takes part in every import, and lets Midwatch in at the first that matters.

    By then the program's path is complete, which it is not yet when Python starts: the folder of
    its script is on it, and what it put there itself. Processes that import nothing of the kind
    (probes, build steps) are left as they are. The gate finds nothing itself and stays: to leave
    the finders in the middle of an import could keep another thread from asking the next one.

    Args:
        packages: the folder of Midwatch and of what it needs.
        names: the modules whose import matters.
    """

    def __init__(self, packages: str, names: frozenset[str]) -> None:
        self._packages = packages
        self._names = names
        self._lock = threading.Lock()
        self._passed = False

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """What is to be imported, for the import at which Midwatch starts; else nothing."""
        if self._passed or not (name in self._names or name.startswith("midwatch.")):
            return None
        if name == _LAUNCHER:
            # What `midwatch-run` is made of; the program comes yet.
            return None
        if not self._pass():
            return None
        try:
            return self._let_in(name, path, target)
        except Exception as error:
            sys.stderr.write(f"midwatch: not started ({type(error).__name__}: {error})\n")
            return None

    def _pass(self) -> bool:
        """Whether it is this import at which Midwatch starts, and not another thread's."""
        with self._lock:
            first = not self._passed
            self._passed = True
        return first

    def _let_in(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> ModuleSpec | None:
        if _is_there():
            return None
        import json

        from .fitting import misfits
        from .standing_down import stand_down
        from .variables import set_defaults

        with open(os.path.join(self._packages, BUNDLE), encoding="utf-8") as file:
            bundle = json.load(file)
        found = misfits(bundle, self._packages, sys.path)
        if found.problems:
            stand_down(found.problems, os.environ)
            return None
        set_defaults(os.environ)
        if not found.has_own:
            sys.path.append(self._packages)
        from midwatch.waking import Waker

        # It knows how an import goes on that is already past the finders that its start adds.
        return Waker(frozenset([name])).find_spec(name, path, target)


def wait(packages: str) -> None:
    """Put a gate among the finders of modules, unless Midwatch is there already.

    Raises:
        OSError: the folder of packages is not complete.
    """
    if _is_there():
        return
    with open(os.path.join(packages, TRIGGERS), encoding="utf-8") as file:
        lines = [line.split() for line in file]
    names = [line[0] for line in lines if not line[1:] or any(map(os.environ.get, line[1:]))]
    sys.meta_path.insert(0, Gate(packages, frozenset(names)))


def _is_there() -> bool:
    """Whether the program was started by `midwatch-run`."""
    return "midwatch.waking" in sys.modules
