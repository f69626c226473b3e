"""Starts the command."""

from __future__ import annotations

from manifests.cli import main

main()
