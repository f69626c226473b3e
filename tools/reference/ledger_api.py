"""The ledger's routes as a page: what OpenAPI says, with an example of each request and answer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from midwatch_ledger.api.application import create_application
from midwatch_ledger.api.permissions import PERMISSIONS, PUBLIC, UNDECLARED
from midwatch_ledger.settings import Settings
from midwatch_ledger.store.database import Database
from sqlalchemy import make_url

from reference.examples import example_of, resolved

_HOST = "http://127.0.0.1:8088"
_METHODS = ("get", "post", "put", "patch", "delete")
_MOST_LINES = 40
Document = Mapping[str, Any]


def document() -> dict[str, Any]:
    """The OpenAPI document of the ledger; nothing is opened for it."""
    database = Database(make_url("sqlite:///never-opened.db"))
    return create_application(Settings(), database).openapi()


def blocks(found: Document) -> list[str]:
    """The parts of the page: a part for each group of routes."""
    groups: dict[str, list[str]] = {}
    for path, item in found["paths"].items():
        for method in _METHODS:
            if method in item:
                tag = (item[method].get("tags") or ["other"])[0]
                groups.setdefault(tag, []).append(_operation(found, method, path, item[method]))
    return [
        "Every route of the ledger, with what it takes, what it answers, and who may call it. "
        "The same as JSON is at `/openapi.json`. A key goes into the header "
        "`Authorization: Bearer <key>`. Errors are problem details (RFC 9457): `detail` says what "
        "to change, `errors` names each wrong value. `401`, `403`, `429` and `503` mean the same "
        "on every route: who are you, not for you, later, the database is away. "
        "Examples are made from the shapes: their values stand for any.",
        *(part for tag in sorted(groups) for part in (f"## {tag.capitalize()}", *groups[tag])),
    ]


def _operation(found: Document, method: str, path: str, operation: Document) -> str:
    verb = method.upper()
    said = " ".join(str(operation.get("description") or operation["summary"]).split())
    lines = [f"### `{verb} {path}`", "", said, "", _access(f"{verb} {path}")]
    parameters = operation.get("parameters", [])
    if parameters:
        lines += ["", "| parameter | in | values | meaning |", "| --- | --- | --- | --- |"]
        lines += [_parameter(found, one) for one in parameters]
    body = _json_schema(operation.get("requestBody", {}))
    lines += ["", "```bash", *_call(found, verb, path, parameters, body), "```"]
    lines += _answers(found, operation["responses"])
    return "\n".join(lines)


def _access(route: str) -> str:
    if route in PUBLIC:
        return "Open to all."
    asked = PERMISSIONS.get(route, UNDECLARED)
    scopes = " or ".join(f"`{scope}`" for scope in sorted({*asked.scopes, "admin"}))
    if asked.reach == "self":
        return "Open to whoever is known."
    of_all = ", of all projects" if asked.reach == "everything" else ""
    return f"Role `{asked.role}`{of_all}; keys of the scope {scopes}."


def _parameter(found: Document, parameter: Document) -> str:
    schema = resolved(found, parameter.get("schema", {}))
    required = "" if parameter.get("required") else ", optional"
    cells = (
        f"`{parameter['name']}`",
        f"{parameter['in']}{required}",
        _values(found, schema),
        " ".join(str(parameter.get("description") or schema.get("description") or "").split()),
    )
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _values(found: Document, schema: Document) -> str:
    choices = [resolved(found, one) for one in schema.get("anyOf", [])]
    told = [one for one in choices if one.get("type") != "null"] or [schema]
    words = []
    for one in told:
        if "enum" in one or "const" in one:
            values = one.get("enum") or [one["const"]]
            words.append(", ".join(f"`{value}`" for value in values))
            continue
        kind = str(one.get("format") or one.get("type") or "any")
        bounds = [
            f"{word} {one[key]}"
            for key, word in (("minimum", "from"), ("maximum", "to"), ("maxLength", "at most"))
            if key in one
        ]
        words.append(" ".join((kind, *bounds)))
    default = schema.get("default")
    return " or ".join(words) + (f"; `{default}` if left out" if default not in (None, "") else "")


def _call(
    found: Document, verb: str, path: str, parameters: Iterable[Document], body: Document | None
) -> list[str]:
    url = path
    query = []
    for one in parameters:
        value = example_of(found, one.get("schema", {}), str(one["name"]))
        if one["in"] == "path":
            url = url.replace(f"{{{one['name']}}}", str(value))
        elif one["in"] == "query" and one.get("required"):
            query.append(f"{one['name']}={value}")
    asked = f"?{'&'.join(query)}" if query else ""
    method = "" if verb == "GET" else f" -X {verb}"
    key = "" if f"{verb} {path}" in PUBLIC else ' -H "Authorization: Bearer $KEY"'
    lines = [f"curl{method} '{_HOST}{url}{asked}'{key}"]
    if body is not None:
        text = json.dumps(example_of(found, body), indent=2, ensure_ascii=False)
        lines[0] += " \\"
        lines += ["  -H 'Content-Type: application/json' -d @- <<'JSON'", *text.split("\n"), "JSON"]
    return lines


def _answers(found: Document, responses: Document) -> list[str]:
    lines = []
    errors = [status for status in responses if int(status) >= 400]
    for status, response in responses.items():
        schema = _json_schema(response)
        if status in errors or schema is None or not schema:
            continue
        text = json.dumps(example_of(found, schema), indent=2, ensure_ascii=False).split("\n")
        if len(text) > _MOST_LINES:
            text = [*text[:_MOST_LINES], "..."]
        lines += ["", f"`{status}`:", "", "```json", *text, "```"]
    known = [status for status in responses if status not in errors]
    others = ", ".join(f"`{status}`" for status in errors)
    if not lines:
        lines += ["", f"Answers {', '.join(f'`{one}`' for one in known)}."]
    return [*lines, "", f"Errors: {others}."] if others else lines


def _json_schema(part: Document) -> Document | None:
    content = part.get("content", {})
    found: Document | None = content.get("application/json", {}).get("schema")
    return found
