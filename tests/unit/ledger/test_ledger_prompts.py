"""The registry of prompts: versions that stay, labels that move, and what the shim makes of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from midwatch.prompts.ledger import read_prompt, read_version

GREETING = {"template": "Hello {{ customer }}!", "variables": {"customer": "str"}}
TRIAGE = {
    "type": "chat",
    "messages": [
        {"role": "system", "content": "You triage alerts."},
        {"role": "user", "content": "{{ alert }}"},
    ],
    "variables": {"alert": {"type": "str", "description": "The alert as JSON."}},
    "config": {"temperature": 0},
}
HALVES: dict[str, Any] = {
    "experiment": "tone",
    "variants": {
        "plain": {"version": "1", "weight": 1},
        "warm": {"version": "2", "weight": 1},
    },
}


@pytest.fixture
def prompts(ledger: Any) -> Any:
    """A ledger with two versions of a prompt."""
    return with_prompts(ledger)


@pytest.fixture(scope="module")
def unchanged(shared_ledger: Any) -> Any:
    """One with the same, for who changes nothing."""
    return with_prompts(shared_ledger)


def with_prompts(ledger: Any) -> Any:
    post(ledger, "/prompts", name="greeting", description="The first words.")
    post(ledger, "/prompts/greeting/versions", version="1", **GREETING)
    warm = {**GREETING, "template": "Dear {{ customer }}, welcome!"}
    post(ledger, "/prompts/greeting/versions", version="2", message="warmer", **warm)
    return ledger


def post(ledger: Any, path: str, **given: Any) -> Any:
    answer = ledger.client.post(path, json={"by": "ada", **given})
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


def label(ledger: Any, name: str = "production", **given: Any) -> Any:
    return ledger.client.put(f"/prompts/greeting/labels/{name}", json={"by": "ada", **given})


def listed(ledger: Any, name: str = "greeting") -> Any:
    (item,) = ledger.client.get("/prompts", params={"name": name}).json()["items"]
    return item


def test_the_shim_reads_what_a_label_stands_for(prompts: Any) -> None:
    label(prompts, version="2").raise_for_status()

    read = read_prompt("greeting", listed(prompts))

    assert read.labels["production"].versions == ("2",)
    (message,) = read.versions["2"].fill({"customer": "Ada"})
    assert message.content == "Dear Ada, welcome!"


def test_the_shim_divides_sessions_as_the_experiment_says(prompts: Any) -> None:
    label(prompts, **HALVES).raise_for_status()

    read = read_prompt("greeting", listed(prompts))

    chosen = [read.labels["production"].choose(f"session-{n}").version for n in range(400)]
    assert set(read.versions) == {"1", "2"}
    assert 150 < chosen.count("1") < 250


def test_the_shim_reads_a_single_version_of_a_chat_prompt(ledger: Any) -> None:
    post(ledger, "/prompts", name="triage")
    post(ledger, "/prompts/triage/versions", version="2026-11-21", **TRIAGE)

    read = read_version("triage", ledger.client.get("/prompts/triage/versions/2026-11-21").json())

    assert [message.role for message in read.messages] == ["system", "user"]
    assert read.config == {"temperature": 0}


def test_versions_are_listed_with_who_made_them_and_why(prompts: Any) -> None:
    items = prompts.client.get("/prompts/greeting/versions").json()["items"]

    assert [(item["version"], item["created_by"], item["message"]) for item in items] == [
        ("2", "ada", "warmer"),
        ("1", "ada", None),
    ]


def test_prompts_are_listed_each_with_its_own_labels_and_the_versions_that_they_name(
    prompts: Any,
) -> None:
    for name, version in (("alpha", "2"), ("triage", "1"), ("triage", "3")):
        post(prompts, "/prompts", name=name)
        post(prompts, f"/prompts/{name}/versions", version=version, **TRIAGE)
    post(prompts, "/prompts", name="zeta")
    label(prompts, version="1").raise_for_status()
    label(prompts, version="2").raise_for_status()
    for prompt, name, version in (("triage", "production", "3"), ("alpha", "staging", "2")):
        given = {"by": "ada", "version": version}
        prompts.client.put(f"/prompts/{prompt}/labels/{name}", json=given).raise_for_status()

    told = prompts.client.get("/prompts").raise_for_status().json()["items"]

    assert [
        (one["name"], one["labels"], [version["version"] for version in one["versions"]])
        for one in told
    ] == [
        ("alpha", {"staging": "2"}, ["2"]),
        ("greeting", {"production": "2"}, ["2"]),
        ("triage", {"production": "3"}, ["3"]),
        ("zeta", {}, []),
    ]
    assert {version["prompt"] for one in told for version in one["versions"]} == {
        *("alpha", "greeting", "triage"),
    }


def test_a_version_never_changes(prompts: Any) -> None:
    answer = prompts.client.post(
        "/prompts/greeting/versions", json={"by": "eve", "version": "1", "template": "Go away."}
    )

    assert answer.status_code == 409
    assert "new version" in answer.json()["detail"]
    assert (
        prompts.client.get("/prompts/greeting/versions/1").json()["template"]
        == GREETING["template"]
    )


def test_to_add_the_same_version_again_changes_nothing(prompts: Any) -> None:
    before = prompts.client.get("/prompts/greeting/versions/1").json()

    assert post(prompts, "/prompts/greeting/versions", version="1", **GREETING) == before


def test_a_label_is_rolled_back_to_what_it_stood_for(prompts: Any) -> None:
    label(prompts, version="1")
    label(prompts, version="2", note="warmer converts better")

    post(prompts, "/prompts/greeting/labels/production/rollback", note="it does not")

    assert listed(prompts)["labels"] == {"production": "1"}
    history = prompts.client.get("/prompts/greeting/labels/production").json()["items"]
    assert [(change["number"], change["assignment"], change["note"]) for change in history] == [
        (3, "1", "it does not"),
        (2, "2", "warmer converts better"),
        (1, "1", None),
    ]


def test_a_label_that_never_moved_is_not_rolled_back(prompts: Any) -> None:
    label(prompts, version="1")

    answer = prompts.client.post("/prompts/greeting/labels/production/rollback", json={"by": "ada"})

    assert answer.status_code == 404
    assert "nothing to go back to" in answer.json()["detail"]


def test_to_set_a_label_to_what_it_stands_for_leaves_no_trace(prompts: Any) -> None:
    for _ in range(3):
        label(prompts, version="1")

    assert len(prompts.client.get("/prompts/greeting/labels/production").json()["items"]) == 1


def test_changes_of_a_label_at_one_time_are_all_kept_in_some_order(prompts: Any) -> None:
    def change(number: int) -> int:
        return int(label(prompts, version=str(1 + number % 2)).status_code)

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(change, range(24)))

    history = prompts.client.get("/prompts/greeting/labels/production").json()["items"]
    assert set(statuses) == {200}
    assert [item["number"] for item in history] == list(range(len(history), 0, -1))
    assert listed(prompts)["labels"]["production"] == history[0]["assignment"]


def test_two_versions_are_compared_line_by_line(prompts: Any) -> None:
    told = prompts.client.get("/prompts/greeting/diff", params={"from": "1", "to": "2"}).text

    assert "-Hello {{ customer }}!" in told
    assert "+Dear {{ customer }}, welcome!" in told


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"version": "9"}, "no version 9"),
        ({}, "give one of them"),
        ({"version": "1", "variants": HALVES["variants"]}, "give one of them"),
        ({"variants": {"a": {"version": "1", "weight": 0}}}, "at least one weight"),
        ({"variants": {}}, "from 1 to 20"),
    ],
)
def test_a_label_stands_for_nothing_that_is_not_there(
    unchanged: Any, given: Any, told: str
) -> None:
    answer = label(unchanged, **given)

    assert answer.status_code == 422
    assert told in answer.json()["detail"]
    assert listed(unchanged)["labels"] == {}


def test_everything_wrong_with_a_version_is_told_at_once(unchanged: Any) -> None:
    answer = unchanged.client.post(
        "/prompts/greeting/versions",
        json={
            "by": "ada",
            "version": "a b",
            "template": "{{ who }}",
            "variables": {"whom": "text"},
        },
    )

    detail = answer.json()["detail"]
    assert answer.status_code == 422
    assert "'a b'" in detail
    assert "who" in detail
    assert "whom" in detail


@pytest.mark.parametrize(
    "path",
    [
        "/prompts/farewell/versions",
        "/prompts/greeting/versions/3",
        "/prompts/greeting/labels/staging",
        "/prompts/greeting/diff?from=1&to=3",
    ],
)
def test_what_is_not_there_is_told_by_name(unchanged: Any, path: str) -> None:
    answer = unchanged.client.get(path)

    assert answer.status_code == 404
    assert any(name in answer.json()["detail"] for name in ("'farewell'", "'3'", "'staging'"))


def test_a_prompts_name_is_one_that_a_file_could_have(unchanged: Any) -> None:
    answer = unchanged.client.post("/prompts", json={"by": "ada", "name": "../secrets"})

    assert answer.status_code == 422
    assert "letters, digits" in answer.json()["detail"]
