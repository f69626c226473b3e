"""Renews the locks of the benchmarks' peers and of the plots: `make bench-lock`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from frameworks.environments import Environment, EnvironmentUnavailable
from frameworks.locking import renew

from tests.bench.ledger.servers import PEERS as SERVERS
from tests.bench.processes import HERE, PEERS


def main(
    arguments: Annotated[list[str] | None, typer.Argument(help="For uv, after a `--`.")] = None,
) -> None:
    """Renew each lock; what is pinned stays unless an argument such as `--upgrade` moves it."""
    folders: dict[Path, list[Path]] = {
        **{folder: [PEERS / "common.in"] for folder in sorted(PEERS.glob("*/"))},
        HERE / "plots": [],
        **{folder: [] for folder in sorted(SERVERS.glob("*/"))},
    }
    for folder, needed in folders.items():
        try:
            renew(Environment(folder.name, folder), needed, "make bench-lock", arguments)
        except EnvironmentUnavailable as problem:
            typer.echo(str(problem), err=True)
            raise typer.Exit(2) from problem
        typer.echo(f"[bench] {folder.name}: locked")


if __name__ == "__main__":
    typer.run(main)
