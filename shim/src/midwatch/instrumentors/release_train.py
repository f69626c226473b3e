"""Whether the official GenAI packages are the releases that belong together."""

from __future__ import annotations

import functools
import logging
from importlib import metadata

from midwatch.instrumentors.libraries import GENAI_TRAIN

_logger = logging.getLogger("midwatch")


def skewed() -> list[str]:
    """The packages that are not of the release that they must be, each told as a sentence."""
    return [
        f"{distribution} {f'is {version}' if version else 'is not installed'}, needed is exactly "
        f"{wanted}"
        for distribution, wanted in GENAI_TRAIN
        if (version := _installed(distribution)) != wanted
    ]


@functools.cache
def tell_skew() -> None:
    """Warn of packages that do not belong together, once in a process."""
    wrong = skewed()
    if wrong:
        _logger.warning(
            "midwatch: packages of different releases, with which model calls yield no spans: %s; "
            "install those releases, `midwatch doctor` shows them",
            "; ".join(wrong),
        )


def _installed(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
