"""Ends the stack's programs when the supervisor dies without having done so.

Runs as a process of its own. It holds the read end of a pipe whose write end only the supervisor
has: end of file means that the supervisor is gone, however it went. Until then it sleeps, so what
it needs for the end is imported at the end.
"""

from __future__ import annotations

import os
import sys

_GRACE_SECONDS = 3.0


def main() -> None:
    """Wait for the supervisor's end, then end what carries the mark (first argument)."""
    mark = sys.argv[1]
    while os.read(0, 4096):
        pass
    from stack.supervisor.marking import end_marked

    end_marked(mark, _GRACE_SECONDS)


if __name__ == "__main__":
    main()
