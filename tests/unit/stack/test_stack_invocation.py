from __future__ import annotations

import sys
from pathlib import Path

import pytest
from stack.invocation import command


def test_an_interpreter_below_the_current_folder_is_named_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv" / "bin" / "python"))
    assert command("stack", "down") == ".venv/bin/python -m stack down"


def test_an_interpreter_elsewhere_is_named_by_its_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    assert command("stack", "up") == f"{tmp_path}/bin/python -m stack up"


def test_a_folder_with_a_space_stays_one_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    line = command("stack", "status", "--directory", tmp_path / "my stack")
    assert line.endswith(f"--directory '{tmp_path}/my stack'")
