"""What the doctor found, for people and for programs."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

from midwatch.config import Settings
from midwatch.instrumentors.loader import installed_version

SCHEMA_VERSION = 1
"""The version of the JSON form: fields are added within one, never changed or taken away."""

Status = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    `section` and `name` say what; `detail` is a sentence for people, `remedy` what to do about a
    problem, `data` the same for programs.
    """

    section: str
    name: str
    status: Status
    detail: str
    remedy: str = ""
    data: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        """The finding in one line."""
        return f"{self.name}: {self.detail}" + (f"; {self.remedy}" if self.remedy else "")


@dataclass(frozen=True)
class Patient:
    """What is looked at: the environment and its settings, and how far to go.

    Args:
        environ: the environment.
        settings: its settings.
        offline: make no connection.
        self_test: start a process to see what is really instrumented.
        process: the URL of a running application's metrics, if it is to be looked at.
        timeout_seconds: how long to wait for each answer.
    """

    environ: Mapping[str, str]
    settings: Settings
    offline: bool = False
    self_test: bool = True
    process: str = ""
    timeout_seconds: float = 5.0


Check = Callable[[Patient], Iterable[Finding]]


@dataclass(frozen=True)
class Report:
    """Everything that was found."""

    findings: tuple[Finding, ...]

    @property
    def problems(self) -> tuple[Finding, ...]:
        """What is to be repaired."""
        return self.of("problem")

    @property
    def notes(self) -> tuple[Finding, ...]:
        """What is worth knowing."""
        return self.of("note")

    def of(self, status: Status) -> tuple[Finding, ...]:
        """The findings of a status."""
        return tuple(finding for finding in self.findings if finding.status == status)

    def section(self, name: str) -> dict[str, Finding]:
        """The findings of a section by name."""
        return {one.name: one for one in self.findings if one.section == name}

    @property
    def exit_code(self) -> int:
        """0 if there is no problem, else 1."""
        return 1 if self.problems else 0

    def as_dict(self) -> dict[str, object]:
        """The report as JSON can hold it; `docs/shim/doctor.md` documents it."""
        return {
            "schema_version": SCHEMA_VERSION,
            "midwatch_version": installed_version("midwatch") or "unknown",
            "python_version": platform.python_version(),
            "exit_code": self.exit_code,
            "problems": len(self.problems),
            "findings": [{**asdict(one), "data": dict(one.data)} for one in self.findings],
        }
