"""OCI images that are made without Docker."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from cluster import demo_images
from cluster import python_layers as python
from cluster.errors import ClusterUnavailable
from cluster.images import Image, Layer, write_archive


def blob(archive: tarfile.TarFile, digest: str) -> bytes:
    file = archive.extractfile("blobs/sha256/" + digest.removeprefix("sha256:"))
    assert file is not None
    data = file.read()
    assert "sha256:" + hashlib.sha256(data).hexdigest() == digest
    return data


def described(archive: tarfile.TarFile) -> list[dict[str, Any]]:
    file = archive.extractfile("index.json")
    assert file is not None
    manifests: list[dict[str, Any]] = json.load(file)["manifests"]
    return manifests


def layer_of(tmp_path: Path, layer: Layer) -> dict[str, tarfile.TarInfo]:
    write_archive(tmp_path / "layer.tar", [Image("x:1", (layer,))])
    with tarfile.open(tmp_path / "layer.tar") as archive:
        manifest = json.loads(blob(archive, described(archive)[0]["digest"]))
        data = blob(archive, manifest["layers"][0]["digest"])
    with tarfile.open(fileobj=io.BytesIO(data)) as files:
        return {file.name: file for file in files}


def test_an_archive_has_every_blob_under_its_digest_and_the_image_under_its_whole_name(
    tmp_path: Path,
) -> None:
    image = Image("agent:1", (Layer().text("/etc/x", "x"),), ("/agent",), environment=("A=b",))
    write_archive(tmp_path / "image.tar", [image])
    with tarfile.open(tmp_path / "image.tar") as archive:
        (found,) = described(archive)
        manifest = json.loads(blob(archive, found["digest"]))
        config = json.loads(blob(archive, manifest["config"]["digest"]))
        layers = [blob(archive, each["digest"]) for each in manifest["layers"]]
    # The kubelet asks for short names in full.
    assert found["annotations"]["io.containerd.image.name"] == "docker.io/library/agent:1"
    assert config["config"]["Entrypoint"] == ["/agent"]
    assert config["config"]["User"] == "10001:10001"
    assert "A=b" in config["config"]["Env"]
    assert config["rootfs"]["diff_ids"] == [each["digest"] for each in manifest["layers"]]
    assert len(layers) == 1


@pytest.mark.parametrize(
    ("given", "whole"),
    [
        ("team/agent:1", "docker.io/team/agent:1"),
        ("registry.local/pause:1", "registry.local/pause:1"),
        ("localhost:5000/agent:1", "localhost:5000/agent:1"),
    ],
)
def test_names_with_a_registry_stay_and_others_get_the_default_one(
    tmp_path: Path, given: str, whole: str
) -> None:
    write_archive(tmp_path / "image.tar", [Image(given)])
    with tarfile.open(tmp_path / "image.tar") as archive:
        (found,) = described(archive)
    assert found["annotations"]["io.containerd.image.name"] == whole


def test_a_layer_that_two_images_share_is_in_the_archive_once(tmp_path: Path) -> None:
    shared = Layer().text("/big", "x" * 100_000)
    write_archive(tmp_path / "both.tar", [Image("a:1", (shared,)), Image("b:1", (shared,))])
    assert (tmp_path / "both.tar").stat().st_size < 200_000


def test_files_keep_what_runs_and_when_they_changed_and_belong_to_root(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o750)
    (tmp_path / "link").symlink_to(program)
    layer = Layer().file(tmp_path / "link", "/bin/program").folder("/tmp", 0o1777).link("/p", "bin")
    files = layer_of(tmp_path, layer)
    assert files["bin"].isdir()
    assert files["bin/program"].isreg()
    assert files["bin/program"].mode == 0o755
    assert files["bin/program"].mtime == int(program.stat().st_mtime)
    assert files["bin/program"].uid == files["bin/program"].gid == 0
    assert files["tmp"].mode == 0o1777
    assert files["p"].linkname == "bin"


def test_a_package_comes_with_what_it_requires_and_without_what_is_left_out(tmp_path: Path) -> None:
    files = layer_of(tmp_path, python.packages(["httpx"], lambda name: name == "certifi"))
    packages = {name.removeprefix(python.SITE_PACKAGES.strip("/") + "/") for name in files}
    assert "httpx/__init__.py" in packages
    assert "anyio/__init__.py" in packages
    assert not any(name.startswith("certifi") for name in packages)


def test_a_package_that_is_not_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(ClusterUnavailable, match="no-such-package is not installed"):
        python.packages(["no-such-package"])


class NamesOnly(tarfile.TarFile):
    """An archive without what is in its files: 200 MB say nothing here."""

    def addfile(self, tarinfo: tarfile.TarInfo, fileobj: object = None) -> None:
        self.getmembers().append(tarinfo)


def test_the_retail_simulations_image_has_never_heard_of_midwatch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The interpreter is the largest layer and says nothing here.
    monkeypatch.setattr(python, "interpreter", Layer)
    image = next(
        each for each in demo_images.demo_images() if each.name == "midwatch-retail-simulation:kind"
    )
    names: set[str] = set()
    for layer in image.layers:
        with NamesOnly(os.devnull, "w") as files:
            layer.write(files)
            names |= set(files.getnames())
    packages = {name.removeprefix(python.SITE_PACKAGES.strip("/") + "/") for name in names}
    assert "retail_simulation" in packages
    # FastAPI brings the interface of OpenTelemetry, and nothing that would send.
    assert not {name for name in packages if name.startswith("opentelemetry/sdk")}
    assert not {name for name in packages if name.startswith("midwatch")}
