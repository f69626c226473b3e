"""A lane: attempts, retries, order, and what is counted, without and with a spool."""

from __future__ import annotations

import pytest
from midwatch.pipeline.payloads import Refused, Sent, Unavailable

AWAY = Unavailable("away")
MODES = ["on-failure", "write-ahead"]


def away(_) -> Unavailable:
    return AWAY


def well(_) -> Sent:
    return Sent()


def test_what_a_receiver_takes_is_exported(process, receiver):
    under_test = process()
    under_test.submit("a", "b")
    under_test.work()
    assert receiver.taken == ["a", "b"]
    assert under_test.account.counts()[("exported", "none")] == 2
    assert under_test.account.in_flight() == 0


def test_a_failed_attempt_is_repeated_as_often_as_allowed_and_no_more(process, receiver, clock):
    under_test = process(retries=3)
    receiver.answer = away
    under_test.submit("a")
    for _ in range(10):
        under_test.work()
        clock.now += 2
        if under_test.breaker.state != 0:
            break
    assert receiver.attempts == 4


def test_a_retry_that_succeeds_leaves_no_trace_in_the_account(process, receiver, clock):
    under_test = process(retries=3)
    answers = iter([AWAY, AWAY, Sent()])
    receiver.answer = lambda _: next(answers)
    under_test.submit("a")
    for _ in range(3):
        under_test.work()
        clock.now += 2
    counts = under_test.account.counts()
    assert counts[("exported", "none")] == 1
    assert counts[("spooled", "none")] == 0


def test_a_receiver_that_asks_to_be_left_alone_is_left_alone(process, receiver, clock):
    under_test = process(retries=3)
    receiver.answer = lambda _: Unavailable("429", retry_after_seconds=60)
    under_test.submit("a")
    under_test.work()
    clock.now += 59
    under_test.work()
    assert receiver.attempts == 1
    receiver.answer = well
    clock.now += 1
    under_test.work()
    assert receiver.taken == ["a"]


def test_a_short_wish_is_a_pause_between_retries(process, receiver, clock):
    under_test = process(retries=3)
    answers = iter([Unavailable("429", retry_after_seconds=1.5), Sent()])
    receiver.answer = lambda _: next(answers)
    under_test.submit("a")
    under_test.work()
    clock.now += 1.4
    under_test.work()
    assert receiver.attempts == 1
    clock.now += 0.2
    under_test.work()
    assert receiver.taken == ["a"]


@pytest.mark.parametrize("mode", MODES)
def test_after_an_outage_everything_arrives_once_and_in_order(process, receiver, clock, mode):
    under_test = process(mode=mode)
    names = [f"span {number}" for number in range(30)]
    for number, name in enumerate(names):
        receiver.answer = away if 5 <= number < 20 else well
        under_test.submit(name)
        under_test.work()
        clock.now += 1
    clock.now += 60
    under_test.work()
    assert receiver.taken == names
    counts = under_test.account.counts()
    assert counts[("exported", "none")] + counts[("replayed", "none")] == 30
    assert counts[("spooled", "none")] == counts[("replayed", "none")] >= 15
    assert under_test.account.in_flight() == 0


def test_while_the_receiver_is_away_it_is_asked_seldom(process, receiver, clock):
    under_test = process()
    receiver.answer = away
    for _ in range(300):
        under_test.submit("a")
        under_test.work()
        clock.now += 1
    assert receiver.attempts <= 5 + 300 / 30


@pytest.mark.parametrize("mode", MODES)
def test_what_is_refused_for_good_is_dropped_and_does_not_stop_the_rest(process, receiver, mode):
    under_test = process(mode=mode)
    receiver.answer = lambda payload: Refused("bad") if b"bad" in payload.body else Sent()
    under_test.submit("a")
    under_test.submit("bad", "bad too")
    under_test.submit("b")
    under_test.work()
    assert receiver.taken == ["a", "b"]
    counts = under_test.account.counts()
    assert counts[("dropped", "refused")] == 2
    assert counts[("exported", "none")] == 2
    assert under_test.account.in_flight() == 0


