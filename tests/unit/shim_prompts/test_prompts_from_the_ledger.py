"""Labels and versions from the ledger: cached, refreshed beside the agent, never in its way."""

from __future__ import annotations

import os
import stat
import threading
import time

import pytest
from midwatch import prompts
from midwatch.config import load_settings
from midwatch.pipeline.failures import FAILURES
from midwatch.prompts import PromptDefinitionError, PromptNotFoundError
from midwatch.prompts.cache import LedgerCache
from midwatch.prompts.ledger import LedgerClient
from midwatch.prompts.sources import PromptLibrary, library_from


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def connect(ledger, clock, tmp_path):
    """Makes a library on the ledger, as a process that starts would."""

    def make(folder=None, **given):
        options = {"patience_seconds": 20.0, "clock": clock, "ttl_seconds": 60.0, **given}
        cache = LedgerCache(LedgerClient(ledger.url, "key").fetch, tmp_path / "cache", **options)
        return PromptLibrary(folder, cache)

    return make


def text(library, label="production") -> str:
    definition, _ = library.labelled("greeting", label, "s")
    return definition.messages[0].content


def test_the_ledger_says_which_version_a_label_stands_for(ledger, connect):
    ledger.has("greeting", {"production": "2", "staging": "3"}, v2="Two.", v3="Three.")
    library = connect()
    assert text(library) == "Two."
    assert text(library, "staging") == "Three."
    assert ledger.requests == ["/prompts?name=greeting"]
    assert ledger.keys == ["Bearer key"]


def test_an_experiment_of_the_ledger_divides_the_sessions(ledger, connect):
    variants = {"a": {"version": "1", "weight": 1}, "b": {"version": "2", "weight": 1.5}}
    ledger.has("greeting", {"production": {"variants": variants}}, v1="One.", v2="Two.")
    library = connect()
    chosen = {library.labelled("greeting", "production", f"s{i}")[1].name for i in range(50)}
    assert chosen == {"a", "b"}


def test_a_rollback_is_taken_over_in_the_background(ledger, connect, clock, wait_until):
    ledger.has("greeting", {"production": "2"}, v1="One.", v2="Two.")
    library = connect()
    assert text(library) == "Two."
    ledger.has("greeting", {"production": "1"}, v1="One.", v2="Two.")
    clock.now += 59
    assert text(library) == "Two."
    assert len(ledger.requests) == 1
    ledger.delay_seconds = 0.2
    clock.now += 2
    began = time.monotonic()
    assert text(library) == "Two."
    assert time.monotonic() - began < 0.15, "what is old is given out without a wait"
    wait_until(lambda: text(library) == "One.")
    assert len(ledger.requests) == 2


def test_a_version_is_asked_for_once_and_then_known_for_ever(ledger, connect, clock):
    ledger.versions[("greeting", "7")] = {"version": "7", "template": "Seven."}
    library = connect()
    for _ in range(3):
        assert library.version("greeting", "7").messages[0].content == "Seven."
        clock.now += 1e6
    assert connect().version("greeting", "7").source == "ledger"
    assert ledger.requests == ["/prompts/greeting/versions/7"]


def test_a_label_may_stand_for_a_version_that_only_the_files_have(ledger, connect, folder):
    folder.write("greeting/4.md", "Four, from a file.")
    ledger.has("greeting", {"production": "4"})
    assert text(connect(folder.read())) == "Four, from a file."


def test_a_label_may_stand_for_a_version_that_has_to_be_asked_for(ledger, connect):
    ledger.has("greeting", {"production": "4"})
    ledger.versions[("greeting", "4")] = {"version": "4", "template": "Four."}
    assert text(connect()) == "Four."


def test_what_the_ledger_does_not_have_comes_from_the_files(ledger, connect, folder):
    folder.write("greeting/1.md", "From a file.")
    library = connect(folder.read())
    assert text(library) == "From a file."
    ledger.has("greeting", {"staging": "9"}, v9="Nine.")


def test_what_nobody_has_is_not_found(connect):
    with pytest.raises(PromptNotFoundError):
        text(connect())
    with pytest.raises(PromptNotFoundError):
        connect().version("greeting", "1")


@pytest.fixture
def told_once():
    """The failures counted during a test."""
    before = FAILURES.counts().get("prompts.ledger", 0)
    return lambda: FAILURES.counts().get("prompts.ledger", 0) - before


