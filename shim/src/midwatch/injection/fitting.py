"""Whether Midwatch can work on the Python and the packages that an application has.

The application's own packages always win: they stand before Midwatch's on the path. So all that
matters is whether Midwatch can live with them. It is told without importing any of them.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

_ALIAS = "_midwatch_packaging"
_OWN = "midwatch"


class Findings:
    """What was found.

    Attributes:
        problems: reasons not to start, one sentence each.
        has_own: whether the application brings Midwatch itself, which then is the one to use.
    """

    def __init__(self, problems: Sequence[str] = (), *, has_own: bool = False) -> None:
        self.problems = list(problems)
        self.has_own = has_own


def misfits(bundle: Mapping[str, Any], packages: str, folders: Sequence[str]) -> Findings:
    """Compare what the application has with what Midwatch needs.

    Args:
        bundle: what is in the folder of packages.
        packages: that folder.
        folders: where the application's packages are: its `sys.path`.
    """
    oldest = tuple(bundle["python"])
    if sys.version_info[:2] < oldest:
        given, wanted = (".".join(map(str, one)) for one in (sys.version_info[:2], oldest))
        return Findings([f"Python {given} is older than {wanted}"])
    theirs = [folder or os.curdir for folder in folders if folder != packages]
    # The first one on the path is the one that is imported.
    installed = dict(reversed(list(_distributions(theirs))))
    if _OWN in installed:
        return Findings(has_own=True)
    problems = list(_hiding(bundle["distributions"], installed, theirs))
    problems += _unfit(bundle["distributions"], installed, packages)
    return Findings(problems)


def _distributions(folders: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Name and version of what is installed, by the names of folders: to read all takes long."""
    for folder in folders:
        try:
            entries = os.listdir(folder)
        except OSError:
            continue
        for entry in entries:
            stem, suffix = os.path.splitext(entry)
            if suffix in {".dist-info", ".egg-info"}:
                name, _, rest = stem.partition("-")
                key = name.replace("_", "-").replace(".", "-").lower()
                yield key, rest.partition("-")[0]


def _hiding(
    distributions: Mapping[str, Any], installed: Mapping[str, str], folders: Sequence[str]
) -> Iterator[str]:
    """Modules of the application that stand before Midwatch's, in a version that nobody knows."""
    seen = set()
    for name, known in distributions.items():
        if name in installed:
            continue
        for module in known["modules"]:
            for folder in folders:
                path = os.path.join(folder, module)
                if path not in seen and os.path.exists(path):
                    seen.add(path)
                    yield f"the application's {path} goes before {name} and tells no version"


def _unfit(
    distributions: Mapping[str, Any], installed: Mapping[str, str], packages: str
) -> Iterator[str]:
    shared = sorted(set(distributions) & set(installed))
    if not shared:
        return
    specifiers = _packaging(packages)
    for name in shared:
        wanted = distributions[name]["accepts"]
        version = installed[name]
        try:
            fits = specifiers.SpecifierSet(wanted).contains(version, prereleases=True)
        except ValueError:
            fits = False
        if not fits:
            yield f"the application's {name} {version or '(no version)'} is not {wanted}"


def _packaging(packages: str) -> Any:
    """The library of versions, by another name: the application may have one of its own."""
    import importlib

    alias: Any = type(sys)(_ALIAS)
    alias.__path__ = [os.path.join(packages, "packaging")]
    sys.modules[_ALIAS] = alias
    try:
        return importlib.import_module(f"{_ALIAS}.specifiers")
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == _ALIAS]:
            del sys.modules[name]
