"""The spool's files: crashes, damage, the cap, and folders that cannot be written."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import stat
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from midwatch.pipeline.failures import FAILURES
from midwatch.pipeline.payloads import Payload, Sent, Unavailable
from midwatch.pipeline.spool import Spool
from midwatch.pipeline.spool_folder import Folder
from midwatch.pipeline.spool_records import encoded

MODES = ["on-failure", "write-ahead"]


def away(_) -> Unavailable:
    return Unavailable("away")


def segments(root) -> list:
    return sorted(root.glob("lanes/*/*/*/*.segment"))


def outage(process, receiver, *names: str, mode: str = "on-failure", **options):
    """A process whose receiver is away, with these spans in its spool."""
    under_test = process(mode=mode, **options)
    receiver.answer = away
    for name in names:
        under_test.submit(name)
        under_test.work()
    receiver.answer = lambda _: Sent()
    return under_test


def test_nothing_is_written_while_all_is_well(process, spool_dir):
    under_test = process()
    under_test.submit("a")
    under_test.work()
    assert segments(spool_dir) == []


def test_write_ahead_writes_before_it_sends(process, receiver, spool_dir):
    seen = []
    under_test = process(mode="write-ahead")

    def look(_) -> Sent:
        seen.append(len(segments(spool_dir)))
        return Sent()

    receiver.answer = look
    under_test.submit("a")
    under_test.work()
    assert seen == [1]


@pytest.mark.parametrize("mode", MODES)
def test_the_next_process_sends_what_a_killed_one_left_in_order(process, receiver, clock, mode):
    names = [f"span {number}" for number in range(20)]
    outage(process, receiver, *names, mode=mode).kill()
    heir = process(mode=mode)
    heir.work()
    assert receiver.taken == names
    assert heir.account.counts()[("replayed", "none")] == 20


def test_what_a_dead_process_left_goes_before_what_is_new(process, receiver):
    outage(process, receiver, "old 1", "old 2").kill()
    heir = process()
    heir.lane.step()
    heir.submit("new")
    heir.work()
    assert receiver.taken == ["old 1", "old 2", "new"]


def test_write_ahead_loses_nothing_when_it_is_killed_before_it_could_send(process, receiver):
    killed = process(mode="write-ahead")
    killed.submit("a", "b")
    killed.kill()
    heir = process(mode="write-ahead")
    heir.work()
    assert receiver.taken == ["a", "b"]
    assert heir.spool.accounts.sum()[("dropped", "killed")] == 0
    assert heir.spool.accounts.sum()[("spooled", "none")] == 2


def test_what_a_killed_process_had_only_in_memory_is_counted_as_killed(process, receiver):
    killed = process()
    killed.submit("a", "b")
    killed.create(3)
    killed.lane.submit(Payload("traces", "application/json", b'["c"]', 1))
    killed.kill()
    heir = process()
    heir.work()
    totals = heir.spool.accounts.sum()
    assert totals[("created", "none")] == totals[("dropped", "killed")] == 5
    assert receiver.taken == []


def test_a_living_process_keeps_what_is_its_own(process, receiver):
    living = outage(process, receiver, "a")
    other = process()
    other.work()
    assert receiver.taken == []
    living.kill()


def test_one_process_at_a_time_adopts(process, receiver, clock):
    outage(process, receiver, "a", "b").kill()
    receiver.answer = away
    first, second = process(), process()
    first.lane.step()
    second.lane.step()
    receiver.answer = lambda _: Sent()
    clock.now += 60
    second.work()
    assert receiver.taken == []
    first.work()
    assert receiver.taken == ["a", "b"]


def test_when_the_one_that_adopts_dies_another_goes_on_where_it_was(process, receiver, clock):
    outage(process, receiver, "a", "b", "c").kill()
    first, second = process(), process()
    first.lane.step()
    second.lane.step()
    assert receiver.taken == ["a"]
    first.kill()
    clock.now += 60
    second.work()
    assert receiver.taken == ["a", "b", "c"]


def test_a_process_that_ends_leaves_its_spool_to_the_next(process, receiver):
    outage(process, receiver, "a", "b").end()
    heir = process()
    heir.work()
    assert receiver.taken == ["a", "b"]
    assert heir.account.counts()[("replayed", "none")] == 2


def test_an_empty_spool_leaves_no_files_of_its_payloads(process, receiver, clock, spool_dir):
    under_test = outage(process, receiver, "a")
    clock.now += 60
    under_test.work()
    under_test.end()
    assert segments(spool_dir) == []
    assert not list(spool_dir.glob("lanes/*/*/*/"))[1:]
    assert list(spool_dir.glob("writers/*")) == []


@pytest.mark.parametrize("cut", [1, 5, 20, 30])
def test_a_torn_tail_is_skipped_and_counted(process, receiver, spool_dir, cut):
    before = FAILURES.counts().get("spool.damage", 0)
    outage(process, receiver, "a", "b", "c").kill()
    (segment,) = segments(spool_dir)
    os.truncate(segment, segment.stat().st_size - cut)
    heir = process()
    heir.work()
    assert receiver.taken == ["a", "b"]
    assert FAILURES.counts()["spool.damage"] == before + 1
    totals = heir.spool.accounts.sum()
    assert totals[("replayed", "none")] == 2


def test_a_torn_body_is_counted_as_what_was_in_it(process, receiver, spool_dir):
    outage(process, receiver, "a", "b").kill()
    (segment,) = segments(spool_dir)
    os.truncate(segment, segment.stat().st_size - 1)
    heir = process()
    heir.work()
    assert heir.account.counts()[("dropped", "spool_corrupt")] == 1


def test_records_after_damage_are_found_again(process, receiver, spool_dir):
    outage(process, receiver, "a", "b", "c", "d").kill()
    (segment,) = segments(spool_dir)
    content = bytearray(segment.read_bytes())
    length = len(encoded(Payload("traces", "application/json", b'["a"]', 1)))
    content[length : length + 30] = bytes(30)
    segment.write_bytes(bytes(content))
    process().work()
    assert receiver.taken == ["a", "c", "d"]


@settings(max_examples=60, deadline=None)
@given(
    bodies=st.lists(st.binary(max_size=300), min_size=1, max_size=8),
    damage=st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), max_size=4),
    cut=st.integers(0, 100),
)
def test_whatever_happens_to_a_file_reading_it_ends_and_gives_only_what_was_written(
    tmp_path_factory, bodies, damage, cut
):
    folder = Folder(tmp_path_factory.mktemp("any") / "writer", "traces")
    folder.make()
    for body in bodies:
        folder.append(encoded(Payload("traces", "application/json", body, 1)), 1 << 20)
    folder.release()
    segment = folder.segment(1)
    content = bytearray(segment.read_bytes())
    for place, value in damage:
        content[place % len(content)] = value
    segment.write_bytes(bytes(content[: len(content) - cut % len(content)]))
    found = []
    for _ in range(2000):
        entry = folder.next_entry()
        if entry is None:
            break
        if entry.payload is not None:
            found.append(entry.payload.body)
        folder.advance(entry)
    else:
        raise AssertionError("reading does not end")
    remaining = list(bodies)
    for body in found:
        assert body in remaining
        remaining = remaining[remaining.index(body) + 1 :]


def test_damaged_progress_sends_again_rather_than_not_at_all(process, receiver, spool_dir):
    outage(process, receiver, "a", "b").kill()
    (progress,) = spool_dir.glob("lanes/*/*/*/progress")
    progress.write_bytes(b"\xff" * 8)
    process().work()
    assert receiver.taken == ["a", "b"]


def test_only_the_user_can_read_what_is_spooled(process, receiver, spool_dir):
    old = os.umask(0)
    try:
        outage(process, receiver, "a")
    finally:
        os.umask(old)
    for path in [spool_dir, *spool_dir.rglob("*")]:
        allowed = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == allowed, path


def test_names_of_files_tell_nothing_of_the_content(process, receiver, spool_dir):
    outage(process, receiver, "secret-content")
    assert not [path for path in spool_dir.rglob("*") if "secret" in path.name]


@pytest.mark.parametrize("name", ["../../etc", "http://host/a?key=b", "", ".", "ü" * 300])
def test_whatever_a_destination_is_called_its_folder_is_within_the_spool(tmp_path, name):
    folder = Spool(tmp_path, 1 << 20).lane(name, "traces")
    assert folder.resolve().relative_to(tmp_path / "lanes").parts[1:] == ("traces",)
    folder.mkdir(parents=True)


BIG = 40_000


def big(number: int) -> str:
    """A span that compression cannot shrink."""
    return f"{number:04d}" + os.urandom(BIG // 2).hex()


def fill(process, receiver, count: int, **options):
    names = [big(number) for number in range(count)]
    return outage(process, receiver, *names, **options), names


def test_the_spool_never_exceeds_its_cap_and_the_oldest_go(process, receiver, clock, spool_dir):
    under_test, names = fill(process, receiver, 60, max_bytes=1 << 20)
    assert sum(path.stat().st_size for path in segments(spool_dir)) <= 1 << 20
    clock.now += 60
    under_test.work()
    assert receiver.taken == names[-len(receiver.taken) :]
    counts = under_test.account.counts()
    assert counts[("spooled", "none")] == 60
    assert counts[("replayed", "none")] == len(receiver.taken) >= 20
    assert counts[("dropped", "spool_full")] == 60 - len(receiver.taken)


def test_the_cap_holds_for_all_processes_together(process, receiver, clock, spool_dir):
    first, _ = fill(process, receiver, 30, max_bytes=1 << 20)
    second, _ = fill(process, receiver, 30, max_bytes=1 << 20)
    assert sum(path.stat().st_size for path in segments(spool_dir)) <= 1 << 20
    clock.now += 60
    first.work()
    second.work()
    for under_test in (first, second):
        counts = under_test.account.counts()
        assert counts[("spooled", "none")] == 30
        assert counts[("replayed", "none")] + counts[("dropped", "spool_full")] == 30
    assert first.account.counts()[("dropped", "spool_full")] > 0


def test_what_was_thrown_away_of_a_dead_process_stays_counted_when_who_counted_it_is_killed(
    process, receiver, clock
):
    fill(process, receiver, 30, max_bytes=1 << 20)[0].kill()
    receiver.answer = lambda _: Unavailable("later", retry_after_seconds=100)
    heir = process(max_bytes=1 << 20)
    heir.work()
    fill(process, receiver, 30, max_bytes=1 << 20)[0].kill()
    clock.now += 20
    # Time to look around, not yet to send.
    heir.lane.step()
    assert heir.account.counts()[("dropped", "spool_full")] > 0
    heir.kill()
    last = process(max_bytes=1 << 20)
    last.work()
    last.end()
    sums = last.spool.accounts.sum()
    assert sums[("spooled", "none")] == 60
    assert sums[("replayed", "none")] + sums[("dropped", "spool_full")] == 60


def test_a_record_larger_than_the_cap_stays_in_memory(process, receiver, clock):
    under_test = outage(process, receiver, os.urandom(700_000).hex(), max_bytes=1 << 19)
    assert under_test.errors
    clock.now += 60
    under_test.work()
    assert len(receiver.taken) == 1
    assert under_test.account.counts()[("exported", "none")] == 1


def test_metrics_get_no_more_than_their_share(process, receiver, spool_dir):
    fill(process, receiver, 10, signal="metrics", max_bytes=1 << 20)
    spans, _ = fill(process, receiver, 5, max_bytes=1 << 20)
    metrics = [path for path in segments(spool_dir) if path.parent.parent.name == "metrics"]
    assert 0 < sum(path.stat().st_size for path in metrics) <= (1 << 20) // 8
    assert spans.account.counts()[("dropped", "spool_full")] == 0


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("root", ["/proc/nowhere", "/dev/null/spool"])
def test_a_folder_that_cannot_be_made_leaves_everything_in_memory(
    process, receiver, clock, root, mode
):
    under_test = outage(process, receiver, "a", "b", root=Path(root), mode=mode)
    assert under_test.errors
    clock.now += 60
    under_test.work()
    assert receiver.taken == ["a", "b"]
    assert under_test.account.counts()[("exported", "none")] == 2
    under_test.lane.close(0)


@contextmanager
def full_disk():
    """Files of this process cannot grow beyond a little, as on a disk with little room."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("mode", MODES)
