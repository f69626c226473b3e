"""Whose rows somebody sees, whether content is shown, and that no route can forget it."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts
from midwatch_ledger.models import Event, ExecutionLog, Feedback, LlmCallLog, Span, WorkflowTrace
from midwatch_ledger.models.boundary import Boundary, within
from midwatch_ledger.models.content import HIDDEN
from midwatch_ledger.services import keys
from midwatch_ledger.services.keys import KeyWanted
from midwatch_ledger.store.limits import UnlimitedStatementError
from sqlalchemy import func, insert, select, text

SHOP, BANK, NEUTRAL = "1" * 32, "2" * 32, "3" * 32
SECRETS = ("swordfish-question", "swordfish-answer", "swordfish-argument", "swordfish-comment")


def key(ledger: Any, *scopes: str, project: str | None = None) -> dict[str, str]:
    with ledger.database.writing() as connection:
        wanted = KeyWanted("test", scopes, project)
        _, secret = keys.create(connection, wanted, "tester", datetime.now(UTC))
    return {"authorization": f"Bearer {secret}"}


@pytest.fixture
def filled(ledger: Any, fillings: Any) -> Any:
    """Give a ledger with one turn of the shop, one of the bank, and one that names no project."""
    fillings.fill(ledger, fill)
    return ledger


def fill(ledger: Any) -> None:
    spans, events = [], []
    for trace_id, project in ((SHOP, "shop"), (BANK, "bank"), (NEUTRAL, None)):
        build = type(ledger.otlp)(trace_id=trace_id)
        named = {} if project is None else {"midwatch__project": project}
        question, answer, argument, comment = SECRETS
        spans += [
            build.span(
                1, name="turn", midwatch__turn__outcome="ok", session__id=f"s-{project}", **named
            ),
            build.tool(
                2, 1, "search", **{"gen_ai__tool__call__arguments": json.dumps([argument]), **named}
            ),
            build.chat(
                3,
                1,
                **{"gen_ai__input__messages": question, "gen_ai__output__messages": answer},
                **named,
            ),
        ]
        events.append(
            build.event(
                "llm.called",
                prompt_text=question,
                response_text=answer,
                **{name.replace("__", "."): value for name, value in named.items()},
            )
        )
        ledger.client.post(
            "/feedback",
            json={"kind": "text", "comment": comment, "trace_id": trace_id, "project": project},
        ).raise_for_status()
    ledger.send(*spans)
    ledger.send_events(*events)


def everything_readable(ledger: Any, headers: dict[str, str]) -> str:
    """Give what all routes that only read answer, about the traces there are."""
    answers = []
    for route in iter_route_contexts(ledger.client.app.router.routes):
        path = getattr(route, "path", "") or ""
        if "GET" not in (getattr(route, "methods", None) or ()):
            continue
        if path.startswith(("/openapi", "/login", "/metrics", "/healthz", "/readyz")):
            continue
        for trace_id in (SHOP, BANK, NEUTRAL) if "{" in path else (SHOP,):
            named = path.replace("{day}", "2026-11-20")
            while "{" in named:
                start, end = named.index("{"), named.index("}")
                named = f"{named[:start]}{trace_id}{named[end + 1 :]}"
            # Where it is known it adds to the answer, elsewhere it is nothing.
            named += "?include_llm_calls=true"
            answers.append(ledger.client.get(named, headers=headers).text)
    return "\n".join(answers)


def test_a_key_of_a_project_sees_nothing_of_another_over_any_route(filled: Any) -> None:
    shop = everything_readable(filled, key(filled, "admin", project="shop"))
    default = everything_readable(filled, key(filled, "admin", project="default"))

    assert SHOP in shop
    assert "s-bank" not in shop
    assert '"trace_id":"' + BANK not in shop
    assert '"trace_id":"' + NEUTRAL in default
    assert '"trace_id":"' + SHOP not in default


def test_sums_are_of_ones_own_project_only(filled: Any, open_ledger: Any) -> None:
    from midwatch_ledger.services.rollups import catch_up

    catch_up(filled.database)
    period = {"start_date": "2026-11-18T00:00:00Z", "end_date": "2026-11-19T23:59:00Z"}
    counts = {}
    for project in (None, "shop", "nothing"):
        headers = key(filled, "read", project=project)
        answer = filled.client.get("/monitoring/performance", params=period, headers=headers)
        total = answer.raise_for_status().json()["total"]
        counts[project] = total and total["count"]

    assert counts == {None: 3, "shop": 1, "nothing": None}


def test_nobody_deletes_what_belongs_to_another_project(filled: Any) -> None:
    shop = key(filled, "admin", project="shop")
    delete = f"/execution-logs/executions/{BANK}"

    assert filled.client.delete(delete, headers=shop).status_code == 404
    assert filled.client.delete("/sessions/s-bank", headers=shop).status_code == 404
    assert len(filled.rows(WorkflowTrace)) == 3
    assert len(filled.rows(Span)) == 9


def test_feedback_of_a_bound_key_is_of_its_project(filled: Any) -> None:
    shop = key(filled, "feedback", project="shop")
    given = {"kind": "thumb", "value": "up", "session_id": "new"}

    silent = filled.client.post("/feedback", json=given, headers=shop)
    foreign = filled.client.post("/feedback", json={**given, "project": "bank"}, headers=shop)

    assert (silent.status_code, silent.json()["project"]) == (201, "shop")
    assert foreign.status_code == 403
    assert {row["project"] for row in filled.rows(Feedback)} == {"shop", "bank", None}


def test_telemetry_of_a_bound_key_is_of_its_project(ledger: Any, otlp: Any) -> None:
    headers = {"content-type": "application/x-protobuf", **key(ledger, "ingest", project="shop")}
    spans = [otlp.chat(1), otlp.chat(2, midwatch__project="bank")]
    sent = ledger.client.post(
        "/v1/traces", content=otlp.traces(*spans).SerializeToString(), headers=headers
    )

    assert sent.status_code == 200
    assert b"other_project: 1" in sent.content
    assert [row["project"] for row in ledger.rows(LlmCallLog)] == ["shop"]
    assert [row["project"] for row in ledger.rows(WorkflowTrace)] == ["shop"]


def test_content_is_in_no_answer_to_who_may_not_see_it(filled: Any) -> None:
    readable = everything_readable(filled, key(filled, "read"))

    assert SHOP in readable
    assert HIDDEN in readable
    assert [secret for secret in SECRETS if secret in readable] == []


def test_content_is_shown_to_who_may_see_it(filled: Any) -> None:
    readable = everything_readable(filled, key(filled, "admin"))

    assert [secret for secret in SECRETS if secret not in readable] == []
    assert HIDDEN not in readable


@pytest.mark.parametrize(("role", "shown"), [("viewer", True), ("nobody", False)])
def test_the_policy_says_from_which_role_on_content_is_shown(
    filled: Any, open_ledger: Any, role: str, shown: bool
) -> None:
    url = filled.database.url.render_as_string(hide_password=False)
    other = open_ledger(url, content_role=role)
    scope = "read" if shown else "admin"

    answer = other.client.get("/execution-logs/llm-calls", headers=key(other, scope))

    assert (SECRETS[0] in answer.text) is shown


def test_hiding_content_changes_nothing_on_disk(filled: Any) -> None:
    headers = key(filled, "read", "feedback")
    filled.client.get("/feedback", headers=headers).raise_for_status()

    kept = str([filled.rows(table) for table in (ExecutionLog, LlmCallLog, Event, Feedback)])

    assert [secret for secret in SECRETS if secret not in kept] == []
    assert HIDDEN not in kept


def test_what_was_hidden_cannot_be_written_back(filled: Any) -> None:
    with filled.database.reading() as connection, within(Boundary(None, content=False)):
        row = dict(connection.execute(select(Feedback)).mappings().first() or {})
    row["id"] = uuid.uuid4()

    with (
        pytest.raises(Exception, match="a hidden value can't be written"),
        filled.database.writing() as connection,
    ):
        connection.execute(insert(Feedback), [row])


def test_a_statement_that_cannot_be_limited_is_refused(ledger: Any) -> None:
    with ledger.database.reading() as connection, within(Boundary(frozenset({"shop"}))):
        with pytest.raises(UnlimitedStatementError, match="write it as an expression"):
            connection.execute(text("SELECT 1"))
        assert connection.execute(select(func.count()).select_from(Span)).scalar_one() == 0


def test_limits_reach_into_joins_subqueries_unions_and_aliases(filled: Any) -> None:
    inner = select(Span.trace_id).where(Span.name == "turn").subquery()
    other = Span.__table__.alias("other")
    queries = [
        select(Span.trace_id).join(LlmCallLog, LlmCallLog.trace_id == Span.trace_id),
        select(Span.trace_id).outerjoin(LlmCallLog, LlmCallLog.span_id == Span.span_id),
        select(inner.c.trace_id),
        select(WorkflowTrace.trace_id).where(WorkflowTrace.trace_id.in_(select(inner.c.trace_id))),
        select(other.c.trace_id),
        select(Span.trace_id).union_all(select(Event.trace_id)),
        select(WorkflowTrace.trace_id).where(
            select(Span.trace_id).where(Span.trace_id == WorkflowTrace.trace_id).exists()
        ),
    ]
    with filled.database.reading() as connection, within(Boundary(frozenset({"bank"}))):
        found = [set(connection.execute(query).scalars()) for query in queries]

    assert found == [{BANK}] * len(queries)
