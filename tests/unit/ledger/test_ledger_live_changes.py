"""The list that live clients are told from: nothing overtaken, nothing kept for long; its page."""

from __future__ import annotations

import asyncio
import re
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from midwatch_ledger.api.live_protocol import Subscribe, of_address
from midwatch_ledger.live_settings import LiveSettings
from midwatch_ledger.models.boundary import Boundary
from midwatch_ledger.services.live_listener import (
    Bounds,
    Listener,
    Message,
    Missed,
    Subscription,
    identifier_of,
    resumption_of,
)
from midwatch_ledger.services.live_topics import TOPICS
from midwatch_ledger.store import live as store
from midwatch_ledger.store.live import START, Position

PAGE = (Path(__file__).parents[3] / "docs/ledger/live.md").read_text(encoding="utf-8")
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
FIRST, SECOND = uuid.UUID(int=1), uuid.UUID(int=2)


def announced(ledger: Any, one: uuid.UUID, now: datetime = NOW) -> None:
    with ledger.database.writing() as connection:
        store.announce(connection, "events", [one], now)


def told(ledger: Any, after: Position = START) -> list[uuid.UUID]:
    with ledger.database.reading() as connection:
        return [one for change in store.changes_after(connection, after, 9) for one in change.ids]


def test_what_commits_late_is_not_overtaken_by_what_began_later(
    open_ledger: Any, postgres: Any, migrated_template: str
) -> None:
    ledger = open_ledger(postgres.create_database(migrated_template))
    with ledger.database.writing() as slow:
        store.announce(slow, "events", [FIRST], NOW)
        announced(ledger, SECOND)

        assert told(ledger) == []

    assert told(ledger) == [FIRST, SECOND]


def test_what_is_old_is_forgotten_but_never_the_newest(ledger: Any) -> None:
    for minutes in (0, 1, 2):
        announced(ledger, uuid.UUID(int=minutes), NOW + timedelta(minutes=minutes))

    with ledger.database.writing() as connection:
        store.forget(connection, store.outdated(connection, NOW + timedelta(hours=1)))
        newest = store.newest(connection)

        assert store.outdated(connection, NOW + timedelta(hours=1)) == 0
        assert store.is_whole_after(connection, newest)
        assert not store.is_whole_after(connection, START)
    assert told(ledger) == [uuid.UUID(int=2)]


def test_nothing_is_lost_of_a_list_from_its_beginning(ledger: Any) -> None:
    with ledger.database.reading() as connection:
        assert store.is_whole_after(connection, START)
    announced(ledger, FIRST)
    with ledger.database.reading() as connection:
        assert store.is_whole_after(connection, START)


def test_a_change_of_many_ids_is_told_whole(ledger: Any) -> None:
    many = [uuid.UUID(int=number) for number in range(1_200)]
    with ledger.database.writing() as connection:
        store.announce(connection, "events", many, NOW)

    assert told(ledger) == many


def message(number: int, size: int = 1) -> Message:
    return Message(Position(0, number), (0, "a"), "traces", {"status": "ok"}, b"x" * size)


def listener(messages: int, size_bytes: int) -> Listener:
    one = Listener(Boundary(), Bounds(messages, size_bytes))
    one.subscriptions = {"s": Subscription("s", frozenset({"traces"}))}
    return one


def heard(one: Listener) -> list[Any]:
    found = []
    while (told := one.take()) is not None:
        found.append(told if isinstance(told, Missed) else told[0].position.id)
    return found


def test_what_is_too_much_is_left_out_counted_and_followed_by_what_is_new() -> None:
    async def told_to(messages: int, size_bytes: int, size: int) -> list[Any]:
        one = listener(messages, size_bytes)
        one.offer([message(number, size) for number in range(1, 6)])
        before = heard(one)
        one.offer([message(6, size)])
        return [*before, *heard(one)]

    missed = Missed(3, identifier_of(Position(0, 2), 0, "a"), identifier_of(Position(0, 5), 0, "a"))
    assert asyncio.run(told_to(2, 1_000, 1)) == [1, 2, missed, 6]
    assert asyncio.run(told_to(100, 25, 10)) == [1, 2, missed, 6]


def test_one_record_that_is_greater_than_all_bounds_is_told_alone() -> None:
    async def told_to() -> list[Any]:
        one = listener(10, 10)
        one.offer([message(1, 500)])
        return heard(one)

    assert asyncio.run(told_to()) == [1]


def test_when_nobody_knows_what_was_missed_the_count_is_unknown() -> None:
    async def told_to() -> list[Any]:
        one = listener(1, 10)
        one.offer([message(1), message(2)])
        one.skip(Position(0, 9))
        return heard(one)

    after, until = identifier_of(Position(0, 1), 0, "a"), identifier_of(Position(0, 9))
    assert asyncio.run(told_to()) == [1, Missed(None, after, until)]


def test_an_id_says_where_to_resume_and_no_more() -> None:
    found = resumption_of(message(5).identifier)

    assert (found.position, found.place) == (Position(0, 5), (0, "a"))
    assert not found.is_before(message(5))
    assert found.is_before(message(6))


def test_the_page_has_each_topic_with_its_filters() -> None:
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| (`[^|]+`) \|$", PAGE, re.MULTILINE)
    written = {topic: re.findall(r"`(\w+)`", filters) for topic, filters in rows}

    assert written == {name: sorted(topic.fields) for name, topic in TOPICS.items()}


def test_the_page_has_each_setting_with_its_default_and_an_example_that_is_understood() -> None:
    for name, field in LiveSettings.model_fields.items():
        shown = "4 MiB" if name == "live_queue_bytes" else f"`{field.default:g}`"
        assert f"| `MIDWATCH_LEDGER_{name.upper()}` | {shown} |" in PAGE
    example = re.search(r"```json\n(.*?)\n```", PAGE, re.DOTALL)
    assert example
    assert Subscribe.model_validate_json(example[1]).topics == ["traces"]
    address = of_address({"topics": "traces,alerts", "status": "firing"})
    assert address
    assert address.subscription.filters == {"status": frozenset({"firing"})}
