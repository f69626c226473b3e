"""Runs one framework's tests under its own interpreter and counts what came of them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory

from frameworks.environments import FOLDER, REPOSITORY, Environment, uv

SHIM = REPOSITORY / "shim"

_OF_THE_TESTER = re.compile(
    r"(OTEL|AGENT|LANGFUSE|LANGSMITH|LANGCHAIN|PYTEST|COV)_|PYTHONPATH|VIRTUAL_ENV"
)
_MIDWATCH = re.compile(r"MIDWATCH_(?!CACHE_DIR$)")
_NO_TESTS_CHOSEN = 5


@dataclass(frozen=True)
class Counts:
    """How many tests ended how."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            *(getattr(self, each.name) + getattr(other, each.name) for each in fields(Counts))
        )

    def __str__(self) -> str:
        shown = [f"{self.passed} passed"]
        shown += [f"{self.failed} failed"] if self.failed else []
        shown += [f"{self.skipped} skipped"] if self.skipped else []
        return ", ".join(shown)


@dataclass(frozen=True)
class Report:
    """What came of one environment's tests; `output` is what pytest printed."""

    name: str
    counts: Counts
    ok: bool
    output: str
    seconds: float = 0.0


@contextmanager
def shim_overlay() -> Iterator[Path]:
    """A folder that makes the shim of this tree an installed package, without its requirements.

    Environments are shared by all clones, so that the shim can't be installed into them.
    """
    with TemporaryDirectory(prefix="midwatch-shim-") as folder:
        uv(
            "the shim",
            "pip",
            "install",
            "--python",
            sys.executable,
            "--target",
            folder,
            "--no-deps",
            "--no-build-isolation",
            "--editable",
            str(SHIM),
        )
        yield Path(folder)


def run_tests(
    environment: Environment, overlay: Path, arguments: Sequence[str], coverage: Path | None = None
) -> Report:
    """Run an environment's tests; `coverage` is a folder for what lines they ran."""
    with TemporaryDirectory(prefix="midwatch-tests-") as folder:
        results = Path(folder) / "results.xml"
        ran = subprocess.run(
            [
                str(environment.python),
                *_measured(environment, coverage),
                "-m",
                "pytest",
                f"--config-file={FOLDER / 'pytest.ini'}",
                f"--rootdir={REPOSITORY}",
                f"--junit-xml={results}",
                *arguments,
                str(environment.folder),
            ],
            env=variables_of_tests(os.environ, environment, overlay),
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        counts, seconds = read_results(results)
    none_chosen = bool(arguments) and ran.returncode == _NO_TESTS_CHOSEN
    return Report(environment.name, counts, none_chosen or not ran.returncode, ran.stdout, seconds)


def variables_of_tests(
    given: Mapping[str, str], environment: Environment, overlay: Path
) -> dict[str, str]:
    """The variables that tests run with: none of the tester's own telemetry or Python."""
    kept = {
        name: value
        for name, value in given.items()
        if not _OF_THE_TESTER.match(name) and not _MIDWATCH.match(name)
    }
    binaries = [str(overlay / "bin"), str(environment.python.parent), kept.get("PATH", "")]
    return {
        **kept,
        "PATH": os.pathsep.join(binaries),
        "PYTHONPATH": os.pathsep.join([str(overlay), str(SHIM / "src")]),
    }


def read_results(path: Path) -> tuple[Counts, float]:
    """The counts and the seconds of pytest's own report; nothing if it never wrote one."""
    if not path.exists():
        return Counts(), 0.0
    suites = ET.parse(path).getroot().iter("testsuite")  # noqa: S314 (pytest wrote it just now)
    counts, seconds = Counts(), 0.0
    for suite in suites:
        failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skipped = int(suite.get("skipped", 0))
        total = int(suite.get("tests", 0))
        counts += Counts(max(total - failed - skipped, 0), failed, skipped)
        seconds += float(suite.get("time", 0))
    return counts, seconds


def _measured(environment: Environment, coverage: Path | None) -> list[str]:
    if coverage is None:
        return []
    data = coverage.resolve() / f".coverage.frameworks.{environment.name}"
    source = SHIM / "src" / "midwatch"
    return ["-m", "coverage", "run", "--branch", f"--source={source}", f"--data-file={data}"]
