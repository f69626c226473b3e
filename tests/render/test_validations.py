"""Combinations that make no sense are refused, all at once, each with its numbered ways out."""

from __future__ import annotations

import re

import pytest

STORES_OFF = {
    name: {"enabled": False}
    for name in ("prometheus", "tempo", "ledger", "alertmanager", "grafana")
}
EMAIL = {"enabled": True, "to": "a@b.example", "from": "c@d.example", "smarthost": "mail:25"}
IMPOSSIBLE = [
    ({"prometheus": {"enabled": "external"}}, "prometheus.external.url is empty"),
    (
        {"tempo": {"enabled": "external", "external": {"url": "http://tempo:3200"}}},
        "tempo.external.otlpUrl is empty",
    ),
    *(
        (
            {
                store: {
                    "enabled": "external",
                    "external": {"url": "http://a", "otlpUrl": "http://a"} | given,
                }
            },
            f"{store}.external{problem}",
        )
        for store in ("prometheus", "tempo")
        for given, problem in (
            ({"secretHeaders": {"Authorization": "key"}}, ".existingSecret is empty"),
            (
                {
                    "headers": {"X-Tenant": "a"},
                    "secretHeaders": {"X-Tenant": "key"},
                    "existingSecret": "s",
                },
                " gives the header X-Tenant twice",
            ),
        )
    ),
    (STORES_OFF, "the collector has nowhere to send to"),
    ({"collector": {"scrape": {"enabled": True, "pods": {"enabled": False}}}}, "nothing to scrape"),
    (
        {
            "prometheus": {"enabled": False},
            "alertmanager": {"enabled": False},
            "collector": {"scrape": {"enabled": True}},
        },
        "there is no Prometheus to keep what it scrapes",
    ),
    ({"prometheus": {"enabled": False}}, "there is no Prometheus to send it alerts"),
    ({"alertmanager": {"slack": {"enabled": True}}}, "alertmanager.slack.existingSecret is empty"),
    ({"alertmanager": {"email": EMAIL | {"to": ""}}}, "alertmanager.email.to is empty"),
    ({"alertmanager": {"email": EMAIL | {"from": ""}}}, "alertmanager.email.from is empty"),
    (
        {"alertmanager": {"email": EMAIL | {"smarthost": ""}}},
        "alertmanager.email.smarthost is empty",
    ),
    (
        {"alertmanager": {"email": EMAIL | {"username": "me"}}},
        "alertmanager.email.existingSecret is empty",
    ),
    *(
        ({"alertmanager": {"routes": {"shop": {key: "x"}}}}, f"alertmanager.{way}.enabled is false")
        for key, way in (
            ("slackChannel", "slack"),
            ("emailTo", "email"),
            ("webhookKey", "webhook"),
            ("pagerDutyKey", "pagerDuty"),
            ("msTeamsKey", "msTeams"),
        )
    ),
    *(
        ({"alertmanager": {way: {"enabled": True}}}, f"alertmanager.{way}.existingSecret is empty")
        for way in ("webhook", "pagerDuty", "msTeams")
    ),
    (
        {"grafana": {"ledgerDatabase": {"host": "postgresql:5432"}}},
        "grafana.ledgerDatabase.existingSecret is empty",
    ),
    (
        {"alertmanager": {"deadMansSwitch": {"enabled": True}}},
        "alertmanager.deadMansSwitch.existingSecret is empty",
    ),
    (
        {
            "prometheus": {"enabled": False},
            "tempo": {"enabled": False},
            "alertmanager": {"enabled": False},
        },
        "there is nothing to show",
    ),
    ({"ledger": {"replicas": 2}}, "SQLite serves one process only"),
    ({"profile": "ha"}, "profile is ha, which runs two of the ledger, but SQLite"),
    ({"collector": {"replicas": 2}}, "in the profile small one collector sees each trace whole"),
    (
        {"profile": "ha", "collector": {"sampler": {"balanceBy": "shards"}}},
        "balanceBy is shards, which is for a fixed number",
    ),
    (
        {
            "profile": "ha",
            "ledger": {"replicas": 1},
            "collector": {"resources": {"requests": {"cpu": None}}},
        },
        "without a CPU request there is nothing to measure the load by",
    ),
    (
        {"destinations": {"quality": {"preset": "langfuse"}}},
        "destinations.quality needs public-key and secret-key",
    ),
    ({"destinations": {"vendor": {"preset": "otlp"}}}, "destinations.vendor.url is empty"),
    (
        {
            "alertmanager": {"enabled": False},
            "prometheus": {"enabled": False},
            "destinations": {"years": {"preset": "remote_write", "url": "http://mimir"}},
        },
        "there is no Prometheus here to write",
    ),
    (
        {"collector": {"enabled": False}, "destinations": {"copy": {"preset": "file"}}},
        "there is no collector here to send",
    ),
    ({"tls": {"mode": "certManager"}}, "tls.issuer.name is empty"),
    ({"prometheusOperator": {"rules": True}}, "evaluates the rules already"),
    ({"grafana": {"replicas": 2}}, "each would have a database of its own"),
    ({"grafana": {"authProxy": {"enabled": True}}}, "anybody could say who they are"),
    (
        {
            "grafana": {
                "oidc": {
                    "enabled": True,
                    "existingSecret": "s",
                    "authUrl": "https://a",
                    "tokenUrl": "https://t",
                }
            }
        },
        "grafana.oidc.clientId is empty",
    ),
    ({"grafana": {"external": {"boards": "operator"}}}, "grafana.external.boards is operator"),
    (
        {"ledger": {"backup": {"enabled": True}, "persistence": {"enabled": False}}},
        "a database in an emptyDir can not be reached by another pod",
    ),
]


@pytest.mark.parametrize(("values", "problem"), IMPOSSIBLE, ids=[text for _, text in IMPOSSIBLE])
def test_an_impossible_combination_is_refused_with_numbered_remedies(refusal, values, problem):
    text = refusal(values)
    (told,) = [block for block in re.split(r"\n\n", text) if problem in block]
    remedies = re.findall(r"^   (\d)\) ", told, re.MULTILINE)
    assert remedies == [str(number + 1) for number in range(len(remedies))]
    assert len(remedies) >= 2


def test_all_problems_are_told_at_once(refusal):
    values = {
        "ledger": {"replicas": 2},
        "tempo": {"enabled": "external"},
        "alertmanager": {"slack": {"enabled": True}},
    }
    text = refusal(values)
    assert "(4 to change)" in text
    assert re.findall(r"^(\d)\. ", text, re.MULTILINE) == ["1", "2", "3", "4"]
