"""`python -m toolchain`: the same as `midwatch-tools`."""

from __future__ import annotations

from toolchain.cli import main

main()
