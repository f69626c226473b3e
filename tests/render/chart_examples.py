"""The chart's examples, for tests that take them in turn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from manifests.plan import repository_root

EXAMPLES = repository_root() / "charts/midwatch/examples"


def example_names() -> list[str]:
    """Folders of the examples, in order."""
    return sorted(path.parent.name for path in EXAMPLES.glob("*/values.yaml"))


def values_in(path: Path) -> dict[str, Any]:
    """Values of a file; none when it holds only comments."""
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


def example_values(name: str) -> dict[str, Any]:
    """Values of the example with this name."""
    return values_in(EXAMPLES / name / "values.yaml")
