"""Which distributions are injected, and which versions of each an application may bring itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path, PurePosixPath

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from injectable.errors import InjectableError

OWN = "midwatch"
INDIRECT = ("asgiref", "opentelemetry-util-http", "packaging", "typing-extensions")
"""What is needed by what the shim needs."""
WITHOUT: Mapping[str, frozenset[str]] = {
    # The command line; only `midwatch doctor` and its like need it.
    OWN: frozenset({"typer"}),
    # Native, or large; see `standing_in`.
    "genai-prices": frozenset({"httpx2", "pydantic"}),
}
"""Declared needs that are met otherwise, or not at all, by distribution."""
ALSO_FIT: Mapping[str, str] = {
    # FastAPI, among others, brings the API without the SDK. The SDK uses private names of it, so
    # that an API of another minor version does not do.
    "opentelemetry-api": "~=1.45.0",
    "pyyaml": ">=5.4",
}
"""Versions that were tried beside what is injected, where less is declared."""


@dataclass(frozen=True)
class Injected:
    """One distribution of the folder.

    Attributes:
        accepts: the versions that would do, where the application has it itself.
        modules: files by which it is known where it tells no version.
    """

    version: str
    accepts: str
    modules: tuple[str, ...]


def direct_needs(requirements: Iterable[str]) -> list[str]:
    """Names of what the shim's pyproject.toml requires and injection needs."""
    names = [canonicalize_name(Requirement(text).name) for text in requirements]
    return [name for name in names if name not in WITHOUT[OWN]]


def locked(lock: str, names: Iterable[str]) -> str:
    """The part of a lock (with hashes) that is for the names.

    Raises:
        InjectableError: a name is not locked.
    """
    entries: dict[str, str] = {}
    for entry in re.findall(r"^\S(?:.*\\\n)*.*$", lock, flags=re.MULTILINE):
        if not entry.startswith(("#", "-")):
            entries[canonicalize_name(re.split(r"[=\[ ;]", entry)[0])] = entry
    wanted = list(names)
    if missing := [name for name in wanted if name not in entries]:
        raise InjectableError(
            f"requirements.lock has no {', '.join(missing)}: run `make lock`, or take them out of "
            "tools/injectable/distributions.py"
        )
    return "\n".join(entries[name] for name in wanted) + "\n"


def described(packages: Path) -> dict[str, Injected]:
    """The distributions in a folder of packages.

    Raises:
        InjectableError: one needs what is not in the folder.
    """
    found = {
        canonicalize_name(one.metadata["Name"]): one for one in distributions(path=[str(packages)])
    }
    accepted: dict[str, SpecifierSet] = {name: SpecifierSet() for name in found}
    missing = []
    for name, one in found.items():
        for need in _needs(name, one):
            key = canonicalize_name(need.name)
            if key in accepted:
                accepted[key] &= need.specifier
            else:
                missing.append(f"{name} needs {need.name}")
    if missing:
        raise InjectableError(
            f"not in the injected folder: {'; '.join(missing)}. Name them in INDIRECT or WITHOUT "
            "in tools/injectable/distributions.py"
        )
    return {
        name: Injected(
            one.version,
            ALSO_FIT.get(name, str(accepted[name])),
            tuple(sorted(set(_modules(one)))),
        )
        for name, one in sorted(found.items())
    }


def _needs(name: str, one: Distribution) -> Iterator[Requirement]:
    for text in one.requires or []:
        need = Requirement(text)
        if need.marker is not None and "extra" in str(need.marker):
            continue
        if canonicalize_name(need.name) not in WITHOUT.get(name, ()):
            yield need


def _modules(one: Distribution) -> Iterator[str]:
    """The uppermost modules that are no namespaces, each also as the other kind of file."""
    files = [PurePosixPath(str(file)) for file in one.files or []]
    packages = {file.parent for file in files if file.name == "__init__.py"}
    for package in packages:
        if package.parent not in packages:
            yield f"{package}/__init__.py"
            yield f"{package}.py"
            # A namespace that an application makes a package of hides all that is in it.
            yield from (f"{above}/__init__.py" for above in package.parents if above.name)
    for file in files:
        if file.suffix == ".py" and len(file.parts) == 1:
            yield str(file)
            yield f"{file.stem}/__init__.py"
