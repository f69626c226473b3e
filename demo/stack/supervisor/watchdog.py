"""Ends the stack's programs when the supervisor dies without having done so.

Runs as a process of its own. It holds the read end of a pipe whose write end only the supervisor
has: end of file means that the supervisor is gone, however it went; a byte before it means that
nothing is left to end. Until then it sleeps, so what it needs for the end is imported at the end.
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

_GRACE_SECONDS = 3.0


def main() -> None:
    """Wait for the supervisor's end, then end what carries the mark (first argument)."""
    mark = sys.argv[1]
    if os.read(0, 1):
        return
    # The module alone: its package imports all that a supervisor needs, which takes half a second.
    marking = runpy.run_path(str(Path(__file__).with_name("marking.py")))
    marking["end_marked"](mark, _GRACE_SECONDS)


if __name__ == "__main__":
    main()
