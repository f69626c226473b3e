"""What `midwatch doctor` finds out, each subject in a module of its own."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from midwatch.config import load_settings
from midwatch.doctor.content import check_content, check_sampling
from midwatch.doctor.destinations import check_destinations
from midwatch.doctor.environment import check_environment, check_settings
from midwatch.doctor.libraries import check_libraries
from midwatch.doctor.prices import check_prices
from midwatch.doctor.process import check_process
from midwatch.doctor.prompts import check_prompts
from midwatch.doctor.report import Check, Finding, Patient, Report
from midwatch.doctor.spool import check_spool

__all__ = ["Finding", "Report", "diagnose"]

CHECKS: tuple[Check, ...] = (
    check_environment,
    check_settings,
    check_libraries,
    check_destinations,
    check_spool,
    check_content,
    check_sampling,
    check_prices,
    check_prompts,
    check_process,
)


def diagnose(
    environ: Mapping[str, str] | None = None,
    *,
    offline: bool = False,
    self_test: bool = True,
    process: str = "",
    timeout_seconds: float = 5.0,
) -> Report:
    """Look at the environment and at what is installed; nothing is changed by it.

    Args:
        environ: the environment, by default that of this process.
        offline: make no connection.
        self_test: start a process to see what is really instrumented.
        process: the URL of a running application's metrics, to look at that too.
        timeout_seconds: how long to wait for each answer.
    """
    environ = os.environ if environ is None else environ
    settings = load_settings(environ)
    if settings.config_file is not None:
        environ = {**environ, **settings.config_file.variables}
    patient = Patient(environ, settings, offline, self_test, process, timeout_seconds)
    return Report(tuple(finding for check in CHECKS for finding in _safely(check, patient)))


def _safely(check: Check, patient: Patient) -> Iterable[Finding]:
    try:
        return list(check(patient))
    except Exception as error:
        name = check.__name__.removeprefix("check_")
        told = f"could not be looked at ({type(error).__name__}: {error})"
        remedy = "report this as a defect of Midwatch"
        return [Finding(name, name, "problem", told, remedy)]
