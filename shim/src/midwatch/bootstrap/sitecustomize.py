"""Has Midwatch ready in a Python that finds this folder on its path, then runs its other one.

Python imports the first `sitecustomize` it finds and no other, so that the application's own has
to be called from here. Nothing that fails here may keep the application from starting.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder

_FOLDER = os.path.dirname(os.path.abspath(__file__))


def _start() -> None:
    try:
        from midwatch.waking import start_when_needed

        start_when_needed()
    except Exception as error:
        sys.stderr.write(f"midwatch: not started ({type(error).__name__}: {error})\n")


def _run_the_other() -> None:
    rest = [path for path in sys.path if os.path.abspath(path or os.curdir) != _FOLDER]
    spec = PathFinder.find_spec("sitecustomize", rest)
    if spec is None or spec.loader is None:
        return
    from importlib.util import module_from_spec

    module = module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


_start()
_run_the_other()
