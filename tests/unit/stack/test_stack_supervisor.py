"""The supervisor starts in order, keeps programs running, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict, Unpack

import httpx
import psutil
import pytest
from stack.client import ProgramStatus, StackClient
from stack.errors import NotRunningError, StackError
from stack.ports import PortBook
from stack.running import clear_leftovers
from stack.specification import HttpProbe, ProgramSpecification
from stack.state import DirectoryLock, is_alive, read_record
from stack.supervisor import StackThread, Supervisor
from stack.supervisor.marking import marked_processes

SERVER = Path(__file__).with_name("standin_server.py")


class Options(TypedDict, total=False):
    """What a test sets of a program besides its name and command."""

    environment: dict[str, str]
    ports: dict[str, int]
    readiness: HttpProbe
    liveness: HttpProbe
    after: tuple[str, ...]
    stop_seconds: float
    held: bool


class Lab:
    """Describes and runs stand-in programs in a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ports = PortBook()

    def server(
        self, name: str, *arguments: str, **options: Unpack[Options]
    ) -> ProgramSpecification:
        """Describe an HTTP server whose behaviour the arguments set."""
        port = self.ports.port(name)
        usual: Options = {
            "readiness": HttpProbe(port, "/ready", period_seconds=0.2, failure_threshold=2),
            "stop_seconds": 2.0,
            "ports": {"http": port},
        }
        command = (sys.executable, "-S", "-E", str(SERVER), str(port), *arguments)
        fields: Options = {**usual, **options}
        return ProgramSpecification(name, command, self.directory / name, **fields)

    def script(self, name: str, text: str, **options: Unpack[Options]) -> ProgramSpecification:
        """Describe a Python program."""
        command = (sys.executable, "-S", "-E", "-c", text)
        return ProgramSpecification(name, command, self.directory / name, **options)

    @contextmanager
    def running(self, *specifications: ProgramSpecification) -> Iterator[StackClient]:
        """Run programs while the block runs."""
        lock = DirectoryLock(self.directory)
        lock.acquire()
        port = self.ports.port("control")
        try:
            with (
                StackThread(lambda: Supervisor(self.directory, specifications, port)),
                StackClient.at(self.directory) as client,
            ):
                yield client
        finally:
            lock.release()


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def eventually(condition: Callable[[], object], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.05)


def status(client: StackClient, name: str) -> ProgramStatus:
    return client.programs()[name]


def test_a_program_starts_when_those_before_it_are_ready(lab: Lab) -> None:
    first = lab.server("first", "--ready-after", "0.6")
    second = lab.server("second", after=("first",))
    with lab.running(first, second) as client:
        client.wait_ready(timeout_seconds=15)
        started = {
            name: psutil.Process(program.pid).create_time()
            for name, program in client.programs().items()
        }
    assert started["second"] - started["first"] >= 0.5


def test_readiness_is_asked_for_all_the_programs_life(lab: Lab) -> None:
    with lab.running(lab.server("app")) as client:
        client.wait_ready(timeout_seconds=15)
        url = client.url("app")

        def asked() -> int:
            return int(httpx.get(f"{url}/asked", trust_env=False).text)

        before = asked()
        eventually(lambda: asked() >= before + 3)


def test_a_program_that_becomes_unready_is_told_and_not_restarted(lab: Lab) -> None:
    with lab.running(lab.server("app")) as client:
        client.wait_ready(timeout_seconds=15)
        pid = status(client, "app").pid
        httpx.post(f"{client.url('app')}/become-unready", trust_env=False)
        eventually(lambda: status(client, "app").state == "unready")
        assert status(client, "app").pid == pid


def test_a_program_that_fails_its_liveness_probe_is_restarted(lab: Lab) -> None:
    app = lab.server("app")
    probe = HttpProbe(app.ports["http"], "/ready", period_seconds=0.2, failure_threshold=2)
    app = lab.server("app", liveness=probe)
    with lab.running(app) as client:
        client.wait_ready(timeout_seconds=15)
        pid = status(client, "app").pid
        httpx.post(f"{client.url('app')}/become-unready", trust_env=False)
        eventually(lambda: status(client, "app").ready and status(client, "app").pid != pid)


