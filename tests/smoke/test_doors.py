from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
DOORS = ("help", "install", "demo", "test", "check", "manifests", "dashboards")


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--", *patterns],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    return [REPOSITORY / line for line in listed.stdout.splitlines()]


def test_help_lists_every_target_with_a_line() -> None:
    shown = subprocess.run(
        ["make", "help"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout
    for door in DOORS:
        assert re.search(rf"^\s+make {door}\s+\S+", shown, re.MULTILINE), door
    targets = re.findall(
        r"^([a-z-]+):(?!=)", (REPOSITORY / "Makefile").read_text("utf-8"), re.MULTILINE
    )
    assert [target for target in targets if f"make {target}" not in shown] == []


@pytest.mark.parametrize(
    "page", tracked("*.md"), ids=lambda page: str(page.relative_to(REPOSITORY))
)
def test_every_relative_link_of_a_page_leads_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    local = [target.split("#")[0] for target in targets if not re.match(r"[a-z]+:|#", target)]
    assert [target for target in local if not (page.parent / target).exists()] == []


def test_the_readme_names_only_targets_that_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text("utf-8"), re.M))
    named = set(re.findall(r"\bmake ([a-z-]+)", (REPOSITORY / "README.md").read_text("utf-8")))
    assert {"demo", "test"} <= named <= targets


def test_no_file_names_the_host_of_a_package_registry() -> None:
    hosts = re.compile("py" r"pi\.org|python" r"hosted\.org|proxy\.go" r"lang|registry\.npm" "js")
    guilty = [
        file
        for file in tracked()
        if file.is_file() and hosts.search(file.read_text("utf-8", errors="ignore"))
    ]
    assert guilty == []


@pytest.mark.parametrize("script", tracked("*.sh", ".ci/run"), ids=lambda script: script.name)
def test_every_script_parses_and_can_be_started_unless_it_is_sourced(script: Path) -> None:
    parsed = subprocess.run(
        ["bash", "-n", str(script)], capture_output=True, text=True, check=False
    )
    assert parsed.returncode == 0, parsed.stderr
    is_sourced = not script.read_text("utf-8").startswith("#!")
    assert is_sourced or script.stat().st_mode & 0o111
