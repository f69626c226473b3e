"""The ledger's image: what its Dockerfile installs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

LEDGER = Path(__file__).parents[3] / "ledger"


def test_the_image_has_every_optional_part_of_the_ledger() -> None:
    project = tomllib.loads((LEDGER / "pyproject.toml").read_text())["project"]
    (extras,) = re.findall(
        r'pip install .*"\./ledger\[([\w,-]+)\]"', (LEDGER / "Dockerfile").read_text()
    )

    assert set(extras.split(",")) == set(project["optional-dependencies"])
