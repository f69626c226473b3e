"""`python -m cluster`: the node, its images and the demo from the command line."""

from __future__ import annotations

from cluster.cli import main

main()
