"""Layers with this machine's Python and with packages of this environment, as it has them.

An image made of them runs exactly what the tests run, and making it asks for no network.
"""

from __future__ import annotations

import compileall
import re
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cluster.errors import ClusterUnavailable
from cluster.images import Layer

VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
SITE_PACKAGES = f"/usr/local/lib/{VERSION}/site-packages"
_LIBRARIES = "/usr/local/lib/shared"
_LEFT_OUT = {"test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3"}
_SHARED_LIBRARY = re.compile(r"^\s*(\S+) => (/\S+) \(|^\s*(/\S*ld-linux\S*) \(", re.MULTILINE)


def interpreter() -> Layer:
    """Return a layer with this Python, its standard library and the libraries it is linked with."""
    layer = Layer()
    program = Path(sys.executable).resolve()
    standard = Path(sysconfig.get_path("stdlib"))
    layer.file(program, f"/usr/local/bin/{VERSION}", 0o755)
    layer.link("/usr/local/bin/python3", VERSION)
    layer.link("/usr/local/bin/python", VERSION)
    layer.tree(standard, f"/usr/local/lib/{VERSION}", _of_the_standard_library)
    layer.folder("/tmp", 0o1777)  # noqa: S108 - of the image
    layer.text("/etc/passwd", "root:x:0:0:root:/:\nmidwatch:x:10001:10001:midwatch:/:\n")
    linked = [program, *standard.joinpath("lib-dynload").glob("*.so")]
    add_libraries(layer, linked)
    return layer


def packages(roots: Iterable[str], without: Callable[[str], bool] = lambda _: False) -> Layer:
    """Return a layer with distributions of this environment and all that they require.

    Args:
        roots: the names of distributions.
        without: says which to leave out, by name; of a root that it names, what the root requires
            is still put in, as with a package of this workspace, whose sources are added instead.

    Raises:
        ClusterUnavailable: one is not installed here.
    """
    layer = Layer()
    native: list[Path] = []
    for found in _closure(roots, without):
        for file in found.files or ():
            if file.parts[0] == ".." or "__pycache__" in file.parts:
                continue
            source = Path(str(found.locate_file(file)))
            if source.is_file():
                layer.file(source, f"{SITE_PACKAGES}/{file}")
                compiled = source.parent / "__pycache__" / f"{source.stem}.{_tag()}.pyc"
                if source.suffix == ".py" and compiled.is_file():
                    layer.file(
                        compiled, f"{SITE_PACKAGES}/{file.parent}/__pycache__/{compiled.name}"
                    )
                if ".so" in source.name:
                    native.append(source)
    add_libraries(layer, native)
    return layer


def source(layer: Layer, folder: Path, name: str) -> Layer:
    """Add a package of this workspace to a layer, from its sources, compiled.

    A container's root is read only: what is not compiled in it is compiled at every start.
    """
    compileall.compile_dir(folder / name, quiet=1)
    ours = f".{_tag()}.pyc"
    return layer.tree(
        folder / name,
        f"{SITE_PACKAGES}/{name}",
        lambda path: path.suffix != ".pyc" or path.name.endswith(ours),
    )


def metadata(layer: Layer, name: str) -> Layer:
    """Add what an installed distribution says of itself, as its version and its entry points."""
    for file in distribution(name).files or ():
        if file.parts[0].endswith(".dist-info") and file.name in ("METADATA", "entry_points.txt"):
            layer.file(Path(str(file.locate())), f"{SITE_PACKAGES}/{file}")
    return layer


def environment() -> tuple[str, ...]:
    """Return the variables with which Python runs in an image."""
    return (
        f"LD_LIBRARY_PATH={_LIBRARIES}",
        "PYTHONDONTWRITEBYTECODE=1",
        "PYTHONUNBUFFERED=1",
        "LANG=C.UTF-8",
    )


def _closure(roots: Iterable[str], without: Callable[[str], bool]) -> list[Distribution]:
    found: dict[str, Distribution] = {}
    waiting = [Requirement(root) for root in roots]
    asked = {canonicalize_name(root.name) for root in waiting}
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        if name in found or (without(name) and name not in asked):
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            raise ClusterUnavailable(
                f"{name} is not installed in this environment; run 'make install'"
            ) from None
        for text in found[name].requires or ():
            required = Requirement(text)
            extras = [{"extra": extra} for extra in wanted.extras] or [{"extra": ""}]
            if required.marker is None or any(required.marker.evaluate(each) for each in extras):
                waiting.append(required)
    return [found[name] for name in found if not without(name)]


def _of_the_standard_library(path: Path) -> bool:
    return path.name not in _LEFT_OUT | {"site-packages", "dist-packages"} and not (
        path.name.startswith("config-") or path.name.endswith((".a", ".opt-1.pyc", ".opt-2.pyc"))
    )


def add_libraries(layer: Layer, files: Sequence[Path]) -> None:
    """Add what the files are linked with; the loader lies where every program names it."""
    if not files:
        return
    listed = subprocess.run(
        ["ldd", *map(str, files)],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    for name, path, loader in set(_SHARED_LIBRARY.findall(listed.stdout)):
        if loader:
            layer.file(Path(loader), loader, 0o755)
        elif "site-packages" not in path:
            layer.file(Path(path), f"{_LIBRARIES}/{name}", 0o755)


def _tag() -> str:
    return sys.implementation.cache_tag or ""
