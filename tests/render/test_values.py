"""Every value has a comment, a place in the schema and an effect; wrong ones are refused."""

from __future__ import annotations

import copy
import json
import re
from functools import cache
from typing import Any

import pytest
import yaml
from manifests.plan import repository_root
from manifests.values_table import documented_values

CHARTS = repository_root() / "charts"
NAMES = ("midwatch", "security-agent", "retail-simulation")


def schema_of(chart: str) -> dict[str, Any]:
    return json.loads((CHARTS / chart / "values.schema.json").read_text(encoding="utf-8"))


@cache
def values_of(chart: str) -> dict[str, Any]:
    """What a chart's values.yaml says; read only."""
    return yaml.safe_load((CHARTS / chart / "values.yaml").read_text(encoding="utf-8"))


def resolved(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    reference = node.get("$ref", "")
    return schema["definitions"][reference.rpartition("/")[2]] if reference else node


def closed_paths(node: dict[str, Any], schema: dict[str, Any], prefix: str = "") -> set[str]:
    """Paths whose names the schema fixes."""
    node = resolved(node, schema)
    found = set()
    for key, child in node.get("properties", {}).items():
        found |= {f"{prefix}{key}"} | closed_paths(child, schema, f"{prefix}{key}.")
    return found


@pytest.mark.parametrize("chart", NAMES)
def test_every_value_says_what_it_does(chart):
    entries = documented_values(CHARTS / chart / "values.yaml")
    assert [entry.path for entry in entries if not entry.comment] == []


def test_a_value_without_a_comment_is_found(tmp_path):
    file = tmp_path / "values.yaml"
    file.write_text("# Section.\na:\n  # Said.\n  b: 1\n  c: 2\n", encoding="utf-8")
    entries = documented_values(file)
    assert [(entry.path, entry.default, entry.comment) for entry in entries] == [
        ("a", "", "Section."),
        ("a.b", "`1`", "Said."),
        ("a.c", "`2`", ""),
    ]


@pytest.mark.parametrize("chart", NAMES)
def test_every_object_of_the_schema_is_closed_or_a_map_of_the_users(chart):
    def loose(node: Any, path: str) -> list[str]:
        if not isinstance(node, dict):
            return []
        found = (
            [path] if "properties" in node and node.get("additionalProperties") is not False else []
        )
        for key, child in node.items():
            found += loose(child, f"{path}/{key}")
        return found

    assert loose(schema_of(chart), "") == []


def test_schema_and_values_know_the_same_names():
    schema = schema_of("midwatch")
    # Kubernetes names these two; the chart gives no default for each of their keys.
    free = re.compile(
        r"\.resources\.|^collector\.scrape\.targets\.|^alertmanager\.routes\.|\.pod\."
        r"|^networkPolicy\.egress\.allow\."
    )
    in_schema = {path for path in closed_paths(schema, schema) if not free.search(path)}
    entries = documented_values(CHARTS / "midwatch" / "values.yaml")
    in_values = {entry.path for entry in entries if not free.search(entry.path)}
    assert in_schema == in_values


def leaves(node: dict[str, Any], prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for key, child in node.items():
        path = (*prefix, key)
        found += leaves(child, path) if isinstance(child, dict) and child else [path]
    return found


def at(node: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        node = node.get(step) if isinstance(node, dict) else None
    return node


def other(path: tuple[str, ...], value: Any) -> Any:
    """Another valid value of the same kind."""
    special: dict[str, Any] = {
        "mode": "image-volume" if path[0] == "injection" else "secrets",
        "failurePolicy": "Fail",
        "imagePullPolicy": "Always",
        "content": "full",
        "logLevel": "debug",
        "digest": f"sha256:{'1' * 64}",
        "env": {"ADDED": "1"},
        "labels": {"added": "1"},
        "annotations": {"added": "1"},
        "nodeSelector": {"added": "1"},
        "externalLabels": {"added": "1"},
        "namespaces": {"added": True},
        "tolerations": {"added": {"key": "added"}},
        "affinity": {"nodeAffinity": {}},
        "imagePullSecrets": {"added": True},
        "allow": {"added": {"cidr": "10.0.0.0/8"}},
        "targets": {"added": {"address": "added:1"}},
        "routes": {"added": {"emailTo": "a@b.example"}},
        "muteTimeIntervals": {"added": [{"weekdays": ["sunday"]}]},
        "sslMode": "verify-full",
        "pod": {"priorityClassName": "added"},
        "profile": "ha",
        "kubernetes.io/hostname": "DoNotSchedule",
        "topology.kubernetes.io/zone": "DoNotSchedule",
        "kind": "ClusterIssuer",
        "secrets": {"collector": "added"},
        "destinations": {"added": {"preset": "file"}},
        "replicas": 3,
        "balanceBy": "shards",
        "boards": "configMaps",
        "otlpProtocol": "http",
        "headers": {"X-Added": "1"},
        "secretHeaders": {"X-Added": "added"},
        "trusted": {"10.1.0.0/16": True},
        "channel": "#other",
        "smarthost": "other:25",
        "thresholds": {"LlmLatencyHigh": 20},
        "agentThresholds": {"AgentHandoffLoop": {"added": 5}},
        "objectives": {"tool-success": 0.9},
        "agentObjectives": {"tool-success": {"added": 0.8}},
    }
    if path[-1] in special:
        return special[path[-1]]
    if path[1:] == ("enabled",) and path[0] not in PARTS_OF_ALL:
        return "external"
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1
    if path[-1].lower().endswith("url"):
        return "https://other.example.com"
    found = re.fullmatch(r"([a-z]*)(\d+)(.*)", str(value))
    if found and path[-1] not in {"tag"}:
        return f"{found[1]}{int(found[2]) + 1}{found[3]}"
    return f"{value}other"


def merged(base: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    result = copy.deepcopy(base)
    target = result
    for step in path[:-1]:
        target = target.setdefault(step, {})
    target[path[-1]] = value
    return result


# What has `enabled` and is no component.
PARTS_OF_ALL = {"networkPolicy", "tests"}
# What has an effect only where several of a component run, or certificates are asked for.
SEVERAL = ("disruptionBudget", "spread", "autoscaling", "sampler")


def surroundings(path: tuple[str, ...], everything: dict[str, Any]) -> dict[str, Any]:
    """Values under which the one at the path has an effect and may change."""
    base = copy.deepcopy(everything)
    if path[0] == "profile" or path == ("collector", "replicas") or set(SEVERAL) & set(path):
        base["ledger"]["database"] = {"existingSecret": "database"}
        if path[0] != "profile":
            base["profile"] = "ha"
        if path[-1] == "balanceBy":
            base["collector"]["sampler"] = {"autoscaling": {"enabled": False}}
        return base
    if path[0] == "tls" and path != ("tls", "mode"):
        return base | {"tls": {"mode": "certManager", "issuer": {"name": "issuer"}}}
    if path == ("prometheusOperator", "rules"):
        own = {"enabled": "external", "external": {"url": "http://yours.example.com"}}
        return base | {"prometheus": own}
    if path == ("collector", "enabled"):
        base.pop("destinations")
    if path[:2] == ("ledger", "persistence"):
        base["ledger"].pop("backup")
    if path[:3] == ("ledger", "backup", "image"):
        return merged(base, ("ledger", "database", "existingSecret"), "database")
    if path[0] == "ledger" and path[1] in {"database", "replicas"}:
        return merged(base, ("ledger", "database", "existingSecret"), "database")
    if path[0] == "alertmanager" and path[2:] == ("enabled",):
        base["alertmanager"].pop("routes", None)
    if path[0] not in PARTS_OF_ALL and (path[1:2] == ("external",) or path[1:] == ("enabled",)):
        external: dict[str, Any] = {"url": "http://yours.example.com"}
        if path[0] == "tempo":
            external["otlpUrl"] = "http://yours.example.com:4317"
        if path[0] in {"tempo", "prometheus"}:
            external |= {"secretHeaders": {"Authorization": "key"}, "existingSecret": "keys"}
        if path[2:3] in {("labels",), ("instanceSelector",)}:
            external["boards"] = {"labels": "configMaps", "instanceSelector": "operator"}[path[2]]
        own = base.setdefault(path[0], {})
        own.pop("externalUrl", None)
        own |= {"external": external, "enabled": "external" if path[1] == "external" else True}
    return base


def all_leaves() -> list[tuple[str, ...]]:
    # An external collector is told in NOTES.txt alone, which `helm template` does not render.
    skipped = {("collector", "external", "url")}
    every = leaves(values_of("midwatch"))
    # What all components share is rendered by one template for all of them: two show it.
    shared = {"image", "resources", "persistence", "env", "pod", "logLevel"}
    shown = {"collector", "ledger", "global"}
    return [
        path
        for path in every
        if path not in skipped and (path[0] in shown or not shared & set(path[1:2]))
    ]


@pytest.mark.parametrize("path", all_leaves(), ids=".".join)
def test_every_value_changes_what_is_rendered(render, everything, path):
    base = surroundings(path, everything)
    given = at(base, path)
    value = other(path, values_at_default(path) if given is None else given)
    mask = re.compile(r"^  (\w+-key|admin-password): .*$", re.MULTILINE)
    assert mask.sub("", render(merged(base, path, value))) != mask.sub("", render(base))


def values_at_default(path: tuple[str, ...]) -> Any:
    return at(values_of("midwatch"), path)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"contnt": "off"}, "additional properties 'contnt' not allowed"),
        ({"content": "some"}, "'/content': value must be one of 'off', 'redacted', 'full'"),
        ({"collector": {"enabled": "yes"}}, "/collector/enabled"),
        ({"collector": {"queue": {"size": "big"}}}, "/collector/queue/size"),
        ({"prometheus": {"scrapeInterval": "5"}}, "/prometheus/scrapeInterval"),
        ({"tempo": {"retention": "30d"}}, "/tempo/retention"),
        ({"global": {"imagePullPolicy": "Sometimes"}}, "/global/imagePullPolicy"),
        (
            {"collector": {"scrape": {"targets": {"a": {"path": "/m"}}}}},
            "missing property 'address'",
        ),
        (
            {"alertmanager": {"email": {"smarthost": "smtp.example.com"}}},
            "/alertmanager/email/smarthost",
        ),
        ({"grafana": {"image": {"digest": "latest"}}}, "/grafana/image/digest"),
        ({"ledger": {"replicas": -1}}, "/ledger/replicas"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(refusal, values, told):
    assert told in refusal(values)


def test_several_wrong_values_are_told_together(refusal):
    text = refusal({"content": "some", "ledger": {"replicas": -1}, "tempo": {"retentoin": "1h"}})
    assert all(name in text for name in ("/content", "/ledger/replicas", "retentoin"))