def test_a_full_disk_leaves_the_rest_in_memory_and_the_order_as_it_was(
    process, receiver, clock, mode
):
    names = [big(number) for number in range(6)]
    with full_disk():
        under_test = outage(process, receiver, *names[:4], mode=mode, max_bytes=1 << 24)
    assert {error.errno for error in under_test.errors} == {errno.EFBIG}
    receiver.answer = away
    for name in names[4:]:
        under_test.submit(name)
        under_test.work()
    receiver.answer = lambda _: Sent()
    clock.now += 60
    under_test.work()
    assert receiver.taken == names
    assert under_test.account.in_flight() == 0


def test_a_spool_that_is_removed_under_a_process_is_made_again(process, receiver, clock, spool_dir):
    under_test = outage(process, receiver, "lost")
    shutil.rmtree(spool_dir)
    receiver.answer = away
    clock.now += 60
    under_test.submit("kept")
    under_test.work()
    under_test.kill()
    receiver.answer = lambda _: Sent()
    process().work()
    assert receiver.taken == ["kept"]


def test_threads_and_processes_wait_for_each_others_moments(tmp_path):
    first, second = Spool(tmp_path, 1 << 20), Spool(tmp_path, 1 << 20)
    inside, most = [], []

    def work(spool: Spool) -> None:
        for _ in range(20):
            with spool.locked():
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work, args=(spool,)) for spool in (first, second) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1