@pytest.mark.parametrize("status", [401, 500, 503])
def test_a_ledger_that_refuses_leaves_the_files(ledger, connect, folder, told_once, status):
    ledger.status = status
    folder.write("greeting/1.md", "From a file.")
    library = connect(folder.read())
    for _ in range(5):
        assert text(library) == "From a file."
    assert len(ledger.requests) == 1, "it is not asked again at once"
    assert told_once() == 1


def test_a_ledger_that_is_down_leaves_the_files(folder, tmp_path, told_once):
    folder.write("greeting/1.md", "From a file.")
    cache = LedgerCache(LedgerClient("http://127.0.0.1:9").fetch, tmp_path / "cache")
    assert text(PromptLibrary(folder.read(), cache)) == "From a file."
    assert told_once() == 1


WRONG = {
    "no JSON": b"<html>",
    "another shape": b'{"prompts": []}',
    "a list": b"[]",
    "a version without its text": (
        b'{"items": [{"name": "greeting", "labels": {"production": "1"},'
        b' "versions": [{"version": "1"}]}]}'
    ),
    "a version without a version": b'{"items": [{"name": "greeting", "versions": [{}]}]}',
    "a label for nothing": b'{"items": [{"name": "greeting", "labels": {"production": {}}}]}',
    "labels that are none": b'{"items": [{"name": "greeting", "labels": 3}]}',
}


@pytest.mark.parametrize("case", WRONG)
def test_a_ledger_that_answers_nonsense_leaves_the_files(ledger, connect, folder, told_once, case):
    ledger.raw = WRONG[case]
    folder.write("greeting/1.md", "From a file.")
    assert text(connect(folder.read())) == "From a file."
    assert told_once() == 1


def test_a_version_that_is_no_object_is_not_found(ledger, connect, told_once):
    ledger.raw = b"[]"
    with pytest.raises(PromptNotFoundError):
        connect().version("greeting", "1")
    assert told_once() == 1


def test_an_answer_that_is_too_large_is_not_read_to_its_end(ledger, monkeypatch):
    ledger.raw = b" " * 2000
    monkeypatch.setattr("midwatch.prompts.ledger._MAX_BYTES", 1000)
    with pytest.raises(ValueError, match="larger"):
        LedgerClient(ledger.url).fetch("greeting")


def test_a_hanging_ledger_holds_up_the_first_use_only_and_not_for_long(
    ledger, connect, folder, wait_until
):
    ledger.has("greeting", {"production": "2"}, v2="Two.")
    ledger.delay_seconds = 1.0
    folder.write("greeting/1.md", "From a file.")
    folder.write("other/1.md", "Another.")
    library = connect(folder.read(), patience_seconds=0.05)
    began = time.monotonic()
    assert text(library) == "From a file."
    first = time.monotonic() - began
    assert 0.04 < first < 0.8
    began = time.monotonic()
    assert text(library) == "From a file."
    assert library.labelled("other", "production", "")[0].messages[0].content == "Another."
    assert time.monotonic() - began < 0.04, "nobody waits again for a ledger that hangs"
    wait_until(lambda: text(library) == "Two.")


def test_many_threads_ask_once(ledger, connect):
    ledger.has("greeting", {"production": "2"}, v2="Two.")
    ledger.delay_seconds = 0.05
    library = connect()
    seen: list[str] = []
    threads = [threading.Thread(target=lambda: seen.append(text(library))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == ["Two."] * 20
    assert len(ledger.requests) == 1


def test_what_the_ledger_said_last_outlives_a_restart(ledger, connect, folder):
    ledger.has("greeting", {"production": "2"}, v2="Two.")
    folder.write("greeting/1.md", "From a file.")
    assert text(connect()) == "Two."
    ledger.status = 503
    assert text(connect(folder.read())) == "Two."


def test_a_rollback_before_a_restart_counts_at_once(ledger, connect, clock):
    ledger.has("greeting", {"production": "2"}, v1="One.", v2="Two.")
    assert text(connect(ttl_seconds=0.0)) == "Two."
    ledger.has("greeting", {"production": "1"}, v1="One.", v2="Two.")
    assert text(connect(ttl_seconds=0.0)) == "One."


def test_a_clock_that_was_set_back_makes_no_answer_fresh_for_ever(ledger, connect, monkeypatch):
    ledger.has("greeting", {"production": "2"}, v2="Two.")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 1e9)
    assert text(connect()) == "Two."
    monkeypatch.undo()
    connect().labelled("greeting", "production", "")
    assert len(ledger.requests) == 2


def test_what_is_kept_on_disk_is_for_its_owner_only(ledger, connect, tmp_path):
    ledger.has("greeting", {"production": "2"}, v2="Two.")
    text(connect(identity="one project"))
    (file,) = (tmp_path / "cache").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    ledger.status = 503
    with pytest.raises(PromptNotFoundError):
        text(connect(identity="another project"))


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 9}', '{"format": 1, "at": "x"}'])
def test_a_damaged_file_of_the_cache_is_as_good_as_none(ledger, connect, tmp_path, content):
    ledger.has("greeting", {"production": "2"}, v2="Two.")
    text(connect())
    (file,) = (tmp_path / "cache").iterdir()
    file.write_text(content)
    assert text(connect()) == "Two."
    assert len(ledger.requests) == 2


