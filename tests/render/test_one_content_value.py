"""One value says what becomes of prompts and answers, from the agents to who may look."""

from __future__ import annotations

import re
from configparser import ConfigParser
from typing import Any

import pytest
import yaml

CAPPED = {"collector": {"maxAttributeBytes": 5000}, "injection": {"mode": "init-container"}}


@pytest.mark.parametrize(
    ("content", "first_role"), [("off", "Viewer"), ("redacted", "Viewer"), ("full", "None")]
)
def test_agents_injected_pods_collector_tempo_and_grafana_follow_it(
    files_of, objects, content: str, first_role: str
):
    values: dict[str, Any] = {**CAPPED, "content": content}
    files = files_of(values)
    assert files["midwatch-collector-agents"]["MIDWATCH_CONTENT"] == content
    injected = [item for item in objects(values) if item["kind"] == "MutatingAdmissionPolicy"]
    (default,) = re.findall(r"MIDWATCH_DEFAULT_MIDWATCH_CONTENT\W+value: \"(\w+)\"", str(injected))
    assert default == content
    collector = yaml.safe_load(files["midwatch-collector"]["collector.yaml"])
    traces = collector["service"]["pipelines"]["traces/receive"]["processors"]
    assert ("transform/content" in traces) == (content == "off")
    assert ("redaction" in traces) == (content != "full")
    # The cap is the same for all: content that is kept is cut, whoever sent it.
    tempo = yaml.safe_load(files["midwatch-tempo"]["tempo.yaml"])
    assert tempo["distributor"]["max_attribute_bytes"] == 5000
    assert "truncate_all(span.attributes, 5000)" in str(collector)
    grafana = ConfigParser(interpolation=None)
    # What is before the first section is of Grafana's own form.
    grafana.read_string("[top]\n" + files["midwatch-grafana"]["grafana.ini"])
    assert grafana["users"]["auto_assign_org_role"] == first_role
    assert grafana["users"]["viewers_can_edit"] == "false"
    assert grafana["auth.anonymous"]["enabled"] == "false"
