"""The examples of the documents run, and the documented answers of the ledger are understood."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from midwatch import prompts
from midwatch.prompts.checking import check_folder
from midwatch.prompts.ledger import LedgerAnswerError, LedgerClient, read_prompt

DOCS = Path(__file__).resolve().parents[3] / "docs" / "shim"


def blocks(page: str, language: str) -> list[tuple[str, str]]:
    """The code blocks of a language: the file each is to be, if it says so, and its text."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}(?: (\S+))?\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def run_examples(page: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "example"}
    for _, source in blocks(page, "python"):
        # A real module's, so that FastAPI finds the annotations' names.
        exec(compile(source, page, "exec", dont_inherit=True), names)  # noqa: S102 (the documents' own examples)
    return names


def test_the_examples_of_prompts_run(told, tmp_path, monkeypatch):
    for language in ("markdown", "yaml"):
        for file, text in blocks("prompts.md", language):
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file).write_text(text, encoding="utf-8")
    assert check_folder(tmp_path / "prompts").problems == []
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MIDWATCH_PROMPTS_DIR", raising=False)
    monkeypatch.setattr(prompts, "_library", None)
    run_examples("prompts.md")
    monkeypatch.setattr(prompts, "_library", None)


def test_the_documented_answer_of_the_ledger_is_understood():
    ((_, text),) = blocks("prompts.md", "json")
    (item,) = json.loads(text)["items"]
    found = read_prompt("greeting", item)
    assert {label: one.versions for label, one in found.labels.items()} == {
        "production": ("3",),
        "staging": ("3", "4"),
    }
    assert {one.type for one in found.versions.values()} == {"text", "chat"}


def test_an_answer_without_items_is_refused(ledger):
    ledger.raw = b'{"name": "greeting"}'
    with pytest.raises(LedgerAnswerError, match="no list `items`"):
        LedgerClient(ledger.url).fetch("greeting")


def test_the_examples_of_feedback_run_in_flask_and_fastapi(told):
    names = run_examples("feedback.md")
    handle = names["handle"]
    flask = names["web"].test_client()
    assert flask.post("/feedback", json={"handle": handle, "thumbs": "up"}).status_code == 201
    refused = flask.post("/feedback", json={"handle": handle, "thumbs": "sideways"})
    assert refused.status_code == 422
    assert "give 'up' or 'down'" in refused.json["problems"][0]
    fastapi = TestClient(names["api"])
    assert fastapi.post("/feedback", json={"handle": handle, "stars": 5}).status_code == 201
    assert fastapi.post("/feedback", json={"handle": handle, "stars": 6}).status_code == 422
    recorded = [event for event in told.events if event.event == "feedback.recorded"]
    assert {event.session_id for event in recorded} == {"session-1"}
