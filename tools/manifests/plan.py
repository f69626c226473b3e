"""The steps, in the order in which one needs what another wrote."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from manifests.copies import copies
from manifests.goldens import goldens
from manifests.images import image_list
from manifests.injection import injection_manifests
from manifests.outputs import Output
from manifests.plain import plain_manifests
from manifests.values_table import readme_tables

Step = Callable[[Path], Output]


def repository_root() -> Path:
    """The clone that this package stands in."""
    return Path(__file__).resolve().parents[2]


def steps() -> dict[str, Step]:
    """Steps by the name that progress is told under; copies come first, renderings read them."""
    return {
        "copies inside the chart": copies,
        "tables of values": readme_tables,
        "goldens of the examples": goldens,
        "list of images": image_list,
        "plain manifests": plain_manifests,
        "injection without Helm": injection_manifests,
    }
