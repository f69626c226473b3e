"""Brings a stack up in a directory, holds the directory while it runs, and clears up after it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from stack.assembly import StackOptions, assemble, forget_data
from stack.client import StackClient
from stack.errors import NotRunningError
from stack.state import STATE_FILE, DirectoryLock, is_alive, read_record
from stack.supervisor import StackThread, Supervisor
from stack.supervisor.marking import end_marked

_LEFTOVER_GRACE_SECONDS = 5.0


@contextlib.contextmanager
def running_stack(
    options: StackOptions,
    programs: Mapping[str, Path] | None = None,
    *,
    fresh: bool = False,
) -> Iterator[tuple[StackClient, StackThread]]:
    """Run a stack while the block runs; afterwards nothing of it is left.

    Args:
        options: what to run.
        programs: as `stack.components.find_programs` returns them.
        fresh: forget the data of earlier runs first.

    Yields:
        A client, and the thread of the supervisor, which ends early when `down` asks it to.

    Raises:
        StackError: with the reason and the remedy.
    """
    lock = DirectoryLock(options.directory)
    lock.acquire()
    try:
        clear_leftovers(options.directory)
        if fresh:
            forget_data(options.directory)
        assembly = assemble(options, programs)
        with (
            StackThread(
                lambda: Supervisor(
                    options.directory, assembly.specifications, assembly.control_port
                )
            ) as thread,
            StackClient(read_record(options.directory)) as client,
        ):
            yield client, thread
    finally:
        lock.release()


def clear_leftovers(directory: Path) -> int:
    """End what a supervisor that is gone has left and remove its state file.

    The caller holds the directory's lock, or knows that nobody does.

    Returns:
        How many processes were found.
    """
    file = directory / STATE_FILE
    if not file.exists():
        return 0
    found = 0
    with contextlib.suppress(NotRunningError):  # Then it isn't ours to read, only to replace.
        found = end_marked(read_record(file).mark, _LEFTOVER_GRACE_SECONDS)
    file.unlink(missing_ok=True)
    return found


def is_stale(directory: Path) -> bool:
    """Return whether there is a state file whose supervisor is gone."""
    return (directory / STATE_FILE).exists() and not is_alive(directory)
