"""Rewrites configuration files by their structure."""

from __future__ import annotations

import json
import re
from pathlib import PurePosixPath
from typing import Any

import yaml

from stack.translate.rewriting import Rewriter

_YAML_SUFFIXES = frozenset({".yaml", ".yml"})
# Templates that a program expands itself: what looks like an address in them is text for people.
_VERBATIM_SUFFIXES = frozenset({".tmpl"})
_BOOLEAN = "tag:yaml.org,2002:bool"
_INTEGER = "tag:yaml.org,2002:int"
_TIMESTAMP = "tag:yaml.org,2002:timestamp"


class _PlainLoader(yaml.CSafeLoader):
    """Reads YAML as Go programs do.

    `on`, `12:30` and `2026-11-21` are strings to them. PyYAML quotes such strings when it writes
    them, so what is written means the same to both.
    """


def _resolvers() -> dict[str, list[tuple[str, Any]]]:
    kept: dict[str, list[tuple[str, Any]]] = {}
    for first, entries in yaml.SafeLoader.yaml_implicit_resolvers.items():
        plain = [(tag, rule) for tag, rule in entries if tag not in (_TIMESTAMP, _INTEGER)]
        if first not in "tTfF":
            plain = [(tag, rule) for tag, rule in plain if tag != _BOOLEAN]
        kept[first] = plain
    return kept


_PlainLoader.yaml_implicit_resolvers = _resolvers()
_PlainLoader.add_implicit_resolver(
    _INTEGER, re.compile(r"^[-+]?(?:0x[0-9a-fA-F]+|0o?[0-7]+|[0-9]+)$"), list("-+0123456789")
)


def rewrite_file(name: str, text: str, rewriter: Rewriter) -> str:
    """Return the contents of a configuration file as this machine needs them.

    Files in which nothing is to be replaced come back as they were, comments included.
    """
    suffix = PurePosixPath(name).suffix
    if suffix in _VERBATIM_SUFFIXES:
        return text
    if suffix == ".json":
        document = json.loads(text)
        rewritten = rewriter.tree(document, name)
        return text if rewritten == document else json.dumps(rewritten, indent=2) + "\n"
    if suffix in _YAML_SUFFIXES:
        return _rewrite_yaml(name, text, rewriter)
    return rewriter.lines(text, name)


def _rewrite_yaml(name: str, text: str, rewriter: Rewriter) -> str:
    documents = list(yaml.load_all(text, Loader=_PlainLoader))
    rewritten = [rewriter.tree(document, name) for document in documents]
    if rewritten == documents:
        return text
    return yaml.safe_dump_all(rewritten, sort_keys=False, allow_unicode=True, width=1000)
