"""The policy that instruments pods: when it is rendered, in which way, and with what."""

from __future__ import annotations

import re

import pytest
import yaml
from manifests.objects import problems_of
from manifests.plan import repository_root
from toolchain import program_path

from tests import kept_runs

ROOT = repository_root()
POLICY, BINDING = "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"
V1 = f"admissionregistration.k8s.io/v1/{POLICY}"
BETA = f"admissionregistration.k8s.io/v1beta1/{POLICY}"


def rendered(*options: str) -> list[dict]:
    """The policy and its binding, as a cluster gets them that has what the options say."""
    command = [str(program_path("helm")), "template", "midwatch", str(ROOT / "charts/midwatch")]
    command += ["--namespace", "watch", *options]
    done = kept_runs.run(command)
    assert done.returncode == 0, done.stderr
    found = (item for item in yaml.load_all(done.stdout, Loader=yaml.CSafeLoader) if item)
    return [item for item in found if item["kind"] in {POLICY, BINDING}]


def way_of(items: list[dict]) -> str:
    if not items:
        return "none"
    (policy,) = (item for item in items if item["kind"] == POLICY)
    text = str(policy["spec"]["mutations"])
    assert ("Object.spec.volumes.image" in text) != ("initContainers" in text)
    return "image-volume" if "Object.spec.volumes.image" in text else "init-container"


@pytest.mark.parametrize(
    ("options", "way", "version"),
    [
        ([], "none", ""),
        (["--api-versions", V1, "--kube-version", "1.36.3"], "image-volume", "v1"),
        (["--api-versions", BETA, "--kube-version", "1.35.0"], "image-volume", "v1beta1"),
        (["--api-versions", BETA, "--kube-version", "1.34.2"], "init-container", "v1beta1"),
        (["--set", "injection.mode=init-container"], "init-container", "v1"),
        (["--set", "injection.mode=image-volume"], "image-volume", "v1"),
        (["--api-versions", V1, "--set", "injection.mode=init-container"], "init-container", "v1"),
        (["--api-versions", V1, "--set", "injection.mode=none"], "none", ""),
        (["--api-versions", V1, "--set", "collector.enabled=false"], "none", ""),
    ],
)
def test_the_way_follows_from_what_the_cluster_has_unless_it_is_told(options, way, version):
    items = rendered(*options)
    assert way_of(items) == way
    wanted = {f"admissionregistration.k8s.io/{version}"} if version else set()
    assert {item["apiVersion"] for item in items} == wanted


@pytest.mark.parametrize("way", ["image-volume", "init-container"])
def test_policy_and_binding_fit_the_api_and_each_other(way):
    items = rendered("--set", f"injection.mode={way}")
    assert [problem for item in items for problem in problems_of(item)] == []
    policy, binding = items
    assert binding["spec"]["policyName"] == policy["metadata"]["name"] == "watch-midwatch-injection"
    assert "namespace" not in policy["metadata"]
    assert policy["spec"]["failurePolicy"] == "Ignore"


@pytest.mark.parametrize("way", ["image-volume", "init-container"])
def test_its_expressions_are_closed(way):
    # A slip of the template would only be seen by an API server, at the first pod.
    policy = rendered("--set", f"injection.mode={way}")[0]["spec"]
    expressions = [one["expression"] for one in policy["variables"] + policy["matchConditions"]]
    for mutation in policy["mutations"]:
        expressions += [one["expression"] for one in mutation.values() if isinstance(one, dict)]
    known = {one["name"] for one in policy["variables"]}
    for text in expressions:
        for opening, closing in ("()", "[]", "{}"):
            assert text.count(opening) == text.count(closing), text
        assert set(re.findall(r"variables\.(\w+)", text)) <= known


def test_what_the_values_say_reaches_the_pods():
    digest = f"sha256:{'1' * 64}"
    text = str(
        rendered(
            *("--set", "injection.mode=image-volume", "--set", "content=redacted"),
            *("--set", f"injection.image.digest={digest}"),
            *("--set", "global.imageRegistry=mirror.example.com"),
            *("--set", "injection.collectorUrl=https://collector.example.com/"),
            *("--set-string", "injection.env.MIDWATCH_SAMPLE_RATIO=0.5"),
        )
    )
    assert f"mirror.example.com/midwatch/midwatch-injection@{digest}" in text
    assert """MIDWATCH_DEFAULT_MIDWATCH_CONTENT\\', value: "redacted""" in text
    assert """MIDWATCH_DEFAULT_MIDWATCH_SAMPLE_RATIO\\', value: "0.5""" in text
    assert """OTLP_ENDPOINT\\', value: "https://collector.example.com\"""" in text


def test_nothing_of_opentelemetry_is_set_itself():
    # What a ConfigMap or the image says is not seen at admission, and must not be overridden.
    text = str(rendered("--set", "injection.mode=image-volume"))
    names = re.findall(r"env\{name: \\'(\w+)\\'", text)
    assert len(names) >= 4
    assert {name for name in names if not name.startswith("MIDWATCH_DEFAULT_")} == {"PYTHONPATH"}


def test_system_namespaces_and_midwatch_itself_are_left_alone():
    (policy, _) = rendered("--set", "injection.mode=image-volume")
    constraints = policy["spec"]["matchConstraints"]
    (namespaces,) = constraints["namespaceSelector"]["matchExpressions"]
    assert {"kube-system", "kube-public", "kube-node-lease"} <= set(namespaces["values"])
    (objects,) = constraints["objectSelector"]["matchExpressions"]
    assert (objects["operator"], objects["values"]) == ("NotIn", ["midwatch"])


def test_injection_without_a_receiver_is_refused_with_the_ways_out(refusal):
    text = refusal({"injection": {"mode": "image-volume"}, "collector": {"enabled": False}})
    assert "injected pods would have nowhere to send to" in text
    assert "set injection.collectorUrl" in text
