"""The command line as a whole: every command explains itself; dead letters are replayed."""

from __future__ import annotations

from typing import Any

import pytest
from midwatch_ledger.commands import application
from midwatch_ledger.models import AgentTransition, DeadLetter
from midwatch_ledger.services import mapping, otlp
from midwatch_ledger.services.rollups import catch_up
from typer.main import get_command
from typer.testing import CliRunner

PROMISED = {"serve", "migrate", "replay", "archive", "rebuild", "keys", "report", "prices"}


def all_commands(command: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Give the path of each command and group."""
    inner = getattr(command, "commands", {})
    return [path, *(one for name in inner for one in all_commands(inner[name], (*path, name)))]


COMMANDS = all_commands(get_command(application))


def test_every_promised_command_is_there() -> None:
    assert {path[0] for path in COMMANDS if path} >= PROMISED


def test_every_command_explains_itself_and_each_of_its_options() -> None:
    runner = CliRunner()
    for path in COMMANDS:
        told = runner.invoke(application, [*path, "--help"], env={"COLUMNS": "200"})
        assert told.exit_code == 0, path
        assert "Usage:" in told.output
        command = get_command(application)
        for name in path:
            command = command.commands[name]  # type: ignore[attr-defined]
        assert command.help, path
        silent = [one.name for one in command.params if not getattr(one, "help", None)]
        assert silent == [], path


@pytest.fixture
def dead(ledger: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give a ledger with a span and an event among its dead letters; the fault is fixed since."""
    spans, events = mapping.span_row, mapping.event_row

    def fails(row_of: Any, is_wrong: Any) -> Any:
        def mapped(record: Any) -> Any:
            if is_wrong(record):
                raise KeyError("a fault in the mapping")
            return row_of(record)

        return mapped

    with monkeypatch.context() as patched:
        wrong_span = fails(spans, lambda span: span.span_id.endswith("7"))
        patched.setattr(mapping, "span_row", wrong_span)
        patched.setattr(mapping, "event_row", fails(events, lambda event: event.name == "handoff"))
        ledger.send(*ledger.otlp.turn())
        ledger.send_events(
            ledger.otlp.event("handoff", from_agent="supervisor", to_agent="monitor"),
            ledger.otlp.event("route.selected", selected_agent="monitor"),
        )
    assert len(ledger.rows(DeadLetter)) == 2
    return ledger


def replay(ledger: Any, monkeypatch: pytest.MonkeyPatch, *options: str) -> Any:
    url = ledger.database.url.render_as_string(hide_password=False)
    monkeypatch.setenv("MIDWATCH_LEDGER_DATABASE_URL", url)
    return CliRunner().invoke(application, ["replay", *options])


def test_replayed_letters_are_as_if_nothing_had_been_wrong(
    dead: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, again = replay(dead, monkeypatch), replay(dead, monkeypatch)
    catch_up(dead.database)

    assert (first.exit_code, again.exit_code) == (0, 0), first.output
    assert "2 dead letters are stored" in first.output
    assert "0 dead letters are stored" in again.output
    assert dead.rows(DeadLetter) == []
    tree = dead.tree()
    assert (tree["span_count"], tree["total_cost"]) == (7, 0.0012)
    assert {row["kind"] for row in dead.rows(AgentTransition)} == {"handoff", "route"}


def test_a_letter_that_still_cannot_be_stored_stays(
    dead: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: Any) -> Any:
        raise KeyError("still wrong")

    with monkeypatch.context() as patched:
        patched.setattr(mapping, "span_row", fails)
        told = replay(dead, patched)

    assert told.exit_code == 1
    assert "1 stay: KeyError" in told.output
    (letter,) = dead.rows(DeadLetter)
    assert letter["signal"] == "traces"


def test_letters_are_listed_without_what_they_say(
    dead: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = replay(dead, monkeypatch, "--list")

    assert told.exit_code == 0
    assert "2 dead letters" in told.output
    assert {line.split()[2] for line in told.output.splitlines()[1:]} == {"traces", "logs"}
    assert "supervisor" not in told.output
    assert len(dead.rows(DeadLetter)) == 2


def test_what_a_later_ledger_can_read_is_stored_and_the_rest_stays(
    ledger: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        # As if an earlier ledger had known no time beyond some year.
        patched.setattr(otlp, "_LARGEST_INTEGER", 0)
        ledger.send(*ledger.otlp.turn())
        ledger.send_events(ledger.otlp.event("handoff", from_agent="a", to_agent="b"))
    bad = ledger.otlp.span(9)
    bad.span_id = b"short"
    ledger.send(bad)

    told = replay(ledger, monkeypatch)

    assert "8 dead letters are stored" in told.output
    assert "1 stay: bad_span_id" in told.output
    assert ledger.tree()["span_count"] == 7
    assert [row["kind"] for row in ledger.rows(AgentTransition)] == ["handoff"]


def test_a_letter_of_a_record_that_came_meanwhile_is_only_taken_away(
    dead: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead.send(*dead.otlp.turn())

    assert replay(dead, monkeypatch).exit_code == 0
    assert dead.rows(DeadLetter) == []
    assert dead.tree()["total_cost"] == 0.0012