def test_data_is_on_the_disk_before_it_is_sent_in_write_ahead(process, receiver, monkeypatch):
    order = []
    real = os.fdatasync

    def sync(descriptor: int) -> None:
        real(descriptor)
        order.append("disk")

    monkeypatch.setattr(os, "fdatasync", sync)
    under_test = process(mode="write-ahead")

    def note(_) -> Sent:
        order.append("sent")
        return Sent()

    receiver.answer = note
    under_test.submit("a")
    under_test.work()
    assert order == ["disk", "sent"]


def test_a_segment_is_not_followed_where_a_link_leads(tmp_path):
    folder = Folder(tmp_path / "writer", "traces")
    folder.make()
    (tmp_path / "target").write_text("untouched")
    os.symlink(tmp_path / "target", folder.segment(1))
    folder.append(encoded(Payload("traces", "application/json", b"[]", 1)), 1 << 20)
    assert (tmp_path / "target").read_text() == "untouched"


def test_a_child_that_outlives_its_parent_does_not_keep_what_was_the_parents(
    process, receiver, clock
):
    to_child, to_test = os.pipe(), os.pipe()
    parent = os.fork()
    if parent == 0:
        dying = outage(process, receiver, "a", "b")
        if os.fork() == 0:
            os.write(to_test[1], b"x")
            os.read(to_child[0], 1)
            os._exit(0)
        assert dying is not None
        signal.pause()
    os.read(to_test[0], 1)
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    heir = process()
    heir.work()
    os.write(to_child[1], b"x")
    for descriptor in (*to_child, *to_test):
        os.close(descriptor)
    assert receiver.taken == ["a", "b"]
    heir.kill()


def test_a_child_begins_with_nothing_and_keeps_its_own(process, receiver, clock, spool_dir):
    parent = outage(process, receiver, "parents")
    receiver.answer = away
    child = os.fork()
    if child == 0:
        parent.lane._reset_after_fork()
        parent.breaker.fail()
        parent.submit("childs")
        parent.lane.close(0)
        counts = parent.account.counts()
        os._exit(counts[("created", "none")] * 10 + counts[("spooled", "none")])
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 11
    writers = {path.parent.name for path in segments(spool_dir)}
    assert len(writers) == 2
    parent.kill()
