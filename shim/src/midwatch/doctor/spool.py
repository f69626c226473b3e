"""The spool: where it is, what waits in it, and whether it can be written."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from midwatch.doctor.environment import not_writable
from midwatch.doctor.report import Finding, Patient
from midwatch.pipeline.spool import Spool

_OLD_SECONDS = 3600.0
_UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


@dataclass
class _Waiting:
    """What waits for one destination."""

    bytes: int = 0
    segments: int = 0
    oldest: float = field(default_factory=time.time)


def check_spool(patient: Patient) -> Iterator[Finding]:
    """Mode, folder, and what waits for each destination."""
    settings = patient.settings
    root = settings.spool_dir
    data: dict[str, object] = {"mode": settings.spool_mode, "folder": str(root)}
    if settings.spool_mode == "off":
        told = "MIDWATCH_SPOOL_MODE is off: what cannot be sent is lost, and counted"
        yield Finding("spool", "mode", "note", told, data=data)
        return
    told = f"{settings.spool_mode}, at most {shown_bytes(settings.spool_max_bytes)}, in {root}"
    yield Finding("spool", "mode", "ok", told, data=data)
    yield from _writable(root, settings.spool_max_bytes)
    for destination, waiting in _waiting(Spool(root, settings.spool_max_bytes)).items():
        yield _described(destination, waiting)


def _writable(root: Path, max_bytes: int) -> Iterator[Finding]:
    problem = not_writable(root / "lock")
    if problem:
        remedy = "let MIDWATCH_SPOOL_DIR name a folder that this user may write"
        yield Finding("spool", "folder", "problem", problem, remedy)
        return
    existing = next(path for path in (root, *root.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    data = {"free_bytes": free}
    if free < max_bytes:
        told = f"{shown_bytes(free)} are free, less than the spool may need"
        yield Finding("spool", "folder", "note", told, data=data)
    else:
        yield Finding("spool", "folder", "ok", f"writable, {shown_bytes(free)} free", data=data)


def _waiting(spool: Spool) -> dict[str, _Waiting]:
    found: dict[str, _Waiting] = {}
    for destination, _, folder in spool.folders():
        waiting = found.setdefault(destination, _Waiting())
        waiting.bytes += folder.waiting_bytes()
        for number in folder.numbers():
            with suppress(FileNotFoundError):
                state = folder.segment(number).stat()
                waiting.segments += 1
                waiting.oldest = min(waiting.oldest, state.st_mtime)
    return found


def _described(destination: str, waiting: _Waiting) -> Finding:
    age = max(time.time() - waiting.oldest, 0.0) if waiting.bytes else 0.0
    data = {
        "destination": destination,
        "waiting_bytes": waiting.bytes,
        "segments": waiting.segments,
        "oldest_seconds": round(age, 1),
    }
    name = f"waiting for {destination}"
    if not waiting.bytes:
        return Finding("spool", name, "ok", "nothing", data=data)
    told = (
        f"{shown_bytes(waiting.bytes)} in {waiting.segments} segments, the oldest "
        f"{shown_seconds(age)} old"
    )
    if age < _OLD_SECONDS:
        return Finding("spool", name, "note", told, data=data)
    remedy = "see whether the destination answers; `midwatch replay` sends what waits"
    return Finding("spool", name, "problem", told, remedy, data)


def shown_bytes(count: int) -> str:
    """A number of bytes for people."""
    for size, unit in _UNITS:
        if count >= size:
            return f"{count / size:.1f}".rstrip("0").rstrip(".") + f" {unit}"
    return f"{count} bytes"


def shown_seconds(seconds: float) -> str:
    """A duration for people."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
