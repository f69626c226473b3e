"""Takes a container's probes over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stack.specification import HttpProbe
from stack.translate.objects import Workload


def translate_probe(
    workload: Workload, kind: str, local: Mapping[int, int], problems: list[str]
) -> HttpProbe | None:
    """Return the local form of a probe (`readinessProbe`, `livenessProbe`), None without one."""
    rendered = workload.container.get(kind)
    if rendered is None:
        return None
    where = f"{workload.name}, {kind}"
    if "httpGet" not in rendered:
        problems.append(f"{where}: only httpGet probes are made locally")
        return None
    port = _port(workload, rendered["httpGet"], local)
    if port is None:
        problems.append(f"{where}: port {rendered['httpGet']['port']!r} is no containerPort")
        return None
    return HttpProbe(
        port=port,
        path=rendered["httpGet"].get("path", "/"),
        period_seconds=float(rendered.get("periodSeconds", 10)),
        timeout_seconds=float(rendered.get("timeoutSeconds", 1)),
        failure_threshold=int(rendered.get("failureThreshold", 3)),
    )


def _port(workload: Workload, get: Mapping[str, Any], local: Mapping[int, int]) -> int | None:
    port = get["port"]
    number = workload.ports.get(port) if isinstance(port, str) else port
    return local.get(number) if number is not None else None
