"""The notes after an installation tell what is watched, what is not, and what to open."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from manifests.plan import repository_root
from toolchain import program_path

from tests import kept_runs


@pytest.fixture(scope="module")
def notes():
    def rendered(values=None) -> str:
        command: list[str | Path] = [
            program_path("helm"),
            "install",
            "midwatch",
            "--dry-run=client",
            "--namespace",
            "midwatch",
        ]
        command += [repository_root() / "charts/midwatch", "--values", "-"]
        done = kept_runs.run(command, text=yaml.safe_dump(values or {}))
        assert done.returncode == 0, done.stderr
        return done.stdout.partition("NOTES:")[2]

    return rendered


def test_the_notes_name_the_endpoint_and_every_page(notes):
    text = notes()
    assert "OTEL_EXPORTER_OTLP_ENDPOINT=http://midwatch-collector.midwatch.svc:4318" in text
    for service in ("grafana 3000", "prometheus 9090", "alertmanager 9093", "ledger 8088"):
        assert f"service/midwatch-{service}" in text
    assert "get secret midwatch-grafana-admin" in text


def test_the_notes_warn_that_nobody_is_paged_and_that_the_watchdog_has_no_receiver(notes):
    text = notes()
    assert "WARNING: nobody is paged" in text
    assert "WARNING: the dead-man's switch has no receiver" in text


def test_the_notes_are_quiet_when_people_and_the_watchdog_are_served(notes, everything):
    text = notes(everything)
    assert "WARNING" not in text
    assert "critical alerts go to Slack #on-call and on-call@example.com" in text


def test_the_notes_say_what_is_not_kept(notes):
    off = {name: {"enabled": False} for name in ("prometheus", "tempo", "alertmanager", "grafana")}
    text = notes(off)
    assert "NOT KEPT" in text
    assert "not in Tempo" in text
    assert "dashboard links in alerts lead nowhere" in text


def test_the_notes_say_what_an_uninstall_leaves_and_how_to_delete_it(notes):
    text = notes({"ledger": {"backup": {"enabled": True}}})
    assert "What stays when the release is uninstalled: the volumes (data-*), the Secrets" in text
    assert "the backups." in text
    assert "delete pvc,secret --selector app.kubernetes.io/instance=midwatch" in text
    assert "the backups" not in notes()


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"injection": {"mode": "image-volume"}}, "by an image as a volume"),
        ({"injection": {"mode": "init-container"}}, "by an init container"),
        ({"injection": {"mode": "none"}}, "nothing is: injection.mode is none"),
        ({"collector": {"enabled": False}}, "nothing is: there is no collector"),
    ],
)
def test_the_notes_say_whether_and_how_pods_are_injected(notes, values, told):
    text = notes(values)
    assert told in text
    assert ("kubectl label namespace NAME midwatch.dev/inject=python" in text) == (
        "nothing" not in told
    )
