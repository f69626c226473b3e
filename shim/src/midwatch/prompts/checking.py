"""Everything that is wrong with a folder of prompts, for `midwatch prompts check`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from midwatch.prompts.definitions import NAME, NAME_RULE
from midwatch.prompts.errors import PromptDefinitionError
from midwatch.prompts.files import LABELS, SUFFIXES, Labels, PromptFolder, define_file, read_labels


@dataclass
class Checked:
    """What was found in a folder: how many prompts and versions, and the problems by file."""

    prompts: int = 0
    versions: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)


def check_folder(path: Path) -> Checked:
    """Read every file of a folder of prompts, and compare the labels with what there is."""
    folder, found = PromptFolder(path), Checked()
    names = folder.names()
    for entry in sorted(path.iterdir()):
        if entry.is_file() and entry.suffix in SUFFIXES and entry.name != LABELS:
            if entry.stem.lower() == "readme":
                continue
            told = f"is no prompt; versions belong into a folder: {entry.stem}/1{entry.suffix}"
            found.problems.append((entry.name, told))
    for name in names:
        _check_prompt(folder, name, found)
    found.prompts = len(names)
    if not names:
        told = "holds no prompts; write the first as NAME/1.md"
        found.problems.append((".", told))
    _check_labels(folder, found)
    return found


def _check_prompt(folder: PromptFolder, name: str, found: Checked) -> None:
    if not NAME.match(name):
        found.problems.append((name, f"the name needs {NAME_RULE}"))
    files = folder.files(name)
    if not files:
        found.problems.append((name, "has no versions; write the first as 1.md"))
    for version, count in Counter(file.stem for file in files).items():
        if count > 1:
            found.problems.append((name, f"version {version} is in {count} files; keep one"))
    for file in files:
        found.versions += 1
        try:
            define_file(name, file)
        except PromptDefinitionError as error:
            found.problems += [(f"{name}/{file.name}", problem) for problem in error.problems]


def _check_labels(folder: PromptFolder, found: Checked) -> None:
    file = folder.path / LABELS
    if not file.is_file():
        return
    try:
        labels = read_labels(file)
    except PromptDefinitionError as error:
        found.problems += [(LABELS, problem) for problem in error.problems]
        return
    found.problems += [(LABELS, problem) for problem in _dangling(folder, labels)]


def _dangling(folder: PromptFolder, labels: Labels) -> list[str]:
    problems: list[str] = []
    for prompt, assigned in labels.items():
        versions = folder.versions(prompt)
        if not versions:
            there = ", ".join(folder.names()) or "none"
            problems.append(f"{prompt}: there is no such prompt; there are: {there}")
            continue
        problems += [
            f"{prompt}.{label}: there is no version {version!r}; there are: {', '.join(versions)}"
            for label, one in assigned.items()
            for version in one.versions
            if version not in versions
        ]
    return problems
