"""Who gets which alert: every one through amtool, delivery and inhibition by Alertmanager."""

from __future__ import annotations

import http.server
import json
import re
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from manifests.plan import repository_root
from toolchain import program_path

from tests import kept_runs

pytestmark = pytest.mark.programs

ROOT = repository_root()
WAYS = {
    "slack": "slack_configs",
    "email": "email_configs",
    "webhook": "webhook_configs",
    "pagerDuty": "pagerduty_configs",
    "msTeams": "msteamsv2_configs",
}
FAST = {"groupWait": "1s", "groupInterval": "1s", "repeatInterval": "1h"}


def alert_rules() -> list[dict[str, Any]]:
    files = sorted((ROOT / "prometheus-rules/rules").glob("*.yaml"))
    return [
        rule
        for file in files
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
        if "alert" in rule
    ]


def config_of(files_of: Callable[..., Any], values: dict[str, Any]) -> dict[str, Any]:
    text = files_of(values)["midwatch-alertmanager"]["alertmanager.yml"]
    parsed: dict[str, Any] = yaml.safe_load(text)
    return parsed


def expected_receivers(labels: dict[str, str], teams: set[str]) -> str:
    if labels["alertname"] == "Watchdog":
        return "ledger,dead-mans-switch"
    own = f"-{labels['team']}" if labels.get("team") in teams else ""
    kinds = {"critical": "page", "warning": "notify"}
    kind = kinds.get(labels["severity"])
    if labels["alertname"] == "AlertmanagerNotificationsFailing" and "integration" not in labels:
        kind = "page"
    return f"ledger,{kind}{own}" if kind else "ledger,none"


def test_every_alert_with_every_label_set_reaches_whom_it_is_for(
    files_of, everything, tmp_path
) -> None:
    values = everything | {
        "alertmanager": everything["alertmanager"] | {"routes": {"agents": {}, "payments": {}}}
    }
    file = tmp_path / "alertmanager.yml"
    file.write_text(yaml.safe_dump(config_of(files_of, values)), encoding="utf-8")
    rules = alert_rules()
    assert rules
    sets = {(r["alert"], r["labels"]["severity"], r["labels"]["team"]) for r in rules}
    # A team of one's own may take over any alert by its label; a namespace changes nothing.
    sets |= {(alert, severity, "payments") for alert, severity, _ in sets}
    for (alert, severity, team), namespace in product(sorted(sets), ("none", "shop")):
        labels = {"alertname": alert, "severity": severity, "team": team}
        if (alert, namespace) == ("AlertmanagerNotificationsFailing", "shop"):
            labels["integration"] = "webhook"
        labels |= {"k8s_namespace_name": namespace, "service_name": "shop", "agent": "all"}
        wanted = expected_receivers(labels, {"agents", "payments"})
        command: list[str | Path] = [program_path("amtool"), "config", "routes", "test"]
        command += [f"--config.file={file}", f"--verify.receivers={wanted}"]
        command += [f"{name}={value}" for name, value in labels.items()]
        done = kept_runs.run(command, folder=tmp_path)
        assert done.returncode == 0, f"{labels}: {done.stdout}{done.stderr}"


def test_a_dead_webhook_is_told_by_every_way_where_it_is_the_channel(files_of) -> None:
    webhook = {"webhook": {"enabled": True, "existingSecret": "s"}}
    routes = config_of(files_of, {"alertmanager": webhook})["route"]["routes"]
    (dead,) = [
        r for r in routes if 'alertname="AlertmanagerNotificationsFailing"' in r.get("matchers", [])
    ]
    assert dead == {
        "receiver": "page",
        "matchers": ['alertname="AlertmanagerNotificationsFailing"'],
    }


def ways_of(config: dict[str, Any], receiver: str) -> set[str]:
    (found,) = [one for one in config["receivers"] if one["name"] == receiver]
    return {way for way, key in WAYS.items() if key in found}


def test_pages_use_every_way_and_tickets_the_channels(files_of, everything) -> None:
    config = config_of(files_of, everything)
    assert ways_of(config, "page") == set(WAYS)
    assert ways_of(config, "notify") == {"slack", "webhook", "msTeams"}


def test_a_team_switches_single_ways_on_and_off(files_of, everything) -> None:
    config = config_of(files_of, everything)
    assert ways_of(config, "page-payments") == set(WAYS) - {"webhook"}
    assert ways_of(config, "notify-payments") == {"slack", "webhook", "email"}


