"""`python -m frameworks`: the command line."""

from __future__ import annotations

from frameworks.cli import main

main()
