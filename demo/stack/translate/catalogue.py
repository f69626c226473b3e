"""Which local program stands for which component."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True)
class LocalProgram:
    """A program that runs in place of a container image.

    Attributes:
        command: what the image's entry point is; the chart's arguments follow it.
        after: the programs that must be ready before it.
        environment: what the image, the node or the injection brings; the chart's values win.
        stop_seconds: how long its clean end may take.
    """

    command: tuple[str, ...]
    after: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_seconds: float = 10.0


Catalogue: TypeAlias = Mapping[str, LocalProgram]
