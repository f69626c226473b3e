"""Rules as YAML that reads like the files written by hand."""

from __future__ import annotations

from typing import Any

import yaml

Rule = dict[str, Any]
IDENTITY = "k8s_namespace_name, service_namespace, service_name"


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def rule_file(comment: str, groups: list[dict[str, Any]]) -> str:
    """A rule file under a comment of several lines."""
    head = "".join(f"# {line}\n" if line else "#\n" for line in comment.splitlines())
    body = yaml.dump(
        {"groups": groups}, Dumper=_Dumper, sort_keys=False, width=1000, allow_unicode=True
    )
    return head + body


def identified(expression: str) -> str:
    """An expression whose Kubernetes labels are "none" where they are absent.

    Alertmanager takes labels that are missing on both sides for equal.
    """
    return (
        "label_replace(label_replace(\n"
        f"{indented(expression)},\n"
        '"k8s_namespace_name", "none", "k8s_namespace_name", ""),'
        ' "service_namespace", "none", "service_namespace", "")'
    )


def indented(text: str) -> str:
    """A text two columns further to the right."""
    return "\n".join(f"  {line}" for line in text.splitlines())


def record(name: str, expression: str, **labels: str) -> Rule:
    """A recording rule."""
    rule: Rule = {"record": name, "expr": expression}
    return {**rule, "labels": labels} if labels else rule
