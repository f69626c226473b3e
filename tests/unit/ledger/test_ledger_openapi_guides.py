"""The ledger's pages: requests are run, copies restored, and examples fit the shapes."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from midwatch_ledger.commands import application
from reference import ledger_api
from reference.examples import example_of
from sqlalchemy import make_url
from typer.main import get_command

DOCS = Path(__file__).parents[3] / "docs" / "ledger"
REQUEST = re.compile(r"```http\n(?P<method>[A-Z]+) (?P<path>\S+)\n(?P<body>.*?)```", re.DOTALL)
QUESTIONS = ("/monitoring/traces/session-7", "/execution-logs/llm-calls", "/feedback", "/prompts")


@pytest.mark.parametrize("name", ["feedback", "prompts", "prices"])
def test_the_requests_of_a_guide_do_what_it_says(
    open_ledger: Any, sqlite_url: str, name: str
) -> None:
    ledger = open_ledger(sqlite_url)
    page = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    made, answers = "", []
    for found in REQUEST.finditer(page):
        body = json.loads(found["body"]) if found["body"] else None
        path = found["path"].replace("{id}", made)
        answer = ledger.client.request(found["method"], path, json=body)
        answers.append((found["method"], path, answer.status_code, answer.text))
        if found["method"] == "POST" and answer.status_code < 300:
            made = str(answer.json().get("id", made))

    assert len(answers) >= 4
    assert [one for one in answers if one[2] >= 300] == []


def test_every_command_is_in_the_page_on_operations() -> None:
    page = (DOCS / "operations.md").read_text(encoding="utf-8")
    commands: dict[str, Any] = get_command(application).commands  # type: ignore[attr-defined]
    for name in commands:
        assert f"`midwatch-ledger {name}" in page or f"`{name}`" in page, name


def test_every_example_of_the_reference_fits_its_shape() -> None:
    document = ledger_api.document()
    checked = 0
    for item in document["paths"].values():
        for operation in item.values():
            parts = [operation.get("requestBody", {}), *operation["responses"].values()]
            for part in parts:
                schema = part.get("content", {}).get("application/json", {}).get("schema")
                if schema:
                    whole = {**schema, "components": document["components"]}
                    jsonschema.validate(example_of(document, schema), whole)
                    checked += 1
    assert checked > 60


def told(ledger: Any) -> list[Any]:
    return [ledger.client.get(question).raise_for_status().json() for question in QUESTIONS]


def fill(ledger: Any) -> list[Any]:
    ledger.send(*ledger.otlp.turn()).raise_for_status()
    thumb = ledger.otlp.event("feedback.recorded", kind="thumb", value="up")
    ledger.send_events(thumb).raise_for_status()
    ledger.client.post("/prompts", json={"name": "greeting", "by": "ada"}).raise_for_status()
    return told(ledger)


def test_a_copy_of_sqlite_is_restored_as_the_page_says(
    open_ledger: Any, sqlite_url: str, tmp_path: Path
) -> None:
    ledger = open_ledger(sqlite_url)
    before = fill(ledger)
    copy = tmp_path / "copy.db"
    connection = sqlite3.connect(str(make_url(sqlite_url).database))
    connection.execute(f"VACUUM INTO '{copy}'")
    connection.close()
    ledger.send(ledger.otlp.span(99)).raise_for_status()

    restored = open_ledger(f"sqlite:///{copy}")

    assert told(restored) == before
    assert restored.send(*restored.otlp.turn(), restored.otlp.span(99)).status_code == 200
    assert restored.tree()["span_count"] == 8


def test_a_copy_of_postgresql_is_restored_as_the_page_says(
    open_ledger: Any, postgres: Any, migrated_template: str
) -> None:
    ledger = open_ledger(postgres.create_database(migrated_template))
    before = fill(ledger)
    source, target = make_url(str(ledger.database.url)), make_url(postgres.create_database())
    copy = str(postgres.folder / "ledger.dump")
    name = f"host={postgres.folder} user=postgres dbname="
    postgres.run(
        "pg_dump", "--format=custom", f"--file={copy}", f"--dbname={name}{source.database}"
    )
    postgres.run(
        *("pg_restore", "--no-owner", "--exit-on-error"),
        *(f"--dbname={name}{target.database}", copy),
    )

    restored = open_ledger(postgres.url(str(target.database)))

    assert told(restored) == before
    assert restored.send(*restored.otlp.turn()).status_code == 200
    assert restored.tree()["span_count"] == 7
