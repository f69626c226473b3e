"""The chart and the shim's registry mean the same names."""

from __future__ import annotations

import re

import pytest
import yaml
from midwatch.registry import EVENTS, RESOURCE_ATTRIBUTES, Attribute, attributes


@pytest.fixture
def pipeline(files_of):
    def read(values):
        return yaml.safe_load(files_of(values)["midwatch-collector"]["collector.yaml"])

    return read


def test_every_attribute_that_the_registry_puts_under_the_content_policy_is_removed(pipeline):
    statements = pipeline({"content": "off"})["processors"]["transform/content"]["log_statements"]
    (statement,) = statements[0]["statements"]
    pattern = re.search(r'"(.+)"', statement)
    assert pattern
    removed = re.compile(pattern[1].replace("\\\\", "\\"))
    governed = {
        attribute.name
        for event in EVENTS
        for attribute in event.attributes
        if "content policy" in attribute.description
    }
    assert {"prompt_text", "response_text"} <= governed
    assert {name for name in governed if not removed.search(name)} == set()


def test_sampling_conditions_read_attributes_that_the_shim_writes(pipeline):
    policies = pipeline({"collector": {"tailSampling": {"enabled": True}}})["processors"]
    conditions = [
        condition
        for policy in policies["tail_sampling"]["policies"]
        for condition in policy.get("ottl_condition", {}).get("span", [])
    ]
    named = {name for one in conditions for name in re.findall(r'attributes\["([^"]+)"\]', one)}
    declared = [one for one in vars(attributes).values() if isinstance(one, Attribute)]
    written = {attribute.name for attribute in declared}
    assert conditions
    assert named <= written


def test_prometheus_promotes_the_resource_attributes_of_the_registry(files_of):
    config = yaml.safe_load(files_of()["midwatch-prometheus"]["prometheus.yml"])
    promoted = config["otlp"]["promote_resource_attributes"]
    assert promoted == [attribute.name for attribute in RESOURCE_ATTRIBUTES]
