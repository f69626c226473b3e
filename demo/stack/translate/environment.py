"""The environment and arguments of a container, resolved as a kubelet resolves them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from stack.translate.mounts import SecretStore
from stack.translate.objects import Rendered, Workload
from stack.translate.rewriting import LOOPBACK, Rewriter

_REFERENCE = re.compile(r"\$(\$)?\(([A-Za-z_][\w.-]*)\)")
_QUANTITY = re.compile(r"^(\d+(?:\.\d+)?)([kMGTP]i?|m)?$")
_FACTORS: dict[str | None, float] = {
    None: 1.0,
    "m": 0.001,
    **{unit: 1000.0 ** (n + 1) for n, unit in enumerate("kMGTP")},
    **{f"{unit}i": 1024.0 ** (n + 1) for n, unit in enumerate("KMGTP")},
}


class ContainerEnvironment:
    """Resolves what a container's environment refers to.

    Args:
        workload: the pod.
        rendered: where its ConfigMaps are.
        store: where its Secrets are.
        problems: where everything is written that can't be resolved.
    """

    def __init__(
        self, workload: Workload, rendered: Rendered, store: SecretStore, problems: list[str]
    ) -> None:
        self._workload = workload
        self._rendered = rendered
        self._store = store
        self._problems = problems

    def resolve(self, rewriter: Rewriter) -> dict[str, str]:
        """Return the variables with their local values; secrets are taken as they are."""
        resolved: dict[str, str] = {}
        if "envFrom" in self._workload.container:
            self._refuse("has envFrom, which has no local counterpart; name the variables")
        for entry in self._workload.container.get("env", []):
            name = entry["name"]
            if "valueFrom" in entry:
                value = self._value_from(name, entry["valueFrom"], rewriter)
                if value is not None:
                    resolved[name] = value
            else:
                text = expand(str(entry.get("value") or ""), resolved)
                resolved[name] = rewriter.setting(name, text, f"env {name}")
        return resolved

    def _value_from(
        self, variable: str, source: Mapping[str, Any], rewriter: Rewriter
    ) -> str | None:
        if "secretKeyRef" in source:
            reference = source["secretKeyRef"]
            known = self._store.keys(self._workload.namespace, reference["name"])
            if reference.get("optional", False) and reference["key"] not in known:
                return None
            return self._store.value(self._workload.namespace, reference["name"], reference["key"])
        if "configMapKeyRef" in source:
            reference = source["configMapKeyRef"]
            found = self._rendered.config_maps.get((self._workload.namespace, reference["name"]))
            if found is not None and reference["key"] in found:
                return rewriter.setting(variable, found[reference["key"]], f"env {variable}")
            if not reference.get("optional", False):
                self._refuse(f"env {variable} refers to a ConfigMap key that no chart renders")
            return None
        if "fieldRef" in source:
            return self._field(variable, source["fieldRef"]["fieldPath"])
        if "resourceFieldRef" in source:
            return self._resource(variable, source["resourceFieldRef"])
        self._refuse(f"env {variable} takes its value from {', '.join(source)}, unknown here")
        return None

    def _field(self, variable: str, path: str) -> str | None:
        workload = self._workload
        fields = {
            "metadata.name": f"{workload.name}-0",
            "metadata.namespace": workload.namespace,
            "metadata.uid": f"{workload.namespace}-{workload.name}-0",
            "spec.nodeName": "this-machine",
            "spec.serviceAccountName": workload.name,
            "status.podIP": LOOPBACK,
            "status.hostIP": LOOPBACK,
        }
        label = re.fullmatch(r"metadata\.labels\['(.+)'\]", path)
        value = workload.labels.get(label[1]) if label else fields.get(path)
        if value is None:
            self._refuse(f"env {variable} refers to the pod's field {path!r}, unknown here")
        return value

    def _resource(self, variable: str, reference: Mapping[str, Any]) -> str | None:
        section, _, name = reference["resource"].partition(".")
        resources = self._workload.container.get("resources", {})
        amount = resources.get(section, {}).get(name)
        if amount is None:
            self._refuse(f"env {variable} refers to {reference['resource']}, which is not set")
            return None
        divisor = _number(str(reference.get("divisor", "1"))) or 1.0
        # Kubernetes rounds up: half a core is one.
        return str(-int(-_number(str(amount)) // divisor))

    def _refuse(self, what: str) -> None:
        self._problems.append(f"{self._workload.name}: {what}")


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace `$(NAME)` by the variable's value; `$$(NAME)` and unknown names stay."""

    def value(found: re.Match[str]) -> str:
        if found[1]:
            return f"$({found[2]})"
        return variables.get(found[2], found[0])

    return _REFERENCE.sub(value, text)


def _number(quantity: str) -> float:
    found = _QUANTITY.match(quantity)
    return float(found[1]) * _FACTORS[found[2]] if found else float(quantity)
