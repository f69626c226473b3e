"""Copies of the ledger's database; the ledger's image runs it, with the standard library only.

`sqlite SOURCE FOLDER KEEP` copies a database that is in use, checks the copy, and keeps the newest
copies. `connection FILE` writes how PostgreSQL's own programs connect, from the URL in
MIDWATCH_LEDGER_DATABASE_URL, so that no password stands in an argument.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

_KEYS = {"sslmode", "sslrootcert", "sslcert", "sslkey", "connect_timeout", "options"}


def copy_sqlite(source: Path, folder: Path, keep: int, now: datetime) -> Path:
    """Copy the database into the folder and give the copy; it has its name only when it is whole.

    Raises:
        sqlite3.Error: The source can't be read, or the copy isn't sound.
    """
    copy = folder / f"ledger-{now:%Y%m%dT%H%M%SZ}.db"
    unfinished = copy.with_suffix(".part")
    # What a copy that was broken off left: it would stay, and fill the volume.
    for left in folder.glob("ledger-*.part"):
        left.unlink()
    with (
        closing(sqlite3.connect(f"file:{source}?mode=rw", uri=True)) as database,
        closing(sqlite3.connect(unfinished)) as target,
    ):
        database.backup(target, pages=4096)
        (sound,) = target.execute("PRAGMA quick_check").fetchone()
    if sound != "ok":
        raise sqlite3.DatabaseError(f"the copy is not sound: {sound}")
    unfinished.rename(copy)
    for old in sorted(folder.glob("ledger-*.db"))[:-keep]:
        old.unlink()
    return copy


def service_file(url: str) -> str:
    """The URL as a service of libpq, called ledger.

    Raises:
        ValueError: The URL isn't one of PostgreSQL.
    """
    parts = urlsplit(url)
    if parts.scheme.partition("+")[0] not in {"postgresql", "postgres"}:
        raise ValueError("MIDWATCH_LEDGER_DATABASE_URL is no URL of PostgreSQL: postgresql://...")
    settings = {
        "host": parts.hostname,
        "port": parts.port,
        "dbname": unquote(parts.path.lstrip("/")),
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        **{key: value for key, value in parse_qsl(parts.query) if key in _KEYS | {"host", "port"}},
    }
    lines = [f"{key}={value}" for key, value in settings.items() if value]
    return "\n".join(["[ledger]", *lines, ""])


def main(arguments: list[str]) -> None:
    """Run what the arguments say."""
    match arguments:
        case ["sqlite", source, folder, keep]:
            made = copy_sqlite(Path(source), Path(folder), int(keep), datetime.now(UTC))
            sys.stdout.write(f"{made.name}: {made.stat().st_size} bytes\n")
        case ["connection", file]:
            target = Path(file)
            target.touch(mode=0o600)
            target.write_text(
                service_file(os.environ["MIDWATCH_LEDGER_DATABASE_URL"]), encoding="utf-8"
            )
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
