"""The image that pods have as a volume or copy from, made without Docker."""

from __future__ import annotations

import shutil
from pathlib import Path

from cluster import python_layers
from cluster.images import Image, Layer

from injectable.cache import kept_tree

_COPIER = "/bin/cp"


def injection_image(root: Path, name: str) -> Image:
    """The image for this machine, with this machine's `cp` for init containers.

    Args:
        root: the clone.
        name: of the image, with its tag.

    Raises:
        InjectableError: the folder can not be made.
    """
    layer = Layer().tree(kept_tree(root), "python")
    found = shutil.which("busybox") or shutil.which("cp")
    if found is None:
        return Image(name, (layer,))
    program = Path(found).resolve()
    layer.file(program, _COPIER, 0o755)
    python_layers.add_libraries(layer, [program])
    command = ("cp", "-R", "/python", "/opt/midwatch/")
    return Image(name, (layer,), command, environment=python_layers.environment())
