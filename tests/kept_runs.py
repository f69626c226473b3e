"""Runs of programs that are functions of what they are given: what they said is kept.

Helm's rendering of a chart and promtool's judgement of rules are the same each time, and took a
quarter of what all tests compute. As build systems do, a run is known by a digest of the program,
its arguments, its standard input and the bytes of every file that it reads; what it said lies in
the user's cache, beside the programs. A run that fails is kept only where the test says by which
words it knows a judgement from an accident, and `MIDWATCH_TEST_FRESH=1` runs them all.

Not for runs that are to show something of time, of chance or of what else runs on the machine.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import tempfile
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from manifests.plan import repository_root
from toolchain.programs import cache_folder

ROOT = repository_root()
KEPT_DAYS = 30
KEPT_BYTES = 512 * 1024 * 1024
_FORM = 1  # Of the files in the cache; another is another key.
_ROOT_MARK, _FOLDER_MARK = "\0root\0", "\0folder\0"
# What helm reads of the environment.
_VARIABLES = ("HELM_", "KUBE")


def run(
    command: Sequence[str | Path],
    *,
    folder: Path = ROOT,
    reads: Iterable[Path] = (),
    text: str | None = None,
    environment: Mapping[str, str] | None = None,
    refusals: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """Give what a program says, from an earlier run when all that it is given is the same.

    Args:
        command: the program's path and its arguments. Files and folders among them are read.
        folder: where it starts; its path may be another each time, in arguments, files and answers.
        reads: further files and folders that it reads.
        text: its standard input.
        environment: variables besides those of this process.
        refusals: words of which one is in what a program says when it judges what it was given,
            and not when the machine let it down. Such a failure is an answer, too.
    """
    fresh = bool(os.environ.get("MIDWATCH_TEST_FRESH"))
    read = [*_paths_in(command[1:], folder), *reads]
    given = [_FORM, _identity(Path(command[0])), text, dict(environment or {}), _helms_variables()]
    given.append([_marked(str(argument), folder) for argument in command[1:]])
    key = "" if fresh else _key(given, read, folder)
    if not fresh and (kept := _kept(key)) is not None:
        code, said = kept
        out, err = (_unmarked(text, folder) for text in said)
        return subprocess.CompletedProcess(list(command), code, out, err)
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        input=text,
        stdin=subprocess.DEVNULL if text is None else None,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    answered = done.returncode == 0 or any(
        words in said for words in refusals for said in (done.stdout, done.stderr)
    )
    # What somebody edited meanwhile may or may not be what it read.
    if not fresh and answered and _key(given, read, folder) == key:
        said = [_marked(text, folder) for text in (done.stdout, done.stderr)]
        _keep(key, done.returncode, said)
    return done


def _paths_in(arguments: Sequence[str | Path], folder: Path) -> list[Path]:
    """Give the files and folders that arguments name, also as `--option=path`."""
    named = [folder / str(argument).rpartition("=")[2] for argument in arguments]
    return [path for path in named if len(path.name) < 256 and path != folder and path.exists()]


def _identity(program: Path) -> list[str | int]:
    about = program.stat()
    return [program.name, about.st_size, about.st_mtime_ns]


def _helms_variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(_VARIABLES)}


def _key(given: list[object], read: Iterable[Path], folder: Path) -> str:
    files = [[_marked(str(path), folder), _of_file(path, folder)] for path in _files(read)]
    return hashlib.sha256(json.dumps([given, files], sort_keys=True).encode()).hexdigest()


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    """Give files, and those in folders."""
    for path in paths:
        if path.is_dir():
            yield from sorted(one for one in path.rglob("*") if one.is_file())
        else:
            yield path


def _of_file(path: Path, folder: Path) -> str:
    if path.is_relative_to(ROOT):
        about = path.stat()
        return _of_source(path, about.st_ino, about.st_size, about.st_mtime_ns)
    return _of_bytes(path.read_bytes().replace(str(folder).encode(), _FOLDER_MARK.encode()))


@cache
def _of_source(path: Path, _inode: int, _size: int, _changed_ns: int) -> str:
    """Give the digest of a file of the repository, which is read once until it is edited."""
    return _of_bytes(path.read_bytes())


def _of_bytes(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _marked(text: str, folder: Path) -> str:
    return text.replace(str(folder), _FOLDER_MARK).replace(str(ROOT), _ROOT_MARK)


def _unmarked(text: str, folder: Path) -> str:
    return text.replace(_FOLDER_MARK, str(folder)).replace(_ROOT_MARK, str(ROOT))


def kept_folder() -> Path:
    """Give the folder of what is kept."""
    return cache_folder() / "test-runs"


def _kept(key: str) -> tuple[int, list[str]] | None:
    """Give how a run ended and what it said on its output and as errors; note the question."""
    file = kept_folder() / key[:2] / key
    try:
        out, err, *code = json.loads(zlib.decompress(file.read_bytes()))
        os.utime(file)
    except (OSError, ValueError, zlib.error):  # Not there, or what a full disk left of it.
        return None
    return (code[0] if code else 0), [out, err]


def _keep(key: str, code: int, said: list[str]) -> None:
    """Keep how a run ended and what it said; without a cache that can be written, it runs again."""
    file = kept_folder() / key[:2] / key
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as new:
            new.write(zlib.compress(json.dumps([*said, *([code] if code else [])]).encode(), 1))
        Path(new.name).replace(file)
        _drop_old(kept_folder())


@cache
def _drop_old(folder: Path) -> None:
    """Drop what nobody asked for in a month, and the oldest of what is too much; once a process."""
    oldest, left = time.time() - KEPT_DAYS * 86_400, KEPT_BYTES
    found = []
    for file in folder.glob("*/*"):
        with contextlib.suppress(FileNotFoundError):  # Another worker dropped it.
            about = file.stat()
            found.append((about.st_mtime, about.st_size, file))
    for used, size, file in sorted(found, reverse=True):
        left -= size
        if used < oldest or left < 0:
            file.unlink(missing_ok=True)