def test_a_killed_program_comes_back_on_the_same_port(lab: Lab) -> None:
    with lab.running(lab.server("app")) as client:
        client.wait_ready(timeout_seconds=15)
        before = status(client, "app")
        client.kill("app")
        client.wait_ready(timeout_seconds=15)
        after = status(client, "app")
    assert after.pid != before.pid
    assert after.url == before.url
    assert after.restarts == 1
    assert after.last_exit == -signal.SIGKILL


def test_a_stopped_program_stays_stopped_until_it_is_started(lab: Lab) -> None:
    with lab.running(lab.server("app")) as client:
        client.wait_ready(timeout_seconds=15)
        client.stop("app")
        assert (status(client, "app").state, status(client, "app").pid) == ("stopped", None)
        client.start("app")
        client.wait_ready(["app"], timeout_seconds=15)


def test_a_held_program_waits_for_its_start(lab: Lab) -> None:
    with lab.running(lab.server("app", held=True)) as client:
        client.wait_ready(timeout_seconds=5)
        assert status(client, "app").state == "stopped"
        client.start("app")
        client.wait_ready(["app"], timeout_seconds=15)


def test_a_program_that_ignores_sigterm_is_killed_after_its_limit(lab: Lab) -> None:
    with lab.running(lab.server("deaf", "--ignore-sigterm", stop_seconds=0.3)) as client:
        client.wait_ready(timeout_seconds=15)
        began = time.monotonic()
        client.stop("deaf")
        assert 0.3 <= time.monotonic() - began < 5
        assert status(client, "deaf").pid is None


def test_a_program_that_dies_at_once_is_reported_with_the_end_of_its_log(lab: Lab) -> None:
    text = "print('no such table: runs'); raise SystemExit(3)"
    broken = lab.script("broken", text, readiness=HttpProbe(lab.ports.port("broken")))
    with lab.running(broken) as client:
        with pytest.raises(StackError) as caught:
            client.wait_ready(timeout_seconds=20)
        assert "broken ended 3 times right after its start, last with exit code 3" in str(
            caught.value
        )
        assert "no such table: runs" in str(caught.value)


def test_a_program_that_does_not_exist_is_reported(lab: Lab) -> None:
    absent = ProgramSpecification("absent", ("/nowhere/tempo",), lab.directory / "absent")
    with lab.running(absent) as client, pytest.raises(StackError, match="/nowhere/tempo"):
        client.wait_ready(timeout_seconds=20)


def test_a_late_program_is_named_with_its_log(lab: Lab) -> None:
    late = lab.server("late", "--ready-after", "60")
    with (
        lab.running(late) as client,
        pytest.raises(StackError, match=r"late is starting.*late\.log"),
    ):
        client.wait_ready(timeout_seconds=0.5)


def test_memory_of_a_program_counts_its_children(lab: Lab) -> None:
    text = (
        "import subprocess, sys, time\n"
        "child = 'x = bytearray(60_000_000); import time; time.sleep(60)'\n"
        "subprocess.Popen([sys.executable, '-S', '-E', '-c', child]); time.sleep(60)"
    )
    with lab.running(lab.script("parent", text)) as client:
        eventually(lambda: (status(client, "parent").rss_bytes or 0) > 60_000_000)


def test_nothing_is_left_after_the_end(lab: Lab) -> None:
    text = (
        "import subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-S', '-E', '-c', 'import time; time.sleep(60)'],\n"
        "                 start_new_session=True)\n"
        "time.sleep(60)"
    )
    with lab.running(lab.server("app"), lab.script("parent", text)) as client:
        client.wait_ready(timeout_seconds=15)
        mark = client.record.mark
        eventually(lambda: len(list(marked_processes(mark))) == 3)
    assert list(marked_processes(mark)) == []
    assert not (lab.directory / "stack.json").exists()


def test_programs_end_in_the_reverse_order_of_their_start(lab: Lab) -> None:
    log = lab.directory / "ends"
    text = (
        "import signal, sys, time\n"
        "def end(*_):\n"
        "    open({log!r}, 'a').write({name!r} + ' ')\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "open({up!r}, 'w')\n"
        "time.sleep(60)"
    )

    def program(name: str, *after: str) -> ProgramSpecification:
        up = str(lab.directory / f"{name}.up")
        return lab.script(name, text.format(log=str(log), name=name, up=up), after=after)

    with lab.running(program("store"), program("agent", "relay"), program("relay", "store")):
        eventually(lambda: len(list(lab.directory.glob("*.up"))) == 3)
    assert log.read_text().split() == ["agent", "relay", "store"]


