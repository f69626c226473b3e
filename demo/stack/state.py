"""The stack's state file and the lock that says whether its stack still lives."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from stack.errors import AlreadyRunningError, DirectoryUnusableError, NotRunningError
from stack.invocation import command

STATE_FILE = "stack.json"
DEFAULT_DIRECTORY = Path(".stack")


@dataclass(frozen=True)
class ProgramRecord:
    """What others need to reach a program."""

    url: str | None
    ports: Mapping[str, int]
    pid: int | None
    log: str


@dataclass(frozen=True)
class StackRecord:
    """The contents of `stack.json`.

    Attributes:
        directory: the stack's directory, absolute.
        control: the address of the control API.
        pid: the supervisor's process.
        mark: what the environment of every process of this stack carries.
        programs: by name.
    """

    directory: str
    control: str
    pid: int
    mark: str
    programs: Mapping[str, ProgramRecord] = field(default_factory=dict)

    def write(self) -> None:
        """Replace the file as a whole: a reader never sees half of it."""
        target = Path(self.directory) / STATE_FILE
        handle, temporary = tempfile.mkstemp(dir=self.directory, prefix=".stack-")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(asdict(self), stream, indent=2)
            stream.write("\n")
        os.replace(temporary, target)


def read_record(path: Path) -> StackRecord:
    """Read a state file, or the one in a directory.

    Raises:
        NotRunningError: there is none, or it is not a state file.
    """
    file = path if path.suffix == Path(STATE_FILE).suffix else path / STATE_FILE
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        programs = {name: ProgramRecord(**entry) for name, entry in raw.pop("programs").items()}
        return StackRecord(**raw, programs=programs)
    except FileNotFoundError:
        raise NotRunningError(
            f"no stack runs in {file.parent}: there is no {file.name}. Start one with "
            f"`{command('stack', 'up')}`, or name the directory of the one you mean."
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise NotRunningError(
            f"{file} is not a state file of a stack ({problem}). Remove it, then start the stack "
            f"again with `{command('stack', 'up')}`."
        ) from None


def is_alive(directory: Path) -> bool:
    """Return whether a supervisor holds the directory's lock now."""
    try:
        with (directory / "lock").open("rb") as stream:
            return not _try_lock(stream)
    except OSError:
        return False


def require_writable(directory: Path) -> None:
    """Create a directory when need be.

    Raises:
        DirectoryUnusableError: it can't be created or written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        # Tried, not asked: permissions alone don't tell of a file system that is read-only.
        tempfile.TemporaryFile(dir=directory).close()
    except OSError as problem:
        raise DirectoryUnusableError(
            f"the stack's directory {directory} can't be written ({problem.strerror or problem}). "
            "Make it writable, or name another one with --directory."
        ) from None


class DirectoryLock:
    """Holds a directory for one supervisor; the system releases it however the holder ends."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._stream: IO[bytes] | None = None

    def acquire(self) -> None:
        """Take the lock, creating the directory when need be.

        Raises:
            DirectoryUnusableError: the directory can't be written.
            AlreadyRunningError: another supervisor has it.
        """
        require_writable(self._directory)
        stream = (self._directory / "lock").open("a+b")
        if not _try_lock(stream):
            stream.close()
            raise AlreadyRunningError(
                f"a stack already runs in {self._directory}. See it with "
                f"`{command('stack', 'status', '--directory', self._directory)}`, end it with "
                f"`{command('stack', 'down', '--directory', self._directory)}`, or use another "
                "--directory."
            )
        self._stream = stream

    def release(self) -> None:
        """Give the directory back."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None


def _try_lock(stream: IO[bytes]) -> bool:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
