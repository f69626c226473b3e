# mypy: disable-error-code="no-untyped-def, no-untyped-call, import-not-found, unreachable"
"""Has Midwatch wait in a Python that finds this folder on its path, then runs its other one.

Python imports the first `sitecustomize` that it finds and no other: the application's own is run
from here. This file is read by whatever Python a container has, so it is written for old ones too.
Nothing that fails here may keep the application from starting.
"""

import os
import sys

_FOLDER = os.path.dirname(os.path.abspath(__file__))
_PACKAGES = os.path.join(os.path.dirname(_FOLDER), "packages")
_GATE = "_midwatch_injection"
_NAME = "sitecustomize"


def _wait():
    if sys.version_info < (3, 7):  # noqa: UP036
        return
    try:
        # On no path: the application must not find more than it would without this.
        gate = type(sys)(_GATE)
        gate.__path__ = [os.path.join(_PACKAGES, "midwatch", "injection")]
        sys.modules[_GATE] = gate
        from _midwatch_injection.waiting import wait

        wait(_PACKAGES)
    except Exception as error:
        sys.stderr.write("midwatch: not started (%s: %s)\n" % (type(error).__name__, error))  # noqa: UP031


def _is_ours(path):
    return os.path.abspath(path or os.curdir) == _FOLDER


def _run_the_other():
    if os.environ.get("PYTHONPATH", "").rstrip(os.sep) == _FOLDER + os.pathsep:
        # Kustomize can not add to a path without a separator, which Python takes for this folder.
        here = os.getcwd()
        after = [path for path in sys.path if _is_ours(path)]
        place = sys.path.index(after[0]) + 1 if after else len(sys.path)
        if sys.path[place : place + 1] in ([here], [""]):
            del sys.path[place]
    sys.path[:] = [path for path in sys.path if not _is_ours(path)]
    ours = sys.modules.pop(_NAME)
    try:
        import sitecustomize  # noqa: F401
    except ImportError as error:
        if getattr(error, "name", _NAME) != _NAME:
            raise
    finally:
        # Whoever imports this one finds it there, or the other in its place.
        sys.modules.setdefault(_NAME, ours)


_wait()
_run_the_other()
