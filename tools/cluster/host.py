"""What the machine must bring to run a node, and the two programs that only a distribution has."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock
from toolchain.programs import cache_folder

from cluster.errors import ClusterUnavailable

# runc can be built with the C library's headers only, and nft is no Go program at all. The packages
# are unpacked beside our own builds and never installed: installing containerd's packages on a
# machine with Docker would replace Docker's.
_FROM_DISTRIBUTION = {
    "runc": ("runc", "libseccomp2"),
    "nft": ("nftables", "libnftables1", "libnftnl11", "libmnl0", "libjansson4", "libedit2"),
}
_NEEDED = ("ip", "nsenter", "unshare", "mount", "sysctl", "bash")
_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))


def why_not() -> str | None:
    """Return why this machine can't run a node, or None when it can."""
    if not sys.platform.startswith("linux"):
        return f"a node needs Linux, and this is {sys.platform}"
    if os.geteuid() != 0:
        return "a node needs root: it makes namespaces, mounts and control groups"
    missing = [name for name in _NEEDED if shutil.which(name, path=_PATH) is None]
    if missing:
        return f"not on PATH: {', '.join(missing)}; install iproute2, util-linux, procps and bash"
    tried = subprocess.run(
        ["unshare", "--mount", "--net", "--pid", "--fork", "mount", "--make-rprivate", "/"],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if tried.returncode != 0:
        return f"this root may make no namespaces: {tried.stderr.strip()}"
    try:
        gather_programs()
    except ClusterUnavailable as problem:
        return str(problem)
    return None


def gather_programs() -> dict[str, Path]:
    """Return where runc and nft are: on PATH, or else unpacked from the distribution's packages.

    Raises:
        ClusterUnavailable: neither PATH nor the distribution has one.
    """
    folder = cache_folder() / "node-programs"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(str(folder) + ".lock"):
        for name, packages in _FROM_DISTRIBUTION.items():
            target = folder / name
            if target.exists():
                continue
            found = shutil.which(name, path=_PATH)
            if found is not None:
                target.symlink_to(found)
            else:
                _unpack(name, packages, folder, target)
    return {name: folder / name for name in _FROM_DISTRIBUTION}


def _unpack(name: str, packages: Sequence[str], folder: Path, target: Path) -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise ClusterUnavailable(
            f"{name} is not on PATH, and this machine has no Debian packages to take it from: "
            f"install {name}"
        )
    unpacked = folder / f"{name}-unpacked"
    with tempfile.TemporaryDirectory(dir=folder) as work:
        downloaded = _run(["apt-get", "download", "--quiet", *packages], Path(work))
        if downloaded.returncode != 0:
            _run(["apt-get", "update", "--quiet"], Path(work))
            downloaded = _run(["apt-get", "download", "--quiet", *packages], Path(work))
        if downloaded.returncode != 0:
            said = downloaded.stderr.strip().splitlines()[-1:]
            raise ClusterUnavailable(
                f"{name} is not on PATH and its packages can't be downloaded "
                f"({' '.join(said)}): install {packages[0]}"
            )
        for package in Path(work).glob("*.deb"):
            _run(["dpkg-deb", "--extract", str(package), str(unpacked)], Path(work))
    program = next(file for file in unpacked.rglob(name) if file.parent.name in ("bin", "sbin"))
    libraries = {str(file.parent) for file in unpacked.rglob("*.so.*")}
    target.write_text(
        f'#!/bin/sh\nLD_LIBRARY_PATH={":".join(sorted(libraries))} exec {program} "$@"\n',
        encoding="utf-8",
    )
    target.chmod(0o755)


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
