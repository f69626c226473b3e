"""Tables about programs, for terminals."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table

from stack.client import ProgramStatus

_STYLES = {"ready": "green", "unready": "red", "restarting": "red", "starting": "yellow"}


def status_table(programs: Iterable[ProgramStatus]) -> Table:
    """Return state, process, memory and address of each program."""
    table = Table(box=None, pad_edge=False)
    for heading in ("program", "state", "pid", "restarts", "memory", "cpu", "url"):
        table.add_column(heading, justify="right" if heading in _NUMBERS else "left")
    total = 0
    for program in programs:
        total += program.rss_bytes or 0
        style = _STYLES.get(program.state, "dim")
        table.add_row(
            program.name,
            f"[{style}]{program.state}[/]",
            str(program.pid or "-"),
            str(program.restarts),
            mebibytes(program.rss_bytes),
            "-" if program.cpu_percent is None else f"{program.cpu_percent:.0f} %",
            program.url or "-",
        )
    table.add_row("[bold]all[/]", "", "", "", f"[bold]{mebibytes(total)}[/]", "", "")
    return table


_NUMBERS = frozenset({"pid", "restarts", "memory", "cpu"})


def mebibytes(size: int | None) -> str:
    """Return a size as people read it."""
    return "-" if size is None else f"{size / 2**20:.0f} MiB"