def test_tickets_go_by_mail_where_there_is_no_channel(files_of) -> None:
    email = {"enabled": True, "to": "a@b.example", "from": "c@d.example", "smarthost": "e:25"}
    config = config_of(files_of, {"alertmanager": {"email": email}})
    assert ways_of(config, "notify") == {"email"}


def test_only_tickets_wait_for_the_end_of_a_quiet_time(files_of, everything) -> None:
    config = config_of(files_of, everything)
    assert [one["name"] for one in config["time_intervals"]] == ["nights"]
    quiet = {r["receiver"] for r in config["route"]["routes"] if "mute_time_intervals" in r}
    assert quiet == {"notify", "notify-payments"}


def test_a_warnings_end_is_told_within_a_minute(files_of) -> None:
    assert config_of(files_of, {})["route"]["group_interval"] == "1m"


def test_nobody_is_told_again_between_two_looks_at_a_group(files_of, everything) -> None:
    # Alertmanager repeats only when it looks at a group: a repeat is a multiple of the looks.
    def seconds(text: str) -> int:
        units = {"s": 1, "m": 60, "h": 3600}
        return sum(int(n) * units[unit] for n, unit in re.findall(r"(\d+)([smh])", text))

    root = config_of(files_of, everything)["route"]
    waits = ("group_interval", "repeat_interval")
    for route in (root, *({**{w: root[w] for w in waits}, **one} for one in root["routes"])):
        looks, repeats = (seconds(route[wait]) for wait in waits)
        assert repeats % looks == 0, route["receiver"]


def test_secrets_are_named_by_file_only(files_of, everything) -> None:
    secret = {"api_url", "auth_password", "routing_key", "webhook_url", "credentials", "password"}

    def keys(node: Any) -> set[str]:
        if isinstance(node, dict):
            return set(node) | {key for child in node.values() for key in keys(child)}
        return {key for child in node for key in keys(child)} if isinstance(node, list) else set()

    assert not secret & keys(config_of(files_of, everything))


def test_inhibitions_name_alerts_that_there_are(files_of) -> None:
    catalog = yaml.safe_load((ROOT / "prometheus-rules/catalog.yaml").read_text(encoding="utf-8"))
    for rule in config_of(files_of, {})["inhibit_rules"]:
        for matcher in rule["source_matchers"] + rule["target_matchers"]:
            if matcher.startswith("alertname"):
                for name in matcher.split('"')[1].split("|"):
                    # Alertmanager anchors a pattern at both ends; a name is a pattern of itself.
                    assert any(re.fullmatch(name, one) for one in catalog["alerts"]), matcher


