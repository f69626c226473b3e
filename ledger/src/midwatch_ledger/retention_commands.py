"""`midwatch-ledger archive`, `restore` and `erase`: what is old, what comes back, what must go."""

from __future__ import annotations

import getpass
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from midwatch_ledger.terminal import EXIT_FAILED, checked_database, settings_or_exit

if TYPE_CHECKING:
    from midwatch_ledger.settings import Settings

Where = Annotated[
    str | None,
    typer.Option(help="A folder or s3://bucket/prefix; left out: MIDWATCH_LEDGER_ARCHIVE_URL."),
]


def archive(to: Where = None) -> None:
    """Archive and delete what is older than it is kept, now instead of in some hours."""
    from midwatch_ledger.services import retention

    settings = settings_or_exit()
    policy = settings.retention_policy()
    chosen = retention.Policy(policy.days, policy.tables, to or policy.archive_url)
    with _told(), checked_database(settings) as database:
        passed = retention.apply(database, chosen, datetime.now(UTC))
    _list("archived", passed.archived)
    _list("deleted", passed.deleted)


def restore(source: Where = None) -> None:
    """Bring back all rows of an archive; those that are there stay as they are."""
    from midwatch_ledger.services import retention
    from midwatch_ledger.services.archives import Archive

    settings = settings_or_exit()
    with _told(), checked_database(settings) as database:
        restored = retention.restore(database, Archive(_url(settings, source)))
    _list("restored", restored)


def erase(
    session: Annotated[str | None, typer.Option(help="A session by its id.")] = None,
    user: Annotated[str | None, typer.Option(help="A user by the hash of their id.")] = None,
) -> None:
    """Delete all that is kept of a session or of a user, in the database and in the archive."""
    if (session is None) == (user is None):
        raise typer.BadParameter("say --session or --user, one of them")
    from midwatch_ledger.models.boundary import Boundary, Origin, within
    from midwatch_ledger.services import erasure
    from midwatch_ledger.services.archives import Archive
    from midwatch_ledger.store.auditing import subject_digest
    from midwatch_ledger.store.erasure import Subject

    subject = Subject("session", session) if session else Subject("user", user or "")
    settings = settings_or_exit()
    by = f"command line:{getpass.getuser()}"
    origin = Origin(by, "midwatch-ledger erase", subject_digest(subject.value))
    with (
        _told(),
        checked_database(settings) as database,
        within(Boundary(None, content=True, origin=origin)),
    ):
        _list("deleted", erasure.erase(database, subject, datetime.now(UTC)))
        if settings.archive_url is not None:
            removed = erasure.erase_archived(Archive(settings.archive_url), subject)
            _list("taken out of the archive", removed)


@contextmanager
def _told() -> Iterator[None]:
    from midwatch_ledger.services.archives import ArchiveError
    from midwatch_ledger.services.erasure import HeldError

    try:
        yield
    except (ArchiveError, HeldError) as error:
        typer.echo(f"midwatch-ledger: {error}", err=True)
        raise typer.Exit(EXIT_FAILED) from None


def _url(settings: Settings, given: str | None) -> str:
    url = given or settings.archive_url
    if url is None:
        raise typer.BadParameter("name the archive, or set MIDWATCH_LEDGER_ARCHIVE_URL")
    return url


def _list(what: str, counts: Mapping[str, int]) -> None:
    told = ", ".join(f"{count} of {table}" for table, count in sorted(counts.items()))
    typer.echo(f"{what}: {told or 'nothing'}")
