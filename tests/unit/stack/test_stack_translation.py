"""Rendered pods become program specifications, with their files on this machine."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from stack.errors import TranslationFailedError
from stack.ports import PortBook
from stack.specification import ProgramSpecification
from stack.translate import LocalService, Rendered, translate
from stack.translate.catalogue import LocalProgram

EVERYWHERE = "0.0.0.0"  # noqa: S104 - text to be replaced
CATALOGUE = {"ledger": LocalProgram(("/bin/ledger",), after=("store",), stop_seconds=3.0)}
LABELS = {"app.kubernetes.io/component": "ledger", "app.kubernetes.io/instance": "midwatch"}


def pod(container: dict[str, Any], **spec: Any) -> dict[str, Any]:
    base = {"name": "ledger", "ports": [{"name": "http", "containerPort": 8088}]}
    return {
        "kind": "Deployment",
        "metadata": {"name": "midwatch-ledger"},
        "spec": {
            "template": {
                "metadata": {"labels": LABELS},
                "spec": {"containers": [{**base, **container}], **spec},
            }
        },
    }


def service(target: object = "http") -> dict[str, Any]:
    return {
        "kind": "Service",
        "metadata": {"name": "midwatch-ledger"},
        "spec": {"selector": LABELS, "ports": [{"port": 8088, "targetPort": target}]},
    }


def config_map(data: dict[str, str]) -> dict[str, Any]:
    return {"kind": "ConfigMap", "metadata": {"name": "settings"}, "data": data}


def run(directory: Path, *objects: dict[str, Any], **options: Any) -> ProgramSpecification:
    rendered = Rendered.parse(yaml.safe_dump_all(objects), "midwatch")
    specifications = translate(
        rendered, directory=directory, ports=PortBook(), catalogue=CATALOGUE, **options
    )
    return specifications[0]


def test_arguments_follow_the_local_program(tmp_path: Path) -> None:
    got = run(tmp_path, pod({"args": ["serve", "--listen=0.0.0.0:8088"]}))
    assert got.command == ("/bin/ledger", "serve", f"--listen=127.0.0.1:{got.ports['http']}")
    assert (got.name, got.after, got.stop_seconds) == ("ledger", ("store",), 3.0)


def test_a_service_leads_to_the_local_port_of_its_pod(tmp_path: Path) -> None:
    got = run(tmp_path, pod({"args": ["http://midwatch-ledger.midwatch.svc:8088/x"]}), service())
    assert got.command[-1] == f"http://127.0.0.1:{got.ports['http']}/x"


def test_a_service_of_the_surroundings_leads_to_its_local_port(tmp_path: Path) -> None:
    services = [LocalService("smtp", "demo", {25: 20025})]
    got = run(tmp_path, pod({"args": ["smtp.demo.svc:25"]}), local_services=services)
    assert got.command[-1] == "127.0.0.1:20025"


def test_a_service_that_points_nowhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TranslationFailedError, match="port 8088 points to 'grpc'"):
        run(tmp_path, pod({}), service("grpc"))


def test_the_environment_is_resolved_as_a_kubelet_does(tmp_path: Path) -> None:
    env: list[dict[str, Any]] = [
        {"name": "HOST", "value": EVERYWHERE},
        {"name": "PORT", "value": "8088"},
        {"name": "URL", "value": "http://$(HOST):$(PORT)/$$(PORT)/$(MISSING)"},
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "CPUS", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
        {"name": "MEMORY", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory"}}},
        {"name": "KEY", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "k"}}},
    ]
    resources = {"limits": {"cpu": "1500m", "memory": "512Mi"}}
    got = run(tmp_path, pod({"env": env, "resources": resources}), config_map({"k": "v"}))
    port = str(got.ports["http"])
    assert got.environment["PORT"] == port
    assert got.environment["URL"] == f"http://127.0.0.1:{port}/$(PORT)/$(MISSING)"
    assert got.environment["POD"] == "midwatch-ledger-0"
    assert got.environment["CPUS"] == "2"
    assert got.environment["MEMORY"] == str(512 * 2**20)
    assert got.environment["KEY"] == "v"


def test_configuration_is_written_below_the_directory(tmp_path: Path) -> None:
    container = {
        "args": ["--config=/etc/midwatch/ledger/c.yaml"],
        "volumeMounts": [
            {"name": "config", "mountPath": "/etc/midwatch/ledger"},
            {"name": "data", "mountPath": "/var/lib/midwatch/ledger"},
        ],
    }
    volumes = [
        {"name": "config", "configMap": {"name": "settings"}},
        {"name": "data", "emptyDir": {}},
    ]
    text = "listen: 0.0.0.0:8088\ndata: /var/lib/midwatch/ledger/db\n"
    got = run(tmp_path, pod(container, volumes=volumes), config_map({"c.yaml": text}))
    written = Path(got.command[-1].removeprefix("--config="))
    config = yaml.safe_load(written.read_text())
    assert written.is_relative_to(tmp_path)
    assert config["listen"] == f"127.0.0.1:{got.ports['http']}"
    assert Path(config["data"]).parent.is_dir()


def test_data_of_an_earlier_run_stays_and_stale_configuration_goes(tmp_path: Path) -> None:
    container = {
        "volumeMounts": [
            {"name": "config", "mountPath": "/etc/midwatch/ledger"},
            {"name": "data", "mountPath": "/var/lib/midwatch/ledger"},
        ]
    }
    volumes = [
        {"name": "config", "configMap": {"name": "settings"}},
        {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
    ]
    run(tmp_path, pod(container, volumes=volumes), config_map({"old.yaml": "a: 1\n"}))
    files = tmp_path / "ledger" / "files"
    (files / "var/lib/midwatch/ledger/db").write_text("rows")
    run(tmp_path, pod(container, volumes=volumes), config_map({"new.yaml": "a: 1\n"}))
    assert (files / "var/lib/midwatch/ledger/db").read_text() == "rows"
    assert [f.name for f in (files / "etc/midwatch/ledger").iterdir()] == ["new.yaml"]


def test_a_secret_that_no_chart_renders_gets_its_local_value_for_its_owner_only(
    tmp_path: Path,
) -> None:
    container = {"volumeMounts": [{"name": "s", "mountPath": "/etc/midwatch/secrets/slack"}]}
    volumes = [{"name": "s", "secret": {"secretName": "slack"}}]
    run(
        tmp_path,
        pod(container, volumes=volumes),
        local_secrets={"slack": {"url": "http://127.0.0.1:1/services/x"}},
    )
    file = tmp_path / "ledger/files/etc/midwatch/secrets/slack/url"
    assert file.read_text() == "http://127.0.0.1:1/services/x"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_named_key_of_an_unknown_secret_gets_an_invented_value(tmp_path: Path) -> None:
    reference = {"secretKeyRef": {"name": "unknown", "key": "token"}}
    got = run(tmp_path, pod({"env": [{"name": "TOKEN", "valueFrom": reference}]}))
    assert len(got.environment["TOKEN"]) >= 20


def test_probes_are_taken_over(tmp_path: Path) -> None:
    probe = {
        "httpGet": {"path": "/readyz", "port": "http"},
        "periodSeconds": 5,
        "timeoutSeconds": 3,
        "failureThreshold": 2,
    }
    got = run(tmp_path, pod({"readinessProbe": probe}))
    assert got.readiness is not None
    assert got.readiness.url == f"http://127.0.0.1:{got.ports['http']}/readyz"
    assert got.readiness.period_seconds == 5
    assert got.readiness.timeout_seconds == 3
    assert got.readiness.failure_threshold == 2
    assert got.liveness is None


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    container = {
        "command": ["/bin/sh"],
        "args": ["http://nowhere.midwatch.svc:1"],
        "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.startTime"}}}],
        "readinessProbe": {"exec": {"command": ["true"]}},
        "volumeMounts": [
            {"name": "config", "mountPath": "/etc/midwatch/ledger"},
            {"name": "host", "mountPath": "/host"},
        ],
    }
    volumes = [
        {"name": "config", "configMap": {"name": "absent"}},
        {"name": "host", "hostPath": {"path": "/"}},
    ]
    with pytest.raises(TranslationFailedError) as caught:
        run(tmp_path, pod(container, volumes=volumes))
    text = str(caught.value)
    for named in (
        "command",
        "nowhere.midwatch.svc:1",
        "startTime",
        "httpGet",
        "absent",
        "hostPath",
    ):
        assert named in text
    assert len(caught.value.problems) == 6


def test_a_component_without_a_local_program_is_refused(tmp_path: Path) -> None:
    stranger = pod({})
    stranger["spec"]["template"]["metadata"]["labels"] = {"app.kubernetes.io/component": "mimir"}
    with pytest.raises(TranslationFailedError, match="'mimir'; known are ledger"):
        run(tmp_path, stranger)


def test_a_second_container_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TranslationFailedError, match=r"2 containers \(setup, ledger\)"):
        run(tmp_path, pod({}, initContainers=[{"name": "setup"}]))
