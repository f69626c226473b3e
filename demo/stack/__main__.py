"""`python -m stack`."""

from __future__ import annotations

from stack.cli import app

if __name__ == "__main__":
    app()
