"""`python -m frameworks`: run the frameworks' tests, renew their locks."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from frameworks.environments import Environment, EnvironmentUnavailable, chosen_environments
from frameworks.locking import OF_FRAMEWORKS, renew
from frameworks.running import Counts, Report, run_tests, shim_overlay

application = typer.Typer(
    help="Test the shim with each agent framework, in a locked environment of its own.",
    no_args_is_help=True,
    add_completion=False,
)
Names = Annotated[list[str] | None, typer.Option("--framework", help="Only this one; repeatable.")]
PytestArguments = Annotated[list[str] | None, typer.Argument(help="For pytest, after a `--`.")]
Coverage = Annotated[Path | None, typer.Option(help="A folder for coverage data.")]


@application.command("test")
def run(
    arguments: PytestArguments = None,
    framework: Names = None,
    jobs: Annotated[int, typer.Option(min=1, help="Environments at once.")] = 2,
    coverage: Coverage = None,
) -> None:
    """Run the tests; exits with 1 if any failed or an environment can't be made."""
    began = time.monotonic()
    environments = _chosen(framework)
    try:
        with shim_overlay() as overlay, ThreadPoolExecutor(jobs) as pool:
            reports = list(
                pool.map(lambda each: _one(each, overlay, arguments or [], coverage), environments)
            )
    except EnvironmentUnavailable as problem:
        _fail(str(problem))
    total = sum((report.counts for report in reports), Counts())
    bad = [report.name for report in reports if not report.ok]
    verdict = f"; not well: {', '.join(bad)}" if bad else ""
    seconds = time.monotonic() - began
    typer.echo(f"[frameworks] {len(reports)} environments: {total} in {seconds:.0f} s{verdict}")
    if bad:
        raise typer.Exit(1)


@application.command("lock")
def lock(arguments: PytestArguments = None, framework: Names = None) -> None:
    """Renew the locks; arguments after a `--` go to uv (`--upgrade` moves versions)."""
    for environment in _chosen(framework):
        try:
            renew(environment, OF_FRAMEWORKS, "make frameworks-lock", arguments)
        except EnvironmentUnavailable as problem:
            _fail(str(problem))
        typer.echo(f"[frameworks] {environment.name}: locked")


def _one(
    environment: Environment, overlay: Path, arguments: list[str], coverage: Path | None
) -> Report:
    try:
        if not environment.is_made:
            typer.echo(f"[frameworks] {environment.name}: makes its environment, once")
            began = time.monotonic()
            environment.make()
            seconds = time.monotonic() - began
            typer.echo(f"[frameworks] {environment.name}: made in {seconds:.0f} s")
        report = run_tests(environment, overlay, arguments, coverage)
    except EnvironmentUnavailable as problem:
        report = Report(environment.name, Counts(), False, str(problem))
    if not report.ok:
        typer.echo(report.output)
    how = "" if report.ok else " - NOT WELL, see above"
    typer.echo(f"[frameworks] {report.name}: {report.counts} in {report.seconds:.0f} s{how}")
    return report


def _chosen(names: list[str] | None) -> list[Environment]:
    try:
        return chosen_environments(names or [])
    except EnvironmentUnavailable as problem:
        _fail(str(problem))


def _fail(words: str) -> NoReturn:
    typer.echo(f"frameworks: {words}", err=True)
    raise typer.Exit(1)


def main() -> None:
    """Run the command line."""
    application()
