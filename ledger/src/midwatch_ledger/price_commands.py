"""`midwatch-ledger prices`: import and list price tables, price history anew."""

from __future__ import annotations

import getpass
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from midwatch_ledger.terminal import EXIT_FAILED, checked_database, settings_or_exit

if TYPE_CHECKING:
    from midwatch_ledger.store.database import Database

application = typer.Typer(help="Price tables, and history at other prices.", no_args_is_help=True)

_TIMES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]
_MOST_TABLES = 1_000
_PAUSE_SECONDS = 0.2
_OF_TABLES = ("table", "version", "effective", "imported", "by")
_OF_MODELS = ("provider", "model", "calls", "changed", "unmatched", "before", "after", "difference")


@application.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="As MIDWATCH_PRICES_FILE names it: JSON or YAML.")],
    name: Annotated[
        str | None, typer.Option(help="The table's name; left out: the file's.")
    ] = None,
) -> None:
    """Import a version of a price table; what is there already is no error."""
    from midwatch_ledger.services import price_documents, prices

    with _told():
        document = price_documents.read_price_file(file)
        table = name or file.name
        if not price_documents.is_table_name(table):
            raise price_documents.PriceDocumentError(
                [f"{table!r} is no table's name: use --name, such as house"]
            )
        with _changing("import") as (database, by), database.writing() as connection:
            kept, new = prices.import_table(connection, table, document, by, datetime.now(UTC))
    told = "imported" if new else "there already"
    since = prices.shown(kept)["effective_date"] or "the beginning"
    typer.echo(f"{table} {kept['version']}: {len(kept['prices'])} prices from {since}, {told}")


@application.command("list")
def list_tables() -> None:
    """List the versions of all price tables."""
    from midwatch_ledger.services import prices
    from midwatch_ledger.store import prices as store

    with checked_database(settings_or_exit()) as database, database.reading() as connection:
        found = [prices.shown(row) for row in store.tables(connection, _MOST_TABLES, 0)]
    rows = [
        (
            row["name"],
            row["version"],
            row["effective_date"] or "always",
            f"{row['imported_at']:%Y-%m-%d %H:%M}",
            row["imported_by"],
        )
        for row in found
    ]
    _print_table(_OF_TABLES, rows)


@application.command()
def reprice(
    table: Annotated[str, typer.Argument(help="The price table.")],
    start: Annotated[datetime, typer.Option(formats=_TIMES, help="Calls from then on (UTC).")],
    end: Annotated[
        datetime | None, typer.Option(formats=_TIMES, help="And before that; left out: now.")
    ] = None,
    version: Annotated[
        str | None,
        typer.Option(help="For all calls; left out: the one in force when the call began."),
    ] = None,
    provider: Annotated[str | None, typer.Option(help="Only of this provider.")] = None,
    model: Annotated[str | None, typer.Option(help="Only of this model.")] = None,
    project: Annotated[str | None, typer.Option(help="Only of this project.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the difference, change nothing.")
    ] = False,
) -> None:
    """Price the calls of a period anew, and show the difference by model.

    If it is interrupted, a running ledger goes on with it, or the next `reprice`.
    """
    from midwatch_ledger.models.boundary import within
    from midwatch_ledger.services import repricing

    until = datetime.now(UTC) if end is None else end.replace(tzinfo=UTC)
    wanted = repricing.Wanted(
        table, start.replace(tzinfo=UTC), until, version, provider, model, project, dry_run
    )
    with _told(), _changing("reprice") as (database, by):
        with database.writing() as connection:
            job = repricing.begin(connection, wanted, by, datetime.now(UTC))
        with within(None):
            job = _finished(database, job)
    _show(repricing.described(job))
    if job["state"] != "done":
        raise typer.Exit(EXIT_FAILED)


def _finished(database: Database, job: dict[str, Any]) -> dict[str, Any]:
    """Work off the job, beside any ledger that runs, and return it as it ended."""
    from midwatch_ledger.services import repricing
    from midwatch_ledger.store import repricing as jobs

    while True:
        worked = repricing.step(database, datetime.now(UTC))
        with database.reading() as connection:
            found = jobs.find(connection, job["id"])
        if found is None or found["state"] not in jobs.UNFINISHED:
            return found or {**job, "state": "cancelled"}
        if not worked:
            time.sleep(_PAUSE_SECONDS)


def _show(job: dict[str, Any]) -> None:
    rows = [(row["provider"], row["model"], *_numbers(row)) for row in job["by_model"]]
    _print_table(_OF_MODELS, [*rows, ("all", "", *_numbers(job))])
    verb = "would change" if job["dry_run"] else "changed"
    typer.echo(f"{job['state']}: {job['changed']} of {job['calls']} calls {verb} (job {job['id']})")
    if job["error"]:
        typer.echo(f"midwatch-ledger: {job['error']}", err=True)


def _numbers(row: dict[str, Any]) -> tuple[str, ...]:
    counts = (str(row[name]) for name in ("calls", "changed", "unmatched"))
    amounts = (f"{row[name]:.9f}" for name in ("cost_before", "cost_after"))
    return (*counts, *amounts, f"{row['difference']:+.9f}")


def _print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())


@contextmanager
def _changing(what: str) -> Iterator[tuple[Database, str]]:
    """Give the database, whose changes go into the audit log, and who makes them."""
    from midwatch_ledger.models.boundary import Boundary, Origin, within

    by = f"command line:{getpass.getuser()}"
    origin = Origin(by, f"midwatch-ledger prices {what}")
    with (
        checked_database(settings_or_exit()) as database,
        within(Boundary(None, content=True, origin=origin)),
    ):
        yield database, by


@contextmanager
def _told() -> Iterator[None]:
    from midwatch_ledger.services.price_documents import PriceDocumentError
    from midwatch_ledger.services.prices import VersionTakenError
    from midwatch_ledger.services.repricing import RepricingRefusedError

    try:
        yield
    except PriceDocumentError as error:
        typer.echo("midwatch-ledger: the price table can't be used:", err=True)
        for problem in error.problems:
            typer.echo(f"  {problem}", err=True)
        raise typer.Exit(EXIT_FAILED) from None
    except (VersionTakenError, RepricingRefusedError) as error:
        typer.echo(f"midwatch-ledger: {error}", err=True)
        raise typer.Exit(EXIT_FAILED) from None
