"""The chart's own scripts as modules, for the tests that run them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

from manifests.plan import repository_root

FILES = repository_root() / "charts/midwatch/files"


def loaded(path: str) -> ModuleType:
    """The script at this path below the chart's files."""
    specification = importlib.util.spec_from_file_location(Path(path).stem, FILES / path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module
