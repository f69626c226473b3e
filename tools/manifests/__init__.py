"""Writes what is derived: the chart's copies, goldens, README tables and k8s/.

`python -m manifests` writes them, `python -m manifests --check` only says what is out of date.
"""

from __future__ import annotations

from manifests.outputs import Output, stale, write
from manifests.plan import repository_root, steps

__all__ = ["Output", "repository_root", "stale", "steps", "write"]
