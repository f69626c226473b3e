"""`midwatch-ledger`, the program."""

from __future__ import annotations

import gc


def main() -> None:
    """Run the command line."""
    # What is loaded for it stays: looking for garbage in it took a quarter of the start.
    gc.disable()
    from midwatch_ledger.commands import application

    gc.enable()
    application()
