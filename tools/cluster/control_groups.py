"""The control group that holds every pod of a node, in version 1 (many hierarchies) or 2 (one)."""

from __future__ import annotations

import time
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_VERSION_1 = (
    "cpu",
    "cpuacct",
    "cpuset",
    "memory",
    "devices",
    "freezer",
    "blkio",
    "pids",
    "systemd",
    "unified",
)


def make(name: str) -> None:
    """Make the group, with the controllers that a kubelet uses."""
    controllers = _ROOT / "cgroup.controllers"
    if controllers.exists():
        group = _ROOT / name
        group.mkdir(exist_ok=True)
        for controller in controllers.read_text(encoding="ascii").split():
            (_ROOT / "cgroup.subtree_control").write_text(f"+{controller}", encoding="ascii")
        return
    for hierarchy in _VERSION_1:
        parent = _ROOT / hierarchy
        if not parent.exists():
            continue
        group = parent / name
        group.mkdir(exist_ok=True)
        if hierarchy == "cpuset":
            # A new group has none, and nothing may run in it until it has some.
            for file in ("cpuset.cpus", "cpuset.mems"):
                (group / file).write_text((parent / file).read_text())


def remove(name: str, patience_seconds: float = 10.0) -> None:
    """Remove the group in each hierarchy, once its last process has ended."""
    deadline = time.monotonic() + patience_seconds
    groups = [_ROOT / name, *(_ROOT / hierarchy / name for hierarchy in _VERSION_1)]
    for group in groups:
        while any(file.read_text() for file in group.rglob("cgroup.procs")):
            if time.monotonic() > deadline:
                return
            time.sleep(0.05)
        folders = sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True)
        for folder in (*folders, group):
            if folder.exists():
                folder.rmdir()