def test_the_state_file_follows_a_restart(lab: Lab) -> None:
    with lab.running(lab.server("app")) as client:
        client.wait_ready(timeout_seconds=15)
        client.kill("app")
        client.wait_ready(timeout_seconds=15)
        eventually(
            lambda: read_record(lab.directory).programs["app"].pid == status(client, "app").pid
        )


def test_an_unknown_program_is_refused_with_those_there_are(lab: Lab) -> None:
    with lab.running(lab.server("app")) as client, pytest.raises(StackError, match="there are app"):
        client.kill("nothing")


def test_only_its_own_environment_reaches_a_program(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "of-the-shell")
    text = (
        "import os, json, time; print(json.dumps(sorted(os.environ)), flush=True); time.sleep(60)"
    )
    program = lab.script("app", text, environment={"A": "1"})
    with lab.running(program) as client:
        log = Path(status(client, "app").log)
        eventually(lambda: log.exists() and "\n" in log.read_text())
        names = json.loads(log.read_text().splitlines()[0])
    assert set(names) - {"LC_CTYPE"} == {"A", "MIDWATCH_STACK_MARK"}


@pytest.fixture
def orphaning(lab: Lab) -> Iterator[tuple[subprocess.Popen[bytes], Lab]]:
    """A supervisor in a process of its own, to be killed."""
    text = f"""
import sys, time
from pathlib import Path
from typing import TypedDict, Unpack
sys.path.insert(0, {str(Path(__file__).parent)!r})
from stack.specification import ProgramSpecification
from stack.state import DirectoryLock
from stack.supervisor import StackThread, Supervisor
directory = Path({str(lab.directory)!r})
lock = DirectoryLock(directory)
lock.acquire()
server = ({sys.executable!r}, "-S", "-E", {str(SERVER)!r}, "{lab.ports.port("app")}")
specifications = [ProgramSpecification("app", (*server, "--ignore-sigterm"), directory)]
with StackThread(lambda: Supervisor(directory, specifications, {lab.ports.port("control")})):
    time.sleep(120)
"""
    process = subprocess.Popen([sys.executable, "-c", text])
    try:
        yield process, lab
    finally:
        process.kill()
        process.wait()


def test_nothing_is_left_when_the_supervisor_is_killed(
    orphaning: tuple[subprocess.Popen[bytes], Lab],
) -> None:
    process, lab = orphaning
    eventually(lambda: (lab.directory / "stack.json").exists())
    mark = read_record(lab.directory).mark
    eventually(lambda: list(marked_processes(mark)))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    eventually(lambda: not list(marked_processes(mark)))


def test_a_stack_that_was_killed_is_told_as_such_and_can_be_cleared(
    orphaning: tuple[subprocess.Popen[bytes], Lab],
) -> None:
    process, lab = orphaning
    eventually(lambda: (lab.directory / "stack.json").exists())
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    # A child that was just being started has the supervisor's lock until it is a program itself.
    eventually(lambda: not is_alive(lab.directory))
    with pytest.raises(NotRunningError, match="python -m stack down"):
        StackClient.at(lab.directory)
    clear_leftovers(lab.directory)
    with pytest.raises(NotRunningError, match="python -m stack up"):
        StackClient.at(lab.directory)


def test_a_watchdog_that_was_killed_is_replaced(
    orphaning: tuple[subprocess.Popen[bytes], Lab],
) -> None:
    process, lab = orphaning

    def living_watchdog() -> psutil.Process | None:
        for child in psutil.Process(process.pid).children():
            try:
                if "watchdog.py" in " ".join(child.cmdline()):
                    return child
            except psutil.Error:
                continue  # It has just ended.
        return None

    seen: list[psutil.Process] = []

    def another_one() -> bool:
        found = living_watchdog()
        if found is not None and found not in seen:
            seen.append(found)
            return True
        return False

    eventually(lambda: (lab.directory / "stack.json").exists())
    mark = read_record(lab.directory).mark
    eventually(another_one)
    seen[0].kill()
    eventually(another_one)
    eventually(lambda: list(marked_processes(mark)))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    eventually(lambda: not list(marked_processes(mark)))