class Sink(http.server.ThreadingHTTPServer):
    """A loopback receiver that keeps what it is told, with path and headers."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Keeper)
        self.told: list[tuple[str, dict[str, str], Any]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def to(self, path: str) -> list[tuple[dict[str, str], Any]]:
        return [(headers, body) for where, headers, body in list(self.told) if where == path]


class _Keeper(http.server.BaseHTTPRequestHandler):
    server: Sink

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.told.append((self.path, dict(self.headers), body))
        self.send_response(202 if self.path == "/pagerduty" else 200)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        """Say nothing: the tests read what was told."""


@pytest.fixture
def sink() -> Iterator[Sink]:
    one = Sink()
    threading.Thread(target=one.serve_forever, args=(0.05,), daemon=True).start()
    yield one
    one.shutdown()
    one.server_close()


def firing(name: str, severity: str, **labels: str) -> dict[str, Any]:
    identity = {"k8s_namespace_name": "shop", "service_namespace": "none"}
    identity |= {"service_name": "shop", "agent": "cook", "team": "agents"}
    return {
        "labels": identity | {"alertname": name, "severity": severity} | labels,
        "annotations": {"summary": "It burns.", "description": "62.5% burn."},
        "startsAt": datetime.now(UTC).isoformat(),
    }


def send(port: int, *alerts: dict[str, Any]) -> None:
    url = f"http://127.0.0.1:{port}/api/v2/alerts"
    httpx.post(url, json=list(alerts), trust_env=False).raise_for_status()


def test_one_page_reaches_every_receiver_with_its_secret_from_a_file(start, sink, until) -> None:
    values = {
        "ledger": {
            "enabled": "external",
            "external": {"url": f"{sink.url}/ledger"},
            "externalUrl": "https://ledger.example.com",
        },
        "grafana": {"externalUrl": "https://grafana.example.com"},
        "alertmanager": {
            "timing": {"page": FAST},
            "slack": {"enabled": True, "existingSecret": "s"},
            "webhook": {"enabled": True, "existingSecret": "s"},
            "msTeams": {"enabled": True, "existingSecret": "s"},
            "pagerDuty": {"enabled": True, "existingSecret": "s", "url": f"{sink.url}/pagerduty"},
            "ledgerKey": {"existingSecret": "s"},
        },
    }
    secrets = {
        "slack/url": f"{sink.url}/slack",
        "webhook/url": f"{sink.url}/webhook",
        "msteams/url": f"{sink.url}/msteams",
        "pagerduty/routing-key": "r0ut1ng",
        "ledger/api-key": "l3dger",
    }
    port = start("alertmanager", values, secrets)
    send(port, firing("AgentToolFailureRatioHigh", "critical"))
    paths = ("/ledger/alerts/webhook", "/slack", "/webhook", "/msteams", "/pagerduty")
    until(lambda: all(sink.to(path) for path in paths), "everybody is told")

    assert sink.to("/ledger/alerts/webhook")[0][0]["Authorization"] == "Bearer l3dger"
    (fingerprint,) = [one["fingerprint"] for one in sink.to("/webhook")[0][1]["alerts"]]
    (attachment,) = sink.to("/slack")[0][1]["attachments"]
    buttons = {one["text"]: one["url"] for one in attachment["actions"]}
    assert buttons["Acknowledge"] == f"https://ledger.example.com/alerts/{fingerprint}"
    assert buttons["Traces"].startswith("https://grafana.example.com/explore?")
    page = sink.to("/pagerduty")[0][1]
    assert page["routing_key"] == "r0ut1ng"
    assert page["payload"]["severity"] == "critical"
    assert page["payload"]["group"] == "shop"
    text = page["payload"]["custom_details"]["text"]
    assert isinstance(text, str)
    assert "62.5% burn." in text
    assert "62.5% burn." in json.dumps(sink.to("/msteams")[0][1])


def inhibited(port: int) -> dict[str, bool]:
    url = f"http://127.0.0.1:{port}/api/v2/alerts"
    alerts = httpx.get(url, trust_env=False).json()
    return {
        f"{one['labels']['alertname']}/{one['labels']['agent']}": bool(one["status"]["inhibitedBy"])
        for one in alerts
        if one["status"]["state"] != "unprocessed"
    }


def test_a_page_mutes_the_agents_warnings_and_nobody_elses(start, until) -> None:
    port = start("alertmanager", {})
    send(
        port,
        firing("AgentToolFailureRatioHigh", "critical"),
        firing("LlmLatencyHigh", "warning"),
        firing("LlmLatencyHigh", "warning", agent="waiter"),
        firing("AgentHandoffLoop", "warning", service_name="bank"),
        firing("LlmBudgetExceeded", "warning", tool="none"),
    )
    until(lambda: len(inhibited(port)) >= 4, "the alerts are processed")
    until(lambda: inhibited(port).get("LlmLatencyHigh/cook"), "the agent's warning is muted")
    muted = inhibited(port)
    assert not muted["AgentToolFailureRatioHigh/cook"]
    assert not muted["LlmLatencyHigh/waiter"]
    assert not muted["AgentHandoffLoop/cook"]
    assert not muted["LlmBudgetExceeded/cook"]


def test_a_dead_collector_mutes_what_follows_from_it(start, until) -> None:
    port = start("alertmanager", {})
    platform = {"team": "platform", "service_name": "collector", "agent": "all"}
    send(
        port,
        firing("CollectorDown", "critical", **platform),
        firing("AgentSilent", "warning"),
        firing("TelemetryBackendUnreachable", "warning", **platform),
        firing("LedgerDown", "warning", **platform | {"service_name": "ledger"}),
        firing("AgentHandoffLoop", "warning"),
    )
    until(lambda: inhibited(port).get("AgentSilent/cook"), "silence is muted")
    muted = inhibited(port)
    assert muted["TelemetryBackendUnreachable/all"]
    assert not muted["CollectorDown/all"]
    assert not muted["LedgerDown/all"]
    assert not muted["AgentHandoffLoop/cook"]
