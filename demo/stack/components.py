"""The local program for each component of the charts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from toolchain import ProgramsUnavailable, ensure_programs, find_program

from stack.errors import ProgramMissingError
from stack.surroundings import base_environment
from stack.translate.catalogue import LocalProgram

_BUILT = ("otelcol", "prometheus", "alertmanager")
_OPTIONAL = ("tempo", "grafana")
# The simulation knows nothing of telemetry: this says which keys of its graph's state hold facts.
_RETAIL_FACTS = {
    "MIDWATCH_STATE_FACTS": "decisions:decision,agent_messages:message,conflicts:conflict,"
    "participants:collaboration(workflow_type=event_type)"
}


def find_programs() -> dict[str, Path]:
    """Return the programs that are not Python, building what can be built.

    Tempo and Grafana are left out when they are not on PATH.

    Raises:
        ProgramMissingError: naming each program that can't be had, and what to do.
    """
    try:
        programs = ensure_programs(("helm", *_BUILT))
    except ProgramsUnavailable as problem:
        raise ProgramMissingError(str(problem)) from None
    for name in _OPTIONAL:
        if (path := find_program(name)) is not None:
            programs[name] = path
    return programs


def build_catalogue(
    programs: Mapping[str, Path],
    directory: Path,
    instrumented: Callable[[str], Mapping[str, str]],
) -> dict[str, LocalProgram]:
    """Return the local program of every component.

    Args:
        programs: as `find_programs` returns them.
        directory: has one folder for each program.
        instrumented: the environment with which an agent is instrumented, by its name.

    Raises:
        ProgramMissingError: a program of the Python workspace is missing.
    """
    stores = ("prometheus", "ledger", "tempo")
    agent_after = ("collector", "model-server", "appliance")
    runner, python = workspace_program("midwatch-run"), sys.executable
    catalogue = {
        "prometheus": LocalProgram((str(programs["prometheus"]),), after=("alertmanager",)),
        "alertmanager": LocalProgram((str(programs["alertmanager"]),), after=("slack", "smtp")),
        "collector": LocalProgram((str(programs["otelcol"]),), after=stores),
        "ledger": LocalProgram((workspace_program("midwatch-ledger"),)),
        "security-agent": LocalProgram(
            (runner, python, "-m", "security_agent"),
            after=agent_after,
            environment=instrumented("security-agent"),
        ),
        "retail-simulation": LocalProgram(
            (runner, python, "-m", "retail_simulation"),
            after=agent_after,
            environment={**instrumented("retail-simulation"), **_RETAIL_FACTS},
        ),
    }
    if "tempo" in programs:
        catalogue["tempo"] = LocalProgram((str(programs["tempo"]),))
    if "grafana" in programs:
        catalogue["grafana"] = LocalProgram(_grafana(programs["grafana"]), after=("prometheus",))
    return {
        name: replace(
            program,
            environment={
                **base_environment(directory / name),
                "TMPDIR": str(directory / name / "files" / "tmp"),
                **program.environment,
            },
        )
        for name, program in catalogue.items()
    }


def workspace_program(name: str) -> str:
    """Return a program that the Python workspace installs.

    Raises:
        ProgramMissingError: it isn't there.
    """
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        raise ProgramMissingError(
            f"the Python workspace lacks {name} (looked for {path}). Run `make install`."
        )
    return str(path)


def _grafana(program: Path) -> tuple[str, ...]:
    # Its pages lie beside the program in a release's archive (bin/..), elsewhere in packages.
    homes = (program.resolve().parent.parent, Path("/usr/share/grafana"))
    home = next((home for home in homes if (home / "conf" / "defaults.ini").exists()), homes[0])
    return (str(program), "server", f"--homepath={home}")
