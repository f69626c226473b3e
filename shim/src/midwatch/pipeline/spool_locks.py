"""Locks between processes: for a moment, or as a sign of life.

Such a lock ends with its process, however that ends. A forked child gives up what its parent holds
without ending the parent's hold.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep

try:
    import fcntl
except ImportError:  # Windows has none; the spool is off there.
    fcntl = None  # type: ignore[assignment]

_POLL_SECONDS = 0.005


class SpoolBusyError(OSError):
    """Another process or thread held the lock for too long."""


def require_locks() -> None:
    """Make sure that this system has the locks.

    Raises:
        OSError: it has none.
    """
    if fcntl is None:
        raise OSError("this operating system has no flock, which the spool needs")


def make_private(folder: Path) -> None:
    """Make the folder, and those above it that are missing, for this user alone.

    Raises:
        OSError: it cannot be made.
    """
    for missing in reversed([folder, *folder.parents]):
        with suppress(FileExistsError):
            if not missing.is_dir():
                missing.mkdir(mode=0o700)
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder")


class SignOfLife:
    """A file that is locked as long as its owner lives."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor
        self._pid = os.getpid()
        close = weakref.WeakMethod(self.close)
        os.register_at_fork(after_in_child=lambda: (call := close()) and call())

    @classmethod
    def take(cls, path: Path) -> SignOfLife | None:
        """Lock the file, which is made if it is not there; nothing if another has it locked.

        Raises:
            OSError: the file cannot be made or locked.
        """
        descriptor = _open(path, os.O_CREAT)
        if _try_lock(descriptor):
            return cls(path, descriptor)
        os.close(descriptor)
        return None

    def is_in_place(self) -> bool:
        """Whether the file is still where it was; someone may have removed the folder."""
        try:
            there, ours = os.stat(self.path), os.fstat(self.descriptor)
        except OSError:
            return False
        return (there.st_ino, there.st_dev) == (ours.st_ino, ours.st_dev)

    def close(self) -> None:
        """Let go; in a forked child the parent's hold stays."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def is_alive(path: Path) -> bool:
    """Whether a process holds the file as its sign of life."""
    try:
        descriptor = _open(path)
    except OSError:
        return False
    try:
        return not _try_lock(descriptor)
    finally:
        os.close(descriptor)


class MomentLock:
    """Excludes other processes, and other threads of this one, for a moment."""

    def __init__(self, path: Path, patience_seconds: float = 2.0) -> None:
        self._path = path
        self._patience_seconds = patience_seconds
        self._descriptor = -1
        self._start_anew()
        renew = weakref.WeakMethod(self._start_anew)
        os.register_at_fork(after_in_child=lambda: (call := renew()) and call())

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock during the block.

        Raises:
            SpoolBusyError: it could not be had in time.
            OSError: the lock's file cannot be made.
        """
        deadline = monotonic() + self._patience_seconds
        if not self._threads.acquire(timeout=self._patience_seconds):
            raise SpoolBusyError(f"{self._path} was held too long by another thread")
        try:
            self._descriptor = _open(self._path, os.O_CREAT)
            try:
                while not _try_lock(self._descriptor):
                    if monotonic() >= deadline:
                        raise SpoolBusyError(f"{self._path} was held too long by another process")
                    sleep(_POLL_SECONDS)
                yield
            finally:
                # Unlocked by name: a child that was forked meanwhile has the same file open.
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
                os.close(self._descriptor)
                self._descriptor = -1
        finally:
            self._threads.release()

    def _start_anew(self) -> None:
        self._threads = threading.Lock()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _open(path: Path, flags: int = 0) -> int:
    return os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | flags, 0o600)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
