"""How the person at the terminal starts one of our modules again."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path


def command(*words: object) -> str:
    """Return the command line of a module, such as `.venv/bin/python -m stack down`.

    An interpreter below the current folder is named from there; any other by its whole path, since
    a bare `python` may be one without these packages.
    """
    interpreter = Path(os.path.abspath(sys.executable))
    here = Path.cwd()
    if interpreter.is_relative_to(here):
        interpreter = interpreter.relative_to(here)
    return shlex.join([str(interpreter), "-m", *map(str, words)])
