"""Prompts as version-controlled files: `<folder>/<name>/<version>.md` or `.yaml`, `labels.yaml`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml

from midwatch.prompts.definitions import ROLES, Definition, define
from midwatch.prompts.errors import PromptDefinitionError, PromptNotFoundError
from midwatch.prompts.labels import Assignment, assignment, latest, one_version, version_order

SUFFIXES = (".md", ".yaml", ".yml")
LABELS = "labels.yaml"
LATEST = "latest"
"""The label that always stands for the highest version."""

_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.*?)(?:\r?\n)?---[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_ROLE_HEADING = re.compile(rf"^## ({'|'.join(ROLES)})[ \t]*$", re.MULTILINE)

_Found = TypeVar("_Found")

Labels = Mapping[str, Mapping[str, Assignment]]


class PromptFolder:
    """Reads a folder of prompts; a file that changes is read anew."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read: dict[Path, tuple[tuple[int, int], object]] = {}

    def names(self) -> list[str]:
        """The prompts that there are."""
        return sorted(
            entry.name
            for entry in self.path.iterdir()
            if entry.is_dir() and not entry.name.startswith((".", "_"))
        )

    def versions(self, name: str) -> list[str]:
        """The versions of a prompt, in ascending order."""
        return sorted({file.stem for file in self.files(name)}, key=version_order)

    def files(self, name: str) -> list[Path]:
        """The files of a prompt."""
        folder = self.path / name
        if not folder.is_dir() or folder.parent != self.path:
            return []
        return sorted(file for file in folder.iterdir() if file.suffix in SUFFIXES)

    def definition(self, name: str, version: str) -> Definition | None:
        """A version of a prompt, if there is one.

        Raises:
            PromptDefinitionError: it is not well defined.
        """
        for file in self.files(name):
            if file.stem == version:
                return self._fresh(file, partial(define_file, name))
        return None

    def assigned(self, name: str, label: str) -> Assignment | None:
        """What a label of a prompt stands for.

        A prompt without any label has `production` and `latest`, both its highest version.

        Raises:
            PromptDefinitionError: `labels.yaml` is not well defined.
        """
        labels = self.labels().get(name, {})
        if label in labels:
            return labels[label]
        versions = self.versions(name)
        if versions and (label == LATEST or (label == "production" and not labels)):
            return one_version(latest(versions))
        return None

    def labels(self) -> Labels:
        """What the labels of all prompts stand for."""
        file = self.path / LABELS
        return self._fresh(file, read_labels) if file.is_file() else {}

    def _fresh(self, file: Path, read: Callable[[Path], _Found]) -> _Found:
        found = file.stat()
        stamp = (found.st_mtime_ns, found.st_size)
        known = self._read.get(file)
        if known is None or known[0] != stamp:
            known = self._read[file] = (stamp, read(file))
        return cast("_Found", known[1])


def define_file(name: str, file: Path) -> Definition:
    """The version of a prompt that a file defines.

    Raises:
        PromptDefinitionError: it is not well defined; names everything.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
        data = _markdown(text) if file.suffix == ".md" else _yaml(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise PromptDefinitionError(f"{name}/{file.name} cannot be read", [_said(error)]) from error
    return define(name, file.stem, data, source="file")


def read_labels(file: Path) -> Labels:
    """The labels of a `labels.yaml`.

    Raises:
        PromptDefinitionError: it is not well defined; names everything.
    """
    try:
        # Without YAML's types: 1.10 is a version and no number.
        data = _yaml(file.read_text(encoding="utf-8-sig"), typed=False)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise PromptDefinitionError(f"{file.name} cannot be read", [_said(error)]) from error
    found: dict[str, dict[str, Assignment]] = {}
    problems: list[str] = []
    for prompt, label, given in _each_label(data, problems):
        assigned, wrong = assignment(prompt, label, given)
        problems += [f"{prompt}.{label}: {problem}" for problem in wrong]
        if assigned is not None:
            found.setdefault(prompt, {})[label] = assigned
    if problems:
        raise PromptDefinitionError(f"{file.name} is not well defined", problems)
    return found


def _each_label(data: object, problems: list[str]) -> Iterator[tuple[str, str, object]]:
    if data in (None, ""):
        return
    if not isinstance(data, Mapping):
        problems.append("needs a map of prompts to maps of labels")
        return
    for prompt, labels in data.items():
        if not isinstance(labels, Mapping):
            problems.append(f"{prompt}: needs a map of labels to versions")
            continue
        for label, given in labels.items():
            if label == LATEST:
                problems.append(f"{prompt}.latest: is always the highest version; take it out")
            else:
                yield str(prompt), str(label), given


def _markdown(text: str) -> dict[str, Any]:
    matter = _FRONT_MATTER.match(text)
    data = (_yaml(matter[1]) if matter else None) or {}
    if not isinstance(data, dict):
        raise ValueError("the front matter between the lines --- needs to be a map")
    body = (text[matter.end() :] if matter else text).replace("\r\n", "\n")
    for key in ("template", "messages"):
        if key in data:
            raise ValueError(f"`{key}` does not belong into front matter: it is the text below it")
    if data.get("type") != "chat":
        return {**data, "template": body.strip("\n")}
    before, *parts = _ROLE_HEADING.split(body)
    if before.strip():
        raise ValueError("the text of a chat prompt begins with a heading such as `## system`")
    messages = [
        {"role": role, "content": content.strip("\n")}
        for role, content in zip(parts[::2], parts[1::2], strict=True)
    ]
    return {**data, "messages": messages}


class _OnceLoader(yaml.SafeLoader):
    """Refuses a key that stands twice in a map, of which the first would be lost silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                line = key.start_mark.line + 1
                raise ValueError(f"line {line}: {key.value!r} stands twice; keep one")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


class _TextLoader(_OnceLoader):
    """Reads every value as text."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 (as the base class has it)


def _yaml(text: str, *, typed: bool = True) -> Any:
    return yaml.load(text, Loader=_OnceLoader if typed else _TextLoader)  # noqa: S506 (both are safe)


def _said(error: Exception) -> str:
    told = str(error).replace('in "<unicode string>",', "at")
    return " ".join(told.split()) or type(error).__name__


def folder_of(path: Path | None) -> PromptFolder | None:
    """The folder of the settings, else `prompts` in the working directory, if there is one."""
    if path is None:
        usual = Path("prompts")
        return PromptFolder(usual.absolute()) if usual.is_dir() else None
    return PromptFolder(Path(os.path.abspath(path)))


def not_found(name: str, wanted: str, folder: PromptFolder | None) -> PromptNotFoundError:
    """The error for a prompt that no source has, with what there is instead."""
    if folder is None:
        return PromptNotFoundError(
            f"prompt {name!r}{wanted} was not found: MIDWATCH_PROMPTS_DIR names no folder, there "
            "is no folder `prompts` here, and no ledger answered"
        )
    versions = folder.versions(name)
    if not versions:
        there = ", ".join(folder.names()) or "none"
        return PromptNotFoundError(
            f"prompt {name!r} was not found in {folder.path}; there are: {there}"
        )
    labels = ", ".join([*folder.labels().get(name, {}), LATEST])
    return PromptNotFoundError(
        f"prompt {name!r} has no{wanted.replace(' in', '')}; its versions are "
        f"{', '.join(versions)}, its labels {labels}"
    )
