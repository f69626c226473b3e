"""OCI images without Docker: layers of files, and archives that containerd and Docker import."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_INDEX = "application/vnd.oci.image.index.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

Keeps = Callable[[Path], bool]


@dataclass(frozen=True)
class _Entry:
    target: str
    source: Path | None = None
    text: str | None = None
    link: str | None = None
    mode: int | None = None


@dataclass
class Layer:
    """Files of an image, which several images can share. Every method returns the layer."""

    _entries: dict[str, _Entry] = field(default_factory=dict)

    def file(self, source: Path, target: str, mode: int | None = None) -> Layer:
        """Add a file, what a link leads to rather than the link."""
        return self._add(_Entry(target, source=source.resolve(), mode=mode))

    def text(self, target: str, text: str, mode: int = 0o644) -> Layer:
        """Add a file with this text."""
        return self._add(_Entry(target, text=text, mode=mode))

    def link(self, target: str, to: str) -> Layer:
        """Add a symbolic link."""
        return self._add(_Entry(target, link=to))

    def folder(self, target: str, mode: int = 0o755) -> Layer:
        """Add an empty folder."""
        return self._add(_Entry(target, mode=mode))

    def tree(self, source: Path, target: str, keeps: Keeps = lambda _: True) -> Layer:
        """Add the files below a folder that `keeps` says yes to; it is asked for folders too."""
        for path in sorted(source.iterdir()):
            if not keeps(path):
                continue
            if path.is_dir():
                self.tree(path, f"{target}/{path.name}", keeps)
            elif path.is_file():
                self.file(path, f"{target}/{path.name}")
        return self

    def write(self, tar: tarfile.TarFile) -> None:
        """Write the files, owned by root, folders before what is in them."""
        known: set[str] = set()
        for entry in sorted(self._entries.values(), key=lambda each: each.target):
            parts = entry.target.split("/")[:-1]
            for depth in range(1, len(parts) + 1):
                folder = "/".join(parts[:depth])
                if folder not in known and folder not in self._entries:
                    known.add(folder)
                    tar.addfile(_information(folder, tarfile.DIRTYPE, 0o755))
            _write_entry(tar, entry)

    def _add(self, entry: _Entry) -> Layer:
        name = entry.target.strip("/")
        self._entries[name] = _Entry(name, entry.source, entry.text, entry.link, entry.mode)
        return self


@dataclass(frozen=True)
class Image:
    """One image.

    Attributes:
        name: with its tag, as pods name it.
        layers: the lowest first.
        entrypoint: the command.
        user: user and group, `10001:10001`.
        environment: further variables.
    """

    name: str
    layers: tuple[Layer, ...] = ()
    entrypoint: tuple[str, ...] = ()
    user: str = "10001:10001"
    environment: tuple[str, ...] = ()

    def file(self, source: Path, target: str) -> Image:
        """Return the image with a layer of one program more."""
        layer = Layer().file(source, target, 0o755)
        return Image(self.name, (*self.layers, layer), self.entrypoint, self.user, self.environment)

    def write(self, archive: Path) -> None:
        """Write an archive of this image alone."""
        write_archive(archive, [self])


def write_archive(archive: Path, images: Iterable[Image]) -> None:
    """Write an OCI archive; a layer that several images share is in it once."""
    with tarfile.open(archive, "w") as tar:
        _add_bytes(tar, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        blobs = _Blobs(tar)
        manifests = [_manifest(image, blobs) for image in images]
        index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": manifests}
        _add_bytes(tar, "index.json", json.dumps(index).encode())


@dataclass
class _Blobs:
    tar: tarfile.TarFile
    _written: set[str] = field(default_factory=set)
    _layers: dict[int, dict[str, Any]] = field(default_factory=dict)

    def document(self, kind: str, content: dict[str, Any]) -> dict[str, Any]:
        data = json.dumps(content).encode()
        digest = hashlib.sha256(data).hexdigest()
        if digest not in self._written:
            self._written.add(digest)
            _add_bytes(self.tar, f"blobs/sha256/{digest}", data)
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data)}

    def layer(self, layer: Layer) -> dict[str, Any]:
        if id(layer) not in self._layers:
            with _packed(layer) as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                size = file.seek(0, io.SEEK_END)
                if digest not in self._written:
                    self._written.add(digest)
                    file.seek(0)
                    information = tarfile.TarInfo(f"blobs/sha256/{digest}")
                    information.size = size
                    self.tar.addfile(information, file)
            described = {"mediaType": _LAYER, "digest": f"sha256:{digest}", "size": size}
            self._layers[id(layer)] = described
        return self._layers[id(layer)]


def _manifest(image: Image, blobs: _Blobs) -> dict[str, Any]:
    layers = [blobs.layer(layer) for layer in image.layers]
    architecture = _ARCHITECTURES.get(platform.machine(), platform.machine())
    where = {"architecture": architecture, "os": "linux"}
    config = {
        **where,
        "config": {
            "Entrypoint": list(image.entrypoint),
            "User": image.user,
            "Env": [f"PATH={_PATH}", *image.environment],
        },
        # The layers are not packed, so that the digest of what is in them is their own.
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]},
    }
    described = blobs.document(
        _MANIFEST,
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": blobs.document(_CONFIG, config),
            "layers": layers,
        },
    )
    names = {
        "io.containerd.image.name": _full_name(image.name),
        "org.opencontainers.image.ref.name": image.name.rsplit(":", 1)[-1],
    }
    return {**described, "platform": where, "annotations": names}


def _full_name(name: str) -> str:
    """Return the name as the kubelet completes it: `x:1` is Docker Hub's library/x."""
    first, _, rest = name.partition("/")
    if not rest:
        return f"docker.io/library/{name}"
    return name if "." in first or ":" in first else f"docker.io/{name}"


@contextmanager
def _packed(layer: Layer) -> Iterator[Any]:
    with tempfile.TemporaryFile() as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
            layer.write(tar)
        file.seek(0)
        yield file


def _write_entry(tar: tarfile.TarFile, entry: _Entry) -> None:
    if entry.link is not None:
        information = _information(entry.target, tarfile.SYMTYPE, 0o777)
        information.linkname = entry.link
        tar.addfile(information)
    elif entry.text is not None:
        data = entry.text.encode()
        information = _information(entry.target, tarfile.REGTYPE, entry.mode or 0o644)
        information.size = len(data)
        tar.addfile(information, io.BytesIO(data))
    elif entry.source is not None:
        state = entry.source.stat()
        mode = entry.mode or (0o755 if state.st_mode & 0o100 else 0o644)
        information = _information(entry.target, tarfile.REGTYPE, mode)
        information.size = state.st_size
        # What Python compiled stays valid only with the times of its sources.
        information.mtime = int(state.st_mtime)
        with entry.source.open("rb") as file:
            tar.addfile(information, file)
    else:
        tar.addfile(_information(entry.target, tarfile.DIRTYPE, entry.mode or 0o755))


def _information(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    information = tarfile.TarInfo(name)
    information.type = kind
    information.mode = mode
    return information


def _add_bytes(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    information = tarfile.TarInfo(name)
    information.size = len(data)
    tar.addfile(information, io.BytesIO(data))
