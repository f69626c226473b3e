"""Prompts from the ledger, over HTTP.

Two requests are made, both with `Authorization: Bearer <key>`; `docs/shim/prompts.md` documents
their answers.

- `GET /prompts?name=<name>`: the prompt with its labels and every version that a label names.
- `GET /prompts/<name>/versions/<version>`: one version, which never changes.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from opentelemetry.instrumentation.utils import suppress_http_instrumentation

from midwatch.prompts.definitions import Definition, define
from midwatch.prompts.labels import Assignment, assignment

_MAX_BYTES = 8 << 20
_REQUEST_SECONDS = 5.0


class LedgerAnswerError(ValueError):
    """The ledger answered what is no prompt."""


@dataclass(frozen=True)
class LedgerPrompt:
    """What the ledger says of a prompt: its labels, and the versions that came with them."""

    labels: Mapping[str, Assignment] = field(default_factory=dict)
    versions: Mapping[str, Definition] = field(default_factory=dict)


class LedgerClient:
    """Asks the ledger.

    Args:
        url: where the ledger is.
        api_key: the key that it gave this application.
    """

    def __init__(self, url: str, api_key: str = "") -> None:
        self.url = url.rstrip("/")
        self._api_key = api_key

    def fetch(self, name: str, version: str = "") -> dict[str, Any] | None:
        """What the ledger answers on a prompt or on one of its versions; None if it has none.

        Raises:
            OSError: it cannot be reached, or refuses.
            LedgerAnswerError: it answers something else.
        """
        if version:
            path = f"/prompts/{quote(name, safe='')}/versions/{quote(version, safe='')}"
        else:
            path = f"/prompts?{urlencode({'name': name})}"
        try:
            body = self._get(path)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 404:
                return None
            raise
        try:
            data = json.loads(body)
        except ValueError as error:
            raise LedgerAnswerError(f"the ledger's answer to GET {path} is no JSON") from error
        if version:
            found = data
        else:
            items = data.get("items") if isinstance(data, dict) else None
            if not isinstance(items, list):
                raise LedgerAnswerError(f"the ledger's answer to GET {path} has no list `items`")
            found = next(
                (one for one in items if isinstance(one, dict) and one.get("name") == name), None
            )
        if found is not None and not isinstance(found, dict):
            raise LedgerAnswerError(f"the ledger's answer to GET {path} is no object")
        return found

    def _get(self, path: str) -> bytes:
        request = urllib.request.Request(  # noqa: S310 (the settings allow http and https only)
            self.url + path, headers={"Accept": "application/json"}
        )
        if self._api_key:
            # Not sent along when the answer is a redirection, which may lead elsewhere.
            request.add_unredirected_header("Authorization", f"Bearer {self._api_key}")
        with (
            suppress_http_instrumentation(),
            urllib.request.urlopen(request, timeout=_REQUEST_SECONDS) as answer,  # noqa: S310
        ):
            body: bytes = answer.read(_MAX_BYTES + 1)
        if len(body) > _MAX_BYTES:
            raise LedgerAnswerError(f"the ledger's answer to GET {path} is larger than 8 MiB")
        return body


def read_prompt(name: str, data: Mapping[str, Any]) -> LedgerPrompt:
    """The prompt of an answer to `GET /prompts?name=...`.

    Raises:
        ValueError: the answer is not as it has to be.
    """
    labels: dict[str, Assignment] = {}
    for label, given in (data.get("labels") or {}).items():
        assigned, problems = assignment(name, label, given)
        if assigned is None:
            raise LedgerAnswerError(f"label {label!r} of prompt {name!r}: {'; '.join(problems)}")
        labels[label] = assigned
    versions = [read_version(name, one) for one in data.get("versions") or ()]
    return LedgerPrompt(labels, {one.version: one for one in versions})


def read_version(name: str, data: Mapping[str, Any]) -> Definition:
    """The version of an answer to `GET /prompts/<name>/versions/<version>`.

    Raises:
        ValueError: the answer is not as it has to be.
    """
    version = data.get("version")
    if not isinstance(version, str):
        raise LedgerAnswerError(f"a version of prompt {name!r} has no text `version`")
    wanted = ("description", "type", "variables", "config", "template", "messages")
    given = {key: data[key] for key in wanted if data.get(key) is not None}
    return define(name, version, given, source="ledger")
