"""Mirrors, old clusters, old values, and the size of a release."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
import yaml
from chart_examples import example_names, example_values, values_in
from manifests.images import images_of
from manifests.plan import repository_root
from toolchain import program_path

from tests import kept_runs

ROOT = repository_root()
CHART = ROOT / "charts/midwatch"
PREVIOUS = ROOT / "tests/render/previous-values.yaml"
# Fields younger than the oldest Kubernetes that the chart says it runs on (1.29).
YOUNGER = {"resizePolicy", "restartPolicyRules", "trafficDistribution", "hostnameOverride"}


@pytest.mark.parametrize("name", example_names())
def test_a_release_of_any_example_fits_into_its_secret(render, name):
    assert len(render(example_values(name))) < 500 * 1024


def test_the_list_of_images_has_every_image_of_every_example(objects, example):
    listed = (CHART / "images.txt").read_text(encoding="utf-8").splitlines()[1:]
    used = set().union(*(images_of(item) for item in objects(example)))
    mirror = example.get("global", {}).get("imageRegistry", "")
    # A bare name is an image of the user's own, built and loaded by hand.
    for image in sorted(image for image in used if "/" in image):
        if mirror:
            assert image.startswith(f"{mirror}/")
            assert any(one.endswith(image.removeprefix(mirror)) for one in listed), image
        else:
            assert image in listed


def test_every_image_of_the_list_says_registry_and_version():
    listed = (CHART / "images.txt").read_text(encoding="utf-8").splitlines()[1:]
    assert listed == sorted(set(listed))
    assert all(re.fullmatch(r"[a-z0-9.]+\.[a-z]+/[a-z0-9/-]+:[a-z0-9.-]+", one) for one in listed)


def test_labels_and_annotations_of_all_are_on_every_object_and_pod(objects):
    values = {"global": {"labels": {"cost": "ops"}, "annotations": {"reviewed": "yes"}}}
    for item in objects(values):
        found = [item["metadata"]]
        if "template" in item.get("spec", {}):
            found.append(item["spec"]["template"]["metadata"])
        for metadata in found:
            assert metadata["labels"]["cost"] == "ops", item["metadata"]["name"]
            assert metadata["annotations"]["reviewed"] == "yes", item["metadata"]["name"]


def test_a_storage_class_for_all_gives_way_to_a_components_own(objects):
    values = {
        "global": {"storageClass": "fast"},
        "tempo": {"persistence": {"storageClass": "cheap"}},
    }
    classes = {
        item["metadata"]["name"]: claim["spec"]["storageClassName"]
        for item in objects(values)
        for claim in item.get("spec", {}).get("volumeClaimTemplates", [])
    }
    assert classes.pop("midwatch-tempo") == "cheap"
    assert set(classes.values()) == {"fast"}


def keys_of(node: Any) -> set[str]:
    if isinstance(node, dict):
        return set(node) | set().union(*(keys_of(value) for value in node.values()))
    if isinstance(node, list):
        return set().union(*(keys_of(value) for value in node))
    return set()


def test_nothing_is_younger_than_the_oldest_kubernetes_that_the_chart_names(objects, example):
    served = {
        "v1",
        "apps/v1",
        "batch/v1",
        "policy/v1",
        "autoscaling/v2",
        "networking.k8s.io/v1",
        "rbac.authorization.k8s.io/v1",
    }
    for item in objects(example):
        group = item["apiVersion"].split("/")[0]
        # What the API server has not, it is not given; what operators bring comes with them.
        if group.endswith((".com", "cert-manager.io")) or item["kind"].startswith("Mutating"):
            continue
        assert item["apiVersion"] in served
        assert keys_of(item.get("spec", {})) & YOUNGER == set()


def test_the_oldest_and_the_newest_kubernetes_get_the_same_objects():
    def names(version: str) -> set[tuple[str, str]]:
        command = [str(program_path("helm")), "template", "midwatch", str(CHART)]
        command += ["--namespace", "midwatch", "--kube-version", version]
        done = kept_runs.run(command)
        assert done.returncode == 0, done.stderr
        documents = yaml.load_all(done.stdout, Loader=yaml.CSafeLoader)
        return {(item["kind"], item["metadata"]["name"]) for item in documents if item}

    assert names("1.29.0") == names("1.36.3")


def test_values_of_the_previous_release_still_work_and_keep_what_holds_data(objects):
    previous = values_in(PREVIOUS)
    before = copy.deepcopy(previous)
    rendered = objects(previous)
    claims = {
        (item["metadata"]["name"], claim["metadata"]["name"])
        for item in rendered
        for claim in item.get("spec", {}).get("volumeClaimTemplates", [])
    }
    names = ("collector", "prometheus", "alertmanager", "tempo", "grafana", "ledger")
    assert claims == {(f"midwatch-{name}", "data") for name in names}
    assert {item["metadata"]["name"] for item in rendered if item["kind"] == "Secret"} == {
        "midwatch-grafana-admin",
        "midwatch-ledger-keys",
    }
    assert previous == before
