"""Whether a Prometheus of yours takes and keeps what Midwatch gives it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from midwatch.doctor.cluster.access import Web
from midwatch.doctor.cluster.visit import Program, Visit, note, ok, older, problem
from midwatch.doctor.report import Finding
from midwatch.registry.attributes import PROJECT

LEAST = "3.0.0"
TESTED = "3.13.0"
PROMOTED = (
    "service.name",
    "service.namespace",
    "service.version",
    "k8s.namespace.name",
    "k8s.pod.name",
    "deployment.environment.name",
    PROJECT.name,
)
"""Attributes of resources that rules and boards need as labels."""
_WINDOW_MINUTES = 120
_MINUTES = {"ms": 1 / 60000, "s": 1 / 60, "m": 1, "h": 60, "d": 1440, "w": 10080, "y": 525600}
_DURATION = re.compile(r"(\d+)(ms|[smhdwy])")
_RULES_MAKE = "set prometheusOperator.rules, or load k8s/observability/prometheus-rules-agent.yaml"


def check_prometheus(visit: Visit) -> Iterator[Finding]:
    """Each Prometheus with its version, receiver, exemplars, window, labels, rules and alerting."""
    programs = list(visit.programs("prometheus"))
    if not programs:
        told = "there is none with a Service that says so by its labels"
        remedy = "let the chart install one, or name yours with --prometheus URL"
        yield problem("prometheus", "prometheus", told, remedy)
    for program in programs:
        yield from _look(program)


def _look(program: Program) -> Iterator[Finding]:
    section, web = f"prometheus {program.name}", program.web
    built = web.get("/api/v1/status/buildinfo")
    version = str(_data(built.json()).get("version", ""))
    if built.status != 200 or not version:
        told = f"/api/v1/status/buildinfo answered {built.status}"
        remedy = "name the URL of the Prometheus itself with --prometheus"
        yield problem(section, "version", told, remedy)
        return
    yield _version(section, version)
    yield _receiver(section, web)
    yield _exemplars(section, web)
    settings = _settings(web)
    if settings is None:
        told = "it tells no configuration: see out_of_order_time_window and otlp by hand"
        yield note(section, "configuration", told)
    else:
        yield _window(section, settings)
        yield _promoted(section, settings)
    yield _rules(section, web)
    yield _alerting(section, web)


def _version(section: str, version: str) -> Finding:
    if older(version, LEAST):
        told = f"{version} is too old"
        remedy = f"use Prometheus {LEAST} or newer; Midwatch is tested with {TESTED} and newer"
        return problem(section, "version", told, remedy, version=version)
    if older(version, TESTED):
        return note(section, "version", f"{version}; tested is {TESTED}", version=version)
    return ok(section, "version", version, version=version)


def _receiver(section: str, web: Web) -> Finding:
    answer = web.post_nothing("/api/v1/otlp/v1/metrics")
    if answer.status < 300:
        return ok(section, "OTLP receiver", "takes metrics", http_status=answer.status)
    remedy = (
        "start it with --web.enable-otlp-receiver "
        "(enableOTLPReceiver: true in the operator's object)"
        if answer.status == 404
        else "see what stands before it: a proxy, its rights, or a NetworkPolicy"
    )
    told = f"/api/v1/otlp/v1/metrics answered {answer.status}: {answer.text[:120]}"
    return problem(section, "OTLP receiver", told, remedy, http_status=answer.status)


def _exemplars(section: str, web: Web) -> Finding:
    flags = _data(web.get("/api/v1/status/flags").json())
    if "enable-feature" not in flags:
        return note(section, "exemplars", "it tells no flags: see exemplar-storage by hand")
    if "exemplar-storage" in flags["enable-feature"].split(","):
        return ok(section, "exemplars", "are kept", enabled=True)
    remedy = (
        "start it with --enable-feature=exemplar-storage "
        "(enableFeatures: [exemplar-storage] in the operator's object)"
    )
    told = "are thrown away: no click leads from a graph to a trace"
    return problem(section, "exemplars", told, remedy, enabled=False)


def _settings(web: Web) -> dict[str, Any] | None:
    answer = web.get("/api/v1/status/config")
    text = _data(answer.json()).get("yaml")
    if answer.status != 200 or not isinstance(text, str):
        return None
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        return None
    return found if isinstance(found, dict) else None


def _window(section: str, settings: dict[str, Any]) -> Finding:
    tsdb = (settings.get("storage") or {}).get("tsdb") or {}
    given = str(tsdb.get("out_of_order_time_window", "0s"))
    minutes = sum(int(count) * _MINUTES[unit] for count, unit in _DURATION.findall(given))
    if minutes >= _WINDOW_MINUTES:
        return ok(section, "out of order", f"takes what is {given} late", minutes=minutes)
    told = f"takes what is {given} late" if minutes else "refuses what comes late"
    remedy = (
        "set storage.tsdb.out_of_order_time_window: 2h (tsdb.outOfOrderTimeWindow: 2h in the "
        "operator's object): the collector's queues deliver late after an outage"
    )
    return problem(section, "out of order", told, remedy, minutes=minutes)


def _promoted(section: str, settings: dict[str, Any]) -> Finding:
    otlp = settings.get("otlp") or {}
    promoted = otlp.get("promote_resource_attributes") or ()
    missing = [name for name in PROMOTED if name not in promoted]
    if otlp.get("promote_all_resource_attributes"):
        missing = [
            name for name in PROMOTED if name in (otlp.get("ignore_resource_attributes") or ())
        ]
    if not missing:
        return ok(section, "labels", "has every label of rules and boards", missing=[])
    remedy = (
        f"add to otlp.promote_resource_attributes (promoteResourceAttributes): {', '.join(missing)}"
    )
    told = f"{len(missing)} attributes do not become labels, so that rules find nothing"
    return problem(section, "labels", told, remedy, missing=missing)


def _rules(section: str, web: Web) -> Finding:
    groups = _data(web.get("/api/v1/rules?type=alert").json()).get("groups") or []
    own = [group for group in groups if str(group.get("name", "")).startswith("midwatch-")]
    count = sum(len(group.get("rules") or ()) for group in own)
    if not count:
        return note(section, "rules", f"has none of Midwatch's: {_RULES_MAKE}", alerts=0)
    bad = sorted({one["name"] for group in own for one in group["rules"] if one["health"] == "err"})
    if bad:
        told = f"can't evaluate {', '.join(bad)}"
        return problem(section, "rules", told, "see its page of rules for why", alerts=count)
    return ok(section, "rules", f"evaluates {count} of Midwatch's alerts", alerts=count)


def _alerting(section: str, web: Web) -> Finding:
    active = _data(web.get("/api/v1/alertmanagers").json()).get("activeAlertmanagers") or []
    if active:
        told = f"sends to {', '.join(str(one.get('url')) for one in active)}"
        return ok(section, "alerting", told, alertmanagers=len(active))
    told = "knows no Alertmanager: nobody is paged"
    remedy = "name one under alerting (alerting.alertmanagers in the operator's object)"
    return problem(section, "alerting", told, remedy, alertmanagers=0)


def _data(answer: object) -> dict[str, Any]:
    data = answer.get("data") if isinstance(answer, dict) else None
    return data if isinstance(data, dict) else {}
