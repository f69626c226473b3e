"""`midwatch-ledger`, the program."""

from __future__ import annotations

import atexit
import gc

# What a command loads stays, a hundred thousand objects of it: to look for garbage in it after
# every 700 of them, as Python does by itself, takes a quarter of a start.
_COLLECT_AFTER = (200_000, 20, 50)


def main() -> None:
    """Run the command line."""
    gc.set_threshold(*_COLLECT_AFTER)
    # To look through all of it once more at the end takes another quarter, and frees nothing that
    # the end of the process doesn't.
    atexit.register(gc.freeze)
    from midwatch_ledger.commands import application

    application()
