"""A run is told again when all that it was given is the same, and is run anew otherwise."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests import kept_runs


class Machine:
    """A program, a folder that it reads, and how often it ran."""

    def __init__(self, folder: Path) -> None:
        self.runs = folder / "runs"
        self.program = folder / "program"
        self.folder = folder / "first"
        self.folder.mkdir()
        (self.folder / "rules").write_text("rules", encoding="utf-8")
        self.write_program("tell")

    def write_program(self, word: str) -> None:
        script = f'#!/bin/sh\necho ran >> {self.runs}\necho {word} "$@" $WORD $(cat) in $PWD\n'
        script += "cat rules\necho careful >&2\nexit ${CODE:-0}\n"
        self.program.write_text(script, encoding="utf-8")
        self.program.chmod(0o755)

    def run(self, *arguments: str, text: str = "", **environment: str) -> tuple[int, str, str]:
        command: list[str | Path] = [self.program, *arguments]
        done = kept_runs.run(
            command,
            folder=self.folder,
            reads=[self.folder],
            text=text,
            environment=environment,
            refusals=["tell refuse"],
        )
        return done.returncode, done.stdout, done.stderr

    @property
    def times(self) -> int:
        return len(self.runs.read_text(encoding="utf-8").splitlines())


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setenv("MIDWATCH_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("MIDWATCH_TEST_FRESH", raising=False)
    return Machine(tmp_path)


def test_the_same_run_is_told_again_with_its_output_and_its_warnings(machine: Machine) -> None:
    first = machine.run("check", text="values")
    assert first == (0, f"tell check values in {machine.folder}\nrules", "careful\n")
    assert machine.run("check", text="values") == first
    assert machine.times == 1


def test_in_another_folder_it_is_the_same_run_and_names_that_folder(machine: Machine) -> None:
    first = machine.run(f"--file={machine.folder}/rules")
    elsewhere = machine.folder.rename(machine.folder.parent / "second")
    machine.folder = elsewhere
    again = machine.run(f"--file={elsewhere}/rules")
    assert again[1] == first[1].replace("first", "second")
    assert machine.times == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda machine: machine.run("other"),
        lambda machine: machine.run("check", text="values"),
        lambda machine: machine.run("check", WORD="another"),
        lambda machine: edited(machine, "rulez"),
        lambda machine: (machine.folder / "more").touch() or machine.run("check"),
        lambda machine: machine.write_program("told") or machine.run("check"),
    ],
    ids=["argument", "input", "variable", "file", "another file", "program"],
)
def test_whatever_is_changed_it_runs_anew(machine: Machine, change) -> None:
    first = machine.run("check")
    changed = change(machine)
    assert machine.times == 2
    assert changed[1] != first[1] or (machine.folder / "more").exists()


def edited(machine: Machine, text: str) -> tuple[int, str, str]:
    (machine.folder / "rules").write_text(text, encoding="utf-8")
    return machine.run("check")


def test_a_file_that_only_an_argument_names_is_part_of_what_is_given(machine: Machine) -> None:
    named = machine.folder.parent / "named"
    for text in ("one", "two"):
        named.write_text(text, encoding="utf-8")
        machine.run(f"--values={named}")
    assert machine.times == 2


def test_a_run_that_failed_is_not_kept(machine: Machine) -> None:
    assert machine.run("check", CODE="3") == machine.run("check", CODE="3")
    assert machine.times == 2


def test_a_failure_that_is_a_judgement_is_told_again_with_its_exit_code(machine: Machine) -> None:
    first = machine.run("refuse", CODE="3")
    assert first == (3, f"tell refuse in {machine.folder}\nrules", "careful\n")
    assert machine.run("refuse", CODE="3") == first
    assert machine.times == 1


def test_what_was_edited_while_it_ran_is_not_kept(machine: Machine) -> None:
    text = machine.program.read_text(encoding="utf-8")
    machine.program.write_text(text.replace("cat rules", "cat rules; date +%N >> rules"))
    machine.run("check")
    (machine.folder / "rules").write_text("rules", encoding="utf-8")
    machine.run("check")
    assert machine.times == 2


def test_the_switch_runs_all(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.run("check")
    monkeypatch.setenv("MIDWATCH_TEST_FRESH", "1")
    machine.run("check")
    assert machine.times == 2


def test_what_a_full_disk_left_is_run_anew_and_kept(machine: Machine) -> None:
    first = machine.run("check")
    (kept,) = kept_runs.kept_folder().glob("*/*")
    kept.write_bytes(kept.read_bytes()[:10])
    assert machine.run("check") == machine.run("check") == first
    assert machine.times == 2


def test_without_a_cache_that_can_be_written_it_runs(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file, no folder", encoding="utf-8")
    assert machine.run("check")[0] == 0


def test_what_nobody_asked_for_in_a_month_or_is_too_much_goes(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = kept_runs.kept_folder() / "00"
    folder.mkdir(parents=True)
    now = time.time()
    for name, days, size in (("new", 1, 400), ("large", 2, 4000), ("old", 31, 1)):
        (folder / name).write_bytes(b"0" * size)
        os.utime(folder / name, (now - days * 86_400,) * 2)
    monkeypatch.setattr(kept_runs, "KEPT_BYTES", 4000)
    machine.run("check")
    assert [file.name for file in folder.iterdir() if file.name in {"new", "large", "old"}] == [
        "new"
    ]
    assert machine.run("check")[0] == 0
    assert machine.times == 1
