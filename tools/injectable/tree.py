"""The folder that is injected: `entry`, which is on a pod's path, and `packages`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from injectable.distributions import INDIRECT, described, direct_needs, locked
from injectable.errors import InjectableError
from injectable.standing_in import stand_in

OLDEST_PYTHON = (3, 11)
MOUNTED_AT = "/opt/midwatch/python"
"""Where a container has the folder."""
_NATIVE = ("*.so", "*.pyd", "*.dylib", "*.c", "*.h", "*.pyx")
_OF_INSTALLERS = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json")


def build_tree(root: Path, target: Path, pythons: Sequence[Path] = ()) -> Path:
    """Make the folder, and return it.

    Args:
        root: the clone: `shim/` and `requirements.lock` are read.
        target: a folder that is not there yet.
        pythons: for each, byte code is made, which spares every process to compile what it loads.

    Raises:
        InjectableError: something can not be installed, or is not pure Python.
    """
    packages = target / "packages"
    _install(root, packages)
    stand_in(packages)
    found = described(packages)
    _strip(packages)
    _write_bundle(packages, {name: asdict(one) for name, one in found.items()})
    entry = target / "entry"
    shutil.copytree(packages / "midwatch" / "injection" / "entry", entry)
    for python in pythons:
        _compile(python, target)
    _make_readable(target)
    return target


def native_files(tree: Path) -> list[str]:
    """Files that only one kind of machine or one version of Python can load."""
    found = (path for pattern in _NATIVE for path in tree.rglob(pattern))
    return sorted(str(path.relative_to(tree)) for path in found)


def _install(root: Path, packages: Path) -> None:
    project = tomllib.loads((root / "shim" / "pyproject.toml").read_text(encoding="utf-8"))
    names = [*direct_needs(project["project"]["dependencies"]), *INDIRECT]
    lock = (root / "requirements.lock").read_text(encoding="utf-8")
    packages.mkdir(parents=True)
    subset = packages / "subset.txt"
    subset.write_text(locked(lock, names), encoding="utf-8")
    install = ["pip", "install", "--quiet", "--no-deps", "--python", sys.executable]
    # Copied, not linked: what is changed here must not change in uv's cache and elsewhere.
    install += ["--link-mode", "copy", "--target", str(packages)]
    _uv(*install, "--require-hashes", "--requirement", str(subset))
    _uv(*install, str(root / "shim"))
    subset.unlink()


def _uv(*arguments: str) -> None:
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is None:
        raise InjectableError("there is no uv: install it with pip, in the version of the lock")
    done = subprocess.run([uv, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise InjectableError(f"uv {' '.join(arguments)} failed:\n{done.stderr}")


def _strip(packages: Path) -> None:
    """Leave what runs: no native module (each has its twin in Python) and no program."""
    for pattern in (*_NATIVE, *(f"*.dist-info/{name}" for name in _OF_INSTALLERS)):
        for path in packages.rglob(pattern):
            path.unlink()
    for folder in ("bin", "wrapt-stubs"):
        shutil.rmtree(packages / folder, ignore_errors=True)
    (packages / ".lock").unlink(missing_ok=True)
    if left := native_files(packages):
        raise InjectableError(f"not pure Python: {', '.join(left)}")


def _write_bundle(packages: Path, found: dict[str, dict[str, object]]) -> None:
    from midwatch.injection.waiting import BUNDLE, TRIGGERS
    from midwatch.instrumentors.libraries import LIBRARIES

    bundle = {"python": OLDEST_PYTHON, "distributions": found}
    (packages / BUNDLE).write_text(json.dumps(bundle, indent=1) + "\n", encoding="utf-8")
    lines = [" ".join((one.module, *one.only_if)) for one in LIBRARIES if not one.at_once]
    lines.append("opentelemetry")
    (packages / TRIGGERS).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _compile(python: Path, target: Path) -> None:
    # By hash and unchecked: times of files are not kept by images, and nobody changes the files.
    command = [str(python), "-I", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    command += ["-s", str(target), "-p", MOUNTED_AT, str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InjectableError(f"{python} can not compile the folder:\n{done.stdout}{done.stderr}")


def _make_readable(target: Path) -> None:
    """Any user of any container reads it, and none writes to it."""
    for path in [target, *target.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
