"""What goes wrong around a spool that is shared: locks, accounts and folders of others."""

from __future__ import annotations

import json
import os

import pytest
from midwatch.pipeline.payloads import Payload, Sent, Unavailable
from midwatch.pipeline.replay import Receiver as ReplayReceiver
from midwatch.pipeline.replay import Replay, waiting_in
from midwatch.pipeline.spans import SpanAccount
from midwatch.pipeline.spool import Spool
from midwatch.pipeline.spool_locks import MomentLock, SignOfLife, SpoolBusyError, is_alive

from .conftest import payload_of


def away(_) -> Unavailable:
    return Unavailable("away")


def test_a_lock_that_another_process_holds_is_given_up_in_time(tmp_path):
    first, second = (MomentLock(tmp_path / "lock", patience_seconds=0.05) for _ in range(2))
    with first.held(), pytest.raises(SpoolBusyError, match="another process"), second.held():
        pass


def test_a_lock_that_another_thread_holds_is_given_up_in_time(tmp_path):
    lock = MomentLock(tmp_path / "lock", patience_seconds=0.05)
    with lock.held(), pytest.raises(SpoolBusyError, match="another thread"), lock.held():
        pass


def test_a_lock_that_was_given_up_can_be_had_again(tmp_path):
    first, second = (MomentLock(tmp_path / "lock", patience_seconds=0.05) for _ in range(2))
    with first.held(), pytest.raises(SpoolBusyError), second.held():
        pass
    with second.held():
        assert True


def test_a_sign_of_life_has_one_owner_and_ends_with_it(tmp_path):
    sign = SignOfLife.take(tmp_path / "sign")
    assert sign is not None
    assert SignOfLife.take(tmp_path / "sign") is None
    assert is_alive(tmp_path / "sign")
    sign.close()
    assert not is_alive(tmp_path / "sign")
    assert not is_alive(tmp_path / "nowhere")


def test_a_spool_that_is_held_too_long_leaves_everything_in_memory(
    process, receiver, clock, spool_dir
):
    under_test = process()
    under_test.spool._lock._patience_seconds = 0.05
    receiver.answer = away
    other = Spool(spool_dir, 1 << 20)
    with other.locked():
        under_test.submit("a")
        under_test.work()
    assert any(isinstance(error, SpoolBusyError) for error in under_test.errors)
    receiver.answer = lambda _: Sent()
    clock.now += 60
    under_test.work()
    assert receiver.taken == ["a"]


def test_a_damaged_account_is_taken_for_an_empty_one(process, receiver, spool_dir):
    receiver.answer = away
    killed = process()
    killed.submit("a")
    killed.work()
    killed.kill()
    (account,) = (spool_dir / "writers").iterdir()
    account.write_bytes(b"\xff{")
    receiver.answer = lambda _: Sent()
    heir = process()
    heir.work()
    assert receiver.taken == ["a"]
    heir.kill()


def test_damaged_totals_begin_anew(process, spool_dir):
    first = process()
    first.create(2)
    first.note()
    first.end()
    (spool_dir / "totals.json").write_text("[")
    second = process()
    second.create(3)
    second.note()
    second.end()
    sums = json.loads((spool_dir / "totals.json").read_text())["counts"]
    assert sums == {"created/none": 3, "dropped/shutdown": 3}


def test_an_account_is_added_to_the_totals_once(process, spool_dir):
    under_test = process()
    under_test.create(2)
    under_test.note()
    accounts, writer = under_test.spool.accounts, under_test.spool.writer
    for _ in range(2):
        accounts.close(writer, {("created", "none"): 2})
    assert accounts.sum()[("created", "none")] == 2
    under_test.kill()


def test_a_payload_of_a_kind_that_the_spool_does_not_know_stays_in_memory(process, receiver, clock):
    under_test = process()
    receiver.answer = away
    under_test.lane.submit(Payload("traces", "text/plain", b'["odd"]', 1))
    under_test.work()
    receiver.answer = lambda _: Sent()
    clock.now += 60
    under_test.work()
    assert receiver.taken == ["odd"]


def test_a_failing_disk_at_the_moment_of_the_answer_sends_nothing_twice(
    process, receiver, clock, monkeypatch
):
    under_test = process()
    receiver.answer = away
    under_test.submit("a")
    under_test.submit("b")
    under_test.work()

    def broken(*_: object) -> None:
        raise OSError(5, "Input/output error")

    receiver.answer = lambda _: Sent()
    clock.now += 60
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", broken)
        under_test.work()
    under_test.work()
    assert receiver.taken == ["a", "b"]
    assert under_test.errors
    under_test.kill()


class Pauses(list[float]):
    def __call__(self, seconds: float) -> None:
        self.append(seconds)


@pytest.fixture
def left(process, receiver, spool_dir) -> Spool:
    receiver.answer = away
    killed = process()
    killed.submit("a")
    killed.work()
    killed.kill()
    return Spool(spool_dir, 1 << 20)


def test_a_replay_repeats_and_waits_as_the_receiver_asks(left, receiver):
    answers = iter([Unavailable("x"), Unavailable("x", retry_after_seconds=7), Sent()])
    receiver.answer = lambda _: next(answers)
    pauses = Pauses()
    (lane,) = waiting_in(left)
    receivers = {(lane.destination, lane.signal): ReplayReceiver(receiver)}
    result = Replay(left, SpanAccount(), receivers, pause=pauses).send(lane)
    assert result.sent == 1
    assert pauses == [1.0, 7.0]


def test_a_replay_tells_of_damage(left, receiver, spool_dir):
    (segment,) = spool_dir.glob("lanes/*/*/*/*.segment")
    os.truncate(segment, segment.stat().st_size - 1)
    receiver.answer = lambda _: Sent()
    (lane,) = waiting_in(left)
    receivers = {(lane.destination, lane.signal): ReplayReceiver(receiver)}
    result = Replay(left, SpanAccount(), receivers).send(lane)
    assert (result.sent, result.damaged) == (0, 1)


def test_a_replay_tells_of_a_disk_that_fails(left, receiver, monkeypatch):
    (lane,) = waiting_in(left)
    receivers = {(lane.destination, lane.signal): ReplayReceiver(receiver)}

    def broken(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr("midwatch.pipeline.spool_lane.make_private", broken)
        result = Replay(left, SpanAccount(), receivers).send(lane)
    assert "Input/output error" in result.problem


def test_memory_is_bounded_in_bytes_too(process, receiver, monkeypatch):
    monkeypatch.setattr("midwatch.pipeline.backlog._MEMORY_BYTES", 100)
    under_test = process(root=None, mode="off")
    receiver.answer = away
    for number in range(5):
        under_test.create(1)
        under_test.lane.submit(payload_of(f"{number} {'x' * 50}"))
    counts = under_test.account.counts()
    assert counts[("dropped", "queue_full")] == 4
