"""k8s/injection: pods instrumented without Helm, by a policy or, without one, by kustomize."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from manifests.outputs import Output
from manifests.plain import NAMESPACE, dump, without_helm
from manifests.render import render

_VOLUME = "midwatch-injection"
_MOUNT = "/opt/midwatch"
_LOCAL = {"config.kubernetes.io/local-config": "true"}
_POD = "spec.template"
_TEMPLATES = {
    ("apps/v1", "Deployment"): _POD,
    ("apps/v1", "StatefulSet"): _POD,
    ("apps/v1", "DaemonSet"): _POD,
    ("batch/v1", "Job"): _POD,
    ("batch/v1", "CronJob"): "spec.jobTemplate.spec.template",
}
"""Where each kind of workload has the template of its pods."""


def injection_manifests(root: Path) -> Output:
    """The policy in both of its ways, and a component for clusters that have no such policies."""
    folder = root / "k8s" / "injection"
    policies = {way: _policy(root, way) for way in ("image-volume", "init-container")}
    files: dict[Path, str] = {}
    for way, objects in policies.items():
        files[folder / way / "policy.yaml"] = dump(objects)
        files[folder / way / "kustomization.yaml"] = dump([_kustomization(["policy.yaml"])])
    container = _copying(root)
    files[folder / "component" / "settings.yaml"] = dump([_settings()])
    files[folder / "component" / "kustomization.yaml"] = dump([_component(container)])
    return Output(files=files, owned={path.parent: "*.yaml" for path in files})


def _policy(root: Path, way: str) -> list[dict[str, Any]]:
    rendered = render(
        root / "charts" / "midwatch",
        release="midwatch",
        namespace=NAMESPACE,
        settings=[f"injection.mode={way}"],
    )
    return [
        without_helm(item)
        for item in yaml.load_all(rendered, Loader=yaml.CSafeLoader)
        if item and item["kind"].startswith("MutatingAdmissionPolicy")
    ]


def _kustomization(resources: list[str]) -> dict[str, Any]:
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": resources,
    }


def _copying(root: Path) -> dict[str, Any]:
    """The container that copies the shim, by the values of the chart."""
    chart = root / "charts" / "midwatch"
    values = yaml.safe_load((chart / "values.yaml").read_text(encoding="utf-8"))["injection"]
    version = yaml.safe_load((chart / "Chart.yaml").read_text(encoding="utf-8"))["appVersion"]
    image = values["image"]
    return {
        "name": _VOLUME,
        "image": f"{image['repository']}:{image['tag'] or version}",
        "command": ["cp", "-R", "/python", f"{_MOUNT}/"],
        "volumeMounts": [{"name": _VOLUME, "mountPath": _MOUNT}],
        "resources": values["initContainer"]["resources"],
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": values["initContainer"]["runAsUser"],
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def _settings() -> dict[str, Any]:
    return {
        "apiVersion": "midwatch.dev/v1",
        "kind": "InjectionSettings",
        "metadata": {"name": "midwatch-injection", "annotations": _LOCAL},
        "spec": {
            "entry": f"{_MOUNT}/python/entry",
            "mountPath": _MOUNT,
            "readOnly": True,
            "endpoint": f"http://midwatch-collector.{NAMESPACE}.svc:4318",
            "content": "off",
            "service": "metadata.labels['app.kubernetes.io/name']",
        },
    }


def _component(container: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "resources": ["settings.yaml"],
        "patches": [
            {
                "target": {"kind": kind},
                "patch": yaml.safe_dump(_patch(version, kind, where, container), sort_keys=False),
            }
            for (version, kind), where in _TEMPLATES.items()
        ],
        "replacements": [
            _replacement("spec.entry", "env.[name=PYTHONPATH].value", keeps=True),
            _replacement("spec.mountPath", f"volumeMounts.[name={_VOLUME}].mountPath"),
            _replacement("spec.readOnly", f"volumeMounts.[name={_VOLUME}].readOnly"),
            _replacement("spec.endpoint", f"{_default('OTEL_EXPORTER_OTLP_ENDPOINT')}.value"),
            _replacement("spec.content", f"{_default('MIDWATCH_CONTENT')}.value"),
            _replacement(
                "spec.service", f"{_default('OTEL_SERVICE_NAME')}.valueFrom.fieldRef.fieldPath"
            ),
        ],
    }


def _patch(version: str, kind: str, where: str, container: dict[str, Any]) -> dict[str, Any]:
    inner: dict[str, Any] = {
        "metadata": {"labels": {"midwatch.dev/injected": container["image"].rpartition(":")[2]}},
        "spec": {
            "initContainers": [container],
            "volumes": [{"name": _VOLUME, "emptyDir": {}}],
        },
    }
    for step in reversed(where.split(".")):
        inner = {step: inner}
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "any"}, **inner}


def _default(name: str) -> str:
    return f"env.[name=MIDWATCH_DEFAULT_{name}]"


def _replacement(source: str, field: str, *, keeps: bool = False) -> dict[str, Any]:
    """Written into every container; what stands there already stays, behind it, if `keeps`."""
    options: dict[str, Any] = {"create": True}
    if keeps:
        options |= {"delimiter": ":", "index": -1}
    return {
        "source": {"kind": "InjectionSettings", "name": "midwatch-injection", "fieldPath": source},
        "targets": [
            {
                "select": {"kind": kind},
                "fieldPaths": [f"{where}.spec.containers.*.{field}"],
                "options": options,
            }
            for (_, kind), where in _TEMPLATES.items()
        ],
    }
