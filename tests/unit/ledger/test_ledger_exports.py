"""Exports: the same rows in each form, in little memory, without formulas."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from decimal import Decimal
from typing import Any

import pyarrow
import pytest
from midwatch_ledger.models import ExecutionLog, LlmCallLog
from midwatch_ledger.models.boundary import within
from midwatch_ledger.services.exports import export
from pyarrow import parquet

LISTED = {
    "/exports/executions": "/execution-logs/executions",
    "/exports/llm-calls": "/execution-logs/llm-calls",
}


def fetched(ledger: Any, path: str, **query: str) -> Any:
    answer = ledger.client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer


def in_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.fixture(scope="module")
def filled(shared_ledger: Any, otlp: Any) -> Any:
    """Give a ledger with more rows than a page has, and one turn."""
    calls = (otlp.chat(number, 1, at=number % 7) for number in range(10, 260))
    shared_ledger.send(*otlp.turn(), *calls)
    return shared_ledger


@pytest.mark.parametrize("path", LISTED)
def test_each_form_has_what_the_list_has_in_its_order(filled: Any, path: str) -> None:
    listed = fetched(filled, LISTED[path], limit="500").json()

    lines = [json.loads(line) for line in fetched(filled, path).text.splitlines()]
    cells = in_csv(fetched(filled, path, format="csv").text)
    columns = parquet.read_table(io.BytesIO(fetched(filled, path, format="parquet").content))

    assert lines == listed
    assert [row["id"] for row in cells] == [row["id"] for row in listed]
    assert columns["id"].to_pylist() == [row["id"] for row in listed]
    assert set(columns.column_names) == set(listed[0]) == set(cells[0])


def test_filters_are_those_of_the_list(filled: Any) -> None:
    lines = fetched(filled, "/exports/executions", agent_type="monitor").text.splitlines()

    assert {json.loads(line)["agent_type"] for line in lines} == {"monitor"}
    assert filled.client.get("/exports/executions", params={"format": "xml"}).status_code == 422


def test_money_is_exact_and_time_has_its_zone(ledger: Any, otlp: Any) -> None:
    ledger.send(otlp.chat(1, midwatch__llm__cost_usd=0.000000123))

    row = parquet.read_table(
        io.BytesIO(fetched(ledger, "/exports/llm-calls", format="parquet").content)
    ).to_pylist()[0]
    (cells,) = in_csv(fetched(ledger, "/exports/llm-calls", format="csv").text)

    assert row["total_cost"] == Decimal("0.000000123")
    assert cells["total_cost"] == "0.000000123"
    assert row["start_time"].utcoffset().total_seconds() == 0
    assert cells["start_time"].endswith("+00:00")


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "\n", "＝"])  # noqa: RUF001
def test_no_cell_of_a_csv_is_a_formula(ledger: Any, otlp: Any, begin: str) -> None:
    evil = f'{begin}HYPERLINK("http://evil.example", "click")'
    ledger.send(otlp.chat(1, **{"gen_ai__output__messages": evil, "gen_ai__request__model": evil}))

    (cells,) = in_csv(fetched(ledger, "/exports/llm-calls", format="csv").text)

    assert (cells["response"], cells["model_id"]) == (f"'{evil}", f"'{evil}")
    (line,) = fetched(ledger, "/exports/llm-calls").text.splitlines()
    assert json.loads(line)["response"] == evil


@pytest.mark.parametrize("form", ["ndjson", "csv", "parquet"])
def test_an_export_is_a_file_to_keep(filled: Any, form: str) -> None:
    answer = fetched(filled, "/exports/executions", format=form)

    assert answer.headers["content-disposition"] == f'attachment; filename="executions.{form}"'
    empty = fetched(filled, "/exports/executions", format=form, agent_type="nobody")
    if form == "parquet":
        assert parquet.read_table(io.BytesIO(empty.content)).num_rows == 0
    else:
        assert len(empty.text.splitlines()) == (form == "csv")


@pytest.mark.parametrize("form", ["ndjson", "csv", "parquet"])
def test_memory_does_not_grow_with_the_rows(
    open_ledger: Any, sqlite_url: str, otlp: Any, form: Any
) -> None:
    ledger = open_ledger(sqlite_url)
    ledger.send(otlp.chat(1, **{"gen_ai__output__messages": "word " * 4_000}))
    ((row),) = ledger.rows(LlmCallLog)
    pages, rows_of_a_page = 60, 40

    def endless() -> Any:
        for _ in range(pages):
            # Texts of their own, as the database gives them.
            yield [{**row, "response": row["response"] + str(one)} for one in range(rows_of_a_page)]

    size = 0
    pool = pyarrow.default_memory_pool()
    before = pool.bytes_allocated()
    arrow_peak = 0
    tracemalloc.start()
    for part in export(form, LlmCallLog.__table__, endless()):  # type: ignore[arg-type]
        size += len(part)
        arrow_peak = max(arrow_peak, pool.bytes_allocated() - before)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    everything = pages * rows_of_a_page * 20_000
    assert everything > 45_000_000
    assert peak + arrow_peak < everything / 3
    assert size > (0 if form == "parquet" else everything)


def test_what_is_hidden_stays_hidden_in_a_file(ledger: Any, otlp: Any) -> None:
    from midwatch_ledger.models.boundary import Boundary

    ledger.send(otlp.tool(1, None, "search", **{"gen_ai__tool__call__arguments": "swordfish"}))
    with within(Boundary(None, content=False)):
        rows = ledger.rows(ExecutionLog)

    made = b"".join(export("csv", ExecutionLog.__table__, [rows]))  # type: ignore[arg-type]

    assert b"swordfish" not in made
    assert b"[hidden" in made