def test_a_cache_that_cannot_be_written_does_without(ledger, tmp_path):
    ledger.has("greeting", {"production": "2"}, v2="Two.")
    (tmp_path / "file").write_text("")
    cache = LedgerCache(
        LedgerClient(ledger.url).fetch, tmp_path / "file" / "cache", patience_seconds=20
    )
    assert text(PromptLibrary(None, cache)) == "Two."


def test_a_prompt_that_is_gone_from_the_ledger_is_forgotten(ledger, connect, tmp_path):
    ledger.has("greeting", {"production": "2"}, v2="Two.")
    text(connect())
    ledger.prompts.clear()
    with pytest.raises(PromptNotFoundError):
        text(connect(ttl_seconds=0.0))
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_worker_asks_for_itself(ledger, connect, clock):
    ledger.has("greeting", {"production": "2"}, v2="Two.")
    ledger.delay_seconds = 0.3
    library = connect(patience_seconds=0.0)
    with pytest.raises(PromptNotFoundError):
        text(library)
    # The thread that asks is not in the child, which must not wait for it.
    child = os.fork()
    if child == 0:
        clock.now += 3600
        library._ledger._patience = 20.0
        os._exit(0 if text(library) == "Two." else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_the_environment_says_where_prompts_are(ledger, folder, tmp_path, monkeypatch):
    ledger.has("greeting", {"production": "2"}, v2="Two.")
    folder.write("plain/1.md", "From a file.")
    for name, value in {
        "MIDWATCH_PROMPTS_DIR": str(folder.path),
        "MIDWATCH_LEDGER_URL": ledger.url + "/",
        "MIDWATCH_LEDGER_API_KEY": "secret-key",
        "MIDWATCH_PROMPTS_CACHE_DIR": str(tmp_path / "kept"),
        "MIDWATCH_PROMPTS_TTL": "5m",
        "MIDWATCH_PROMPTS_TIMEOUT": "20s",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(prompts, "_library", None)
    assert prompts.get("greeting").render().text == "Two."
    assert prompts.get("plain").render().text == "From a file."
    assert prompts.get("greeting").source == "ledger"
    assert set(ledger.keys) == {"Bearer secret-key"}
    for file in (tmp_path / "kept").iterdir():
        assert "secret-key" not in file.name + file.read_text()
    monkeypatch.setattr(prompts, "_library", None)


def test_without_settings_a_folder_prompts_here_is_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert library_from(load_settings({})).folder is None
    (tmp_path / "prompts").mkdir()
    found = library_from(load_settings({})).folder
    assert found is not None
    assert found.path == tmp_path / "prompts"


def test_a_wrong_file_is_told_even_though_there_is_a_ledger(ledger, connect, folder):
    folder.write("greeting/1.md", "{{ undeclared }}")
    with pytest.raises(PromptDefinitionError):
        text(connect(folder.read()))


def test_without_a_folder_nothing_is_kept_on_disk(ledger, tmp_path):
    ledger.has("greeting", {"production": "2"}, v2="Two.")
    cache = LedgerCache(LedgerClient(ledger.url).fetch, None, patience_seconds=20)
    assert text(PromptLibrary(None, cache)) == "Two."
    assert list(tmp_path.iterdir()) == []


def test_an_interpreter_that_ends_starts_no_thread_and_goes_on(
    ledger, connect, folder, told_once, monkeypatch
):
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread at interpreter shutdown")

    folder.write("greeting/1.md", "From a file.")
    library = connect(folder.read())
    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert text(library) == "From a file."
    assert told_once() == 1


def test_a_weight_that_is_a_truth_value_is_refused(ledger, connect, told_once):
    variants = {"a": {"version": "1", "weight": True}}
    ledger.has("greeting", {"production": {"variants": variants}}, v1="One.")
    with pytest.raises(PromptNotFoundError):
        text(connect())
    assert told_once() == 1
