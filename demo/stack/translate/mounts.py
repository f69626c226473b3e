"""Gives a pod's volumes a place on this machine."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from stack.translate.configuration import rewrite_file
from stack.translate.objects import Rendered, Workload
from stack.translate.rewriting import Rewriter

_DATA_VOLUMES = ("emptyDir", "persistentVolumeClaim", "ephemeral")


@dataclass(frozen=True)
class Source:
    """Files that a volume brings.

    Attributes:
        files: the text by path inside the volume.
        secret: they are for their owner's eyes only, and taken as they are.
    """

    files: Mapping[str, str]
    secret: bool


class SecretStore:
    """Finds the values of Secrets: rendered ones, local ones, else new random ones.

    Args:
        rendered: what the charts render.
        local: by name of the Secret and key, for Secrets that the charts only refer to.
    """

    def __init__(self, rendered: Rendered, local: Mapping[str, Mapping[str, str]]) -> None:
        self._rendered = rendered
        self._local = local
        self._made: dict[tuple[str, str], str] = {}

    def keys(self, namespace: str, name: str) -> list[str]:
        """Return the keys that are known for a Secret."""
        rendered = self._rendered.secrets.get((namespace, name), {})
        return [*rendered, *(key for key in self._local.get(name, {}) if key not in rendered)]

    def value(self, namespace: str, name: str, key: str) -> str:
        """Return the value of a key; one that nobody knows is invented and kept."""
        rendered = self._rendered.secrets.get((namespace, name), {})
        if key in rendered:
            return rendered[key]
        if key in self._local.get(name, {}):
            return self._local[name][key]
        return self._made.setdefault((name, key), secrets.token_urlsafe(24))


class Mounts:
    """The volume mounts of one pod, under a folder that mirrors the pod's paths.

    Args:
        workload: the pod.
        rendered: where its ConfigMaps are.
        store: where its Secrets are.
        root: the folder.
        problems: where everything is written that can't be mounted.
    """

    def __init__(
        self,
        workload: Workload,
        rendered: Rendered,
        store: SecretStore,
        root: Path,
        problems: list[str],
    ) -> None:
        self._workload = workload
        self._rendered = rendered
        self._store = store
        self._root = root
        self._problems = problems
        self._mounts: list[Mapping[str, Any]] = list(workload.container.get("volumeMounts", []))
        self.paths = {
            path: root / path.lstrip("/")
            for mount in self._mounts
            for path in _with_parents(_plain(mount["mountPath"]))
        }

    def write(self, rewriter: Rewriter) -> None:
        """Create the folders and write the files; data of an earlier run stays."""
        for mount in self._mounts:
            volume = self._workload.volumes.get(mount["name"])
            if volume is None:
                self._refuse(f"mounts volume {mount['name']!r}, which the pod doesn't have")
            elif any(kind in volume for kind in _DATA_VOLUMES):
                self._local(mount).mkdir(parents=True, exist_ok=True)
            else:
                self._write_files(mount, self._sources(mount["name"], volume), rewriter)

    def _write_files(
        self, mount: Mapping[str, Any], sources: list[Source], rewriter: Rewriter
    ) -> None:
        target, chosen = self._local(mount), mount.get("subPath")
        if chosen is None:
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir(parents=True)
        for source in sources:
            for name, text in source.files.items():
                if chosen is not None and name != chosen:
                    continue
                path = target if chosen is not None else target / name
                content = text if source.secret else rewrite_file(name, text, rewriter)
                _write(path, content, secret=source.secret)

    def _sources(self, name: str, volume: Mapping[str, Any]) -> list[Source]:
        parts = volume["projected"]["sources"] if "projected" in volume else [volume]
        return [source for part in parts if (source := self._source(name, part)) is not None]

    def _source(self, name: str, part: Mapping[str, Any]) -> Source | None:
        if "configMap" in part:
            return self._from_config_map(part["configMap"])
        if "secret" in part:
            return self._from_secret(part["secret"])
        kinds = ", ".join(sorted(set(part) - {"name"}))
        self._refuse(f"volume {name!r} is of a kind that has no local counterpart: {kinds}")
        return None

    def _from_config_map(self, reference: Mapping[str, Any]) -> Source | None:
        name = reference["name"]
        data = self._rendered.config_maps.get((self._workload.namespace, name))
        if data is None:
            if not reference.get("optional", False):
                self._refuse(f"mounts ConfigMap {name!r}, which no chart renders")
            return None
        return Source(_selected(reference, data), secret=False)

    def _from_secret(self, reference: Mapping[str, Any]) -> Source | None:
        name = reference.get("secretName") or reference["name"]
        namespace = self._workload.namespace
        items = reference.get("items")
        keys = [item["key"] for item in items] if items else self._store.keys(namespace, name)
        if not keys:
            if not reference.get("optional", False):
                self._refuse(
                    f"mounts Secret {name!r} as a whole; no chart renders it and the local stack "
                    "has no values for it: name its keys under `items`"
                )
            return None
        data = {key: self._store.value(namespace, name, key) for key in keys}
        return Source(_selected(reference, data), secret=True)

    def _local(self, mount: Mapping[str, Any]) -> Path:
        return self._root / _plain(mount["mountPath"]).lstrip("/")

    def _refuse(self, what: str) -> None:
        self._problems.append(f"{self._workload.name}: {what}")


def _plain(mount_path: str) -> str:
    return str(PurePosixPath(mount_path))


def _with_parents(mount_path: str) -> list[str]:
    """Return a mount path and the folders above it that are the product's own."""
    parents = [str(parent) for parent in PurePosixPath(mount_path).parents]
    return [mount_path, *(path for path in parents if "/midwatch/" in path)]


def _selected(reference: Mapping[str, Any], data: Mapping[str, str]) -> dict[str, str]:
    items = reference.get("items")
    if not items:
        return dict(data)
    return {item["path"]: data[item["key"]] for item in items if item["key"] in data}


def _write(path: Path, content: str, *, secret: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700 if secret else 0o755)
    path.unlink(missing_ok=True)
    mode = 0o600 if secret else 0o644
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(content)