def test_each_reason_of_a_refusal_is_told_once(process, receiver, caplog):
    under_test = process()
    receiver.answer = lambda _: Refused("too large")
    for _ in range(5):
        under_test.submit("a")
    under_test.work()
    assert len([r for r in caplog.records if "too large" in r.getMessage()]) == 1


def test_what_is_refused_in_part_is_dropped_in_part(process, receiver):
    under_test = process()
    receiver.answer = lambda _: Sent(refused=2, message="two are bad")
    under_test.submit("a", "b", "c")
    under_test.work()
    counts = under_test.account.counts()
    assert counts[("exported", "none")] == 1
    assert counts[("dropped", "refused")] == 2


def test_what_is_refused_after_it_was_spooled_is_dropped_from_the_spool(process, receiver, clock):
    under_test = process()
    receiver.answer = away
    under_test.submit("a", "b")
    under_test.work()
    receiver.answer = lambda _: Refused("bad")
    clock.now += 60
    under_test.work()
    counts = under_test.account.counts()
    assert counts[("spooled", "none")] == counts[("dropped", "spool_refused")] == 2
    assert under_test.account.in_flight() == 0


def test_a_transport_that_raises_is_one_that_is_away(process, receiver, clock):
    under_test = process()

    def broken(_):
        raise RuntimeError("a defect")

    receiver.answer = broken
    under_test.submit("a")
    under_test.work()
    receiver.answer = well
    clock.now += 60
    under_test.work()
    assert receiver.taken == ["a"]


@pytest.mark.parametrize("mode", MODES)
def test_with_a_spool_nothing_goes_when_the_memory_is_full(process, receiver, mode):
    under_test = process(mode=mode, buffer_items=3)
    # The receiver is well, and only slower than what comes.
    for names in ("ab", "cd", "ef"):
        under_test.submit(*names)
    under_test.work()
    assert receiver.taken == list("abcdef")
    counts = under_test.account.counts()
    assert counts[("dropped", "queue_full")] == 0
    assert under_test.account.in_flight() == 0
    assert counts[("exported", "none")] + counts[("spooled", "none")] == 6


def test_without_a_spool_the_oldest_go_when_the_memory_is_full(process, receiver, clock):
    under_test = process(root=None, mode="off", buffer_items=10)
    receiver.answer = away
    for number in range(25):
        under_test.submit(str(number))
        under_test.work()
    receiver.answer = well
    clock.now += 60
    under_test.work()
    assert receiver.taken == [str(number) for number in range(15, 25)]
    counts = under_test.account.counts()
    assert counts[("dropped", "queue_full")] == 15
    assert counts[("exported", "none")] == 10
    assert counts[("spooled", "none")] == 0


def test_without_a_spool_what_is_left_at_the_end_is_dropped(process, receiver):
    under_test = process(root=None, mode="off")
    receiver.answer = away
    under_test.submit("a", "b")
    under_test.work()
    under_test.lane.close(0)
    assert under_test.account.counts()[("dropped", "shutdown")] == 2


@pytest.mark.parametrize("mode", MODES)
def test_what_is_left_at_the_end_is_spooled(process, receiver, mode):
    under_test = process(mode=mode)
    under_test.submit("a", "b")
    under_test.lane.close(0)
    assert receiver.taken == []
    counts = under_test.account.counts()
    assert counts[("spooled", "none")] == 2
    assert under_test.account.in_flight() == 0


def test_what_comes_after_the_end_is_spooled_too(process):
    under_test = process()
    under_test.lane.close(0)
    under_test.submit("late")
    assert under_test.account.counts()[("spooled", "none")] == 1


def test_a_payload_of_nothing_is_not_sent(process, receiver):
    under_test = process()
    under_test.submit()
    under_test.work()
    assert receiver.attempts == 0


def test_a_flush_does_not_wait_for_a_receiver_that_is_away(process, receiver):
    under_test = process()
    receiver.answer = away
    under_test.submit("a")
    under_test.work()
    assert not under_test.lane.flush(60)


def test_a_flush_of_nothing_is_done(process):
    assert process().lane.flush(60)
