"""A program gets too little of the processor, as a container with a CPU limit that is far too low.

    python -m incidents.causes.starved FOLDER INCIDENT PROGRAM [--run SECONDS --pause SECONDS]

It runs for a moment, then nothing of it runs for a while, and so on.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from stack.client import StackClient

from incidents.causes.lasting import Lasting, lasting

_LOOK_SECONDS = 0.5


def main(
    directory: Path,
    name: str,
    program: str,
    run: Annotated[float, typer.Option(min=0.001, help="Seconds that it may run.")] = 0.02,
    pause: Annotated[float, typer.Option(min=0.001, help="Seconds that it stands still.")] = 0.1,
) -> None:
    """Throttle a program until SIGTERM; one that starts anew is throttled anew."""
    with lasting(directory, name) as cause, StackClient.at(directory) as stack:
        pid = _pid_of(stack, program)
        if pid is None:
            raise typer.BadParameter(f"{program} does not run in this stack")
        cause.begins()
        while throttle(pid, cause, run, pause):
            while (pid := _pid_of(stack, program)) is None:
                if not cause.wait(_LOOK_SECONDS):
                    return


def _pid_of(stack: StackClient, program: str) -> int | None:
    status = stack.programs().get(program)
    return None if status is None else status.pid


def throttle(pid: int, cause: Lasting, run: float, pause: float) -> bool:
    """Let a process stand still and run in turn; returns whether it is gone before the end."""
    try:
        while True:
            os.kill(pid, signal.SIGSTOP)
            lasts = cause.wait(pause)
            os.kill(pid, signal.SIGCONT)
            if not (lasts and cause.wait(run)):
                return False
    except ProcessLookupError:
        return True
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


if __name__ == "__main__":
    typer.run(main)
