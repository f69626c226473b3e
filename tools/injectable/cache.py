"""The folder that is injected, made once for what it is made of."""

from __future__ import annotations

import hashlib
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock
from toolchain.programs import cache_folder

from injectable.tree import build_tree

_KEPT_SECONDS = 24 * 3600.0


def kept_tree(root: Path) -> Path:
    """The folder for this clone, with byte code for this Python; nobody may change what is in it.

    Args:
        root: the clone.

    Raises:
        InjectableError: it can not be made.
    """
    place = cache_folder() / "injectable"
    place.mkdir(parents=True, exist_ok=True)
    tree = place / _digest(root)
    with FileLock(f"{tree}.lock"):
        if not tree.is_dir():
            made = place / f"{tree.name}.new"
            shutil.rmtree(made, ignore_errors=True)
            build_tree(root, made, [Path(sys.executable)]).rename(tree)
        (place / f"{tree.name}.lock").touch()
    forget_old(place, tree)
    return tree


def _digest(root: Path) -> str:
    digest = hashlib.sha256(sys.version.encode())
    for path in _made_of(root):
        digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _made_of(root: Path) -> Iterator[Path]:
    yield root / "requirements.lock"
    yield root / "shim" / "pyproject.toml"
    for folder in (root / "shim" / "src", root / "tools" / "injectable"):
        files = (path for path in folder.rglob("*") if path.is_file())
        yield from sorted(path for path in files if "__pycache__" not in path.parts)


def forget_old(place: Path, tree: Path) -> None:
    """Drop the folders beside this one whose `.lock` nobody has touched for a day."""
    for lock in place.glob("*.lock"):
        if lock.stem != tree.name and time.time() - lock.stat().st_mtime > _KEPT_SECONDS:
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
            lock.unlink(missing_ok=True)
