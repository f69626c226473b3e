"""The libraries: installed, really instrumented, rivals, versions that do not fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import metadata

from midwatch.doctor.report import Finding, Patient
from midwatch.doctor.self_test import SelfTest, run_self_test
from midwatch.instrumentors.libraries import GENAI_TRAIN, LIBRARIES, Library
from midwatch.instrumentors.loader import installed_version, is_there

_SECTION = "libraries"
_DISABLED = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"


def check_libraries(patient: Patient) -> Iterator[Finding]:
    """Each library with its state; rivals; and packages whose versions do not fit together."""
    yield from _skews()
    disabled = {name.strip() for name in patient.environ.get(_DISABLED, "").split(",")}
    states = {library.name: _state(library, disabled, patient.environ) for library in LIBRARIES}
    wanted = [name for name, state in states.items() if state == "present"]
    tested = run_self_test(patient, wanted) if patient.self_test and _is_on(patient) else None
    if tested is not None and tested.problem:
        yield Finding(_SECTION, "self-test", "problem", tested.problem, tested.remedy)
        tested = None
    owners = _owners()
    for library in LIBRARIES:
        if library.name not in disabled and "*" not in disabled:
            yield from _rivals(library)
        yield _found(library, states[library.name], tested, owners)


@cache
def _owners() -> Mapping[str, list[str]]:
    """The distributions of each importable package; reading them takes a tenth of a second."""
    return metadata.packages_distributions()


def _is_on(patient: Patient) -> bool:
    sdk_off = patient.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    return patient.settings.enabled and not sdk_off


def _state(library: Library, disabled: set[str], environ: Mapping[str, str]) -> str:
    if "*" in disabled or library.name in disabled:
        return "disabled"
    if library.only_if and not any(environ.get(name) for name in library.only_if):
        return "unasked"
    return "present" if is_there(library) else "absent"


def _found(
    library: Library, state: str, tested: SelfTest | None, owners: Mapping[str, list[str]]
) -> Finding:
    distributions = owners.get(library.module.partition(".")[0], [])
    version = metadata.version(distributions[0]) if len(distributions) == 1 else ""
    told = {
        "absent": "not installed",
        "disabled": f"{version} disabled by {_DISABLED}",
        "unasked": f"instrumented when one of {', '.join(library.only_if)} is set",
        "present": f"{version} instrumented when it is imported",
    }[state].strip()
    problem, remedy = "", ""
    if state == "present" and tested is not None:
        state, told, problem, remedy = _really(library, version, tested)
    data = {"state": state, "version": version or None, "tested": tested is not None}
    if problem:
        return Finding(_SECTION, library.name, "problem", problem, remedy, data)
    return Finding(_SECTION, library.name, "ok", told, data=data)


def _really(library: Library, version: str, tested: SelfTest) -> tuple[str, str, str, str]:
    """State, detail, problem and remedy, as the self-test saw the library."""
    if tested.states.get(library.name) == "active":
        return "active", f"{version} instrumented".strip(), "", ""
    name = f"{library.name} {version}".strip()
    if library.name in tested.errors:
        problem = f"{name} cannot be imported ({tested.errors[library.name]})"
        remedy = "repair its installation, or uninstall it"
        return "broken", "", problem, remedy
    told = tested.told_of(library.name) or "without saying why"
    problem = f"{name} is installed but not instrumented ({told})"
    remedy = (
        f"install a version of it that is supported, or set {_DISABLED}={library.name} to do "
        "without"
    )
    return "failed", "", problem, remedy


def _rivals(library: Library) -> Iterator[Finding]:
    for rival in library.rivals:
        version = installed_version(rival)
        if version is not None:
            yield Finding(
                _SECTION,
                f"{library.name} rival",
                "problem",
                f"{rival} {version} is installed and would record {library.name} a second time",
                f"uninstall it, or keep it and set {_DISABLED}={library.name}",
                {"library": library.name, "distribution": rival, "version": version},
            )


def _skews() -> Iterator[Finding]:
    for distribution, wanted in GENAI_TRAIN:
        version = installed_version(distribution)
        if version != wanted:
            given = f"is {version}" if version else "is not installed"
            yield Finding(
                _SECTION,
                distribution,
                "problem",
                f"{distribution} {given}, needed is exactly {wanted}, else model calls yield no "
                "spans",
                f"install {distribution}=={wanted}",
                {"version": version, "wanted": wanted},
            )
