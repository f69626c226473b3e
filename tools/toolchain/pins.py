"""The pinned programs, as `programs.toml` and the Go modules beside it state them."""

from __future__ import annotations

import functools
import hashlib
import platform
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from toolchain.errors import ProgramsUnavailable

PROGRAMS_FOLDER = Path(__file__).resolve().parent.parent / "programs"


@dataclass(frozen=True)
class Pin:
    """One program: which versions on PATH fit, and what builds it.

    Attributes:
        name: the program's file name.
        accepts: versions on PATH that fit; None when only our own build will do.
        version_command: arguments that make the program print its version.
        module: folder of the Go module that builds it; None when it can't be built.
        package: Go package of the program; None when a manifest generates it.
        manifest: the collector builder's manifest; None for other programs.
        version: the version that our build is.
        version_variable: Go variable that the build sets to the version.
        variables: further Go variables that the build sets.
        tags: Go's build tags.
        group: what the program is needed for; empty for what all of Midwatch's own doors need.
    """

    name: str
    accepts: SpecifierSet | None
    version_command: tuple[str, ...]
    module: Path | None
    package: str | None
    manifest: Path | None
    version: Version | None
    version_variable: str | None
    tags: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    group: str = ""

    @property
    def key(self) -> str:
        """A digest of everything that decides what the build is."""
        if self.module is None:
            raise ValueError(f"{self.name} is not built here")
        digest = hashlib.sha256()
        for file in (self.module / "go.mod", self.module / "go.sum", self.manifest):
            if file is not None:
                digest.update(file.read_bytes())
        for source in sorted(self.module.rglob("*.go")):
            digest.update(source.read_bytes())
        for variable, value in sorted(self.variables.items()):
            digest.update(f"\0{variable}={value}".encode())
        how = (self.package, self.version_variable, ",".join(self.tags))
        for fact in (*how, platform.system(), platform.machine()):
            digest.update(f"\0{fact}".encode())
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Pins:
    """All pinned programs, and the Go that builds them."""

    oldest_go: Version
    go_lock: Path
    programs: Mapping[str, Pin]

    def __getitem__(self, name: str) -> Pin:
        if name not in self.programs:
            known = ", ".join(sorted(self.programs))
            raise ProgramsUnavailable({name: f"no such program is pinned; these are: {known}"})
        return self.programs[name]

    def buildable(self, group: str) -> list[str]:
        """Return the names of a group's programs that can be built here.

        Raises:
            ProgramsUnavailable: there is no such group.
        """
        names = [
            name
            for name, pin in self.programs.items()
            if pin.group == group and pin.module is not None
        ]
        if not names:
            known = ", ".join(sorted({pin.group for pin in self.programs.values() if pin.group}))
            raise ProgramsUnavailable({group: f"no such group of programs; these are: {known}"})
        return names


@functools.cache
def load_pins(folder: Path = PROGRAMS_FOLDER) -> Pins:
    """Read `programs.toml` in the folder."""
    stated = tomllib.loads((folder / "programs.toml").read_text(encoding="utf-8"))
    programs = {name: _pin(name, facts, folder) for name, facts in stated["programs"].items()}
    return Pins(Version(stated["go"]["oldest"]), folder / "go.lock", programs)


def _pin(name: str, facts: Mapping[str, Any], folder: Path) -> Pin:
    return Pin(
        name=name,
        accepts=SpecifierSet(facts["accepts"]) if "accepts" in facts else None,
        version_command=tuple(facts.get("version-command", ())),
        module=folder / facts["module"] if "module" in facts else None,
        package=facts.get("package"),
        manifest=folder / facts["manifest"] if "manifest" in facts else None,
        version=Version(facts["version"]) if "version" in facts else None,
        version_variable=facts.get("version-variable"),
        tags=tuple(facts.get("tags", ())),
        variables=dict(facts.get("variables", {})),
        group=facts.get("group", ""),
    )
