"""The further incidents of the agents start, change only what they say, and stop again."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fault_control import FaultBoard
from incidents.agents import AGENT_INCIDENTS, PAST_NEEDED
from incidents.budgets import ForecastIncident, elapsed
from incidents.causes import starved
from incidents.faults import FaultIncident
from incidents.model import IncidentError, TooEarlyError
from incidents.packages import PackageIncident
from incidents.past import Series, Span, exposition, from_zero, repeated, spans_before
from incidents.registry import FURTHER_INCIDENTS
from incidents.spools import SpoolIncident
from midwatch.instrumentors.loader import load_entry_point
from midwatch.instrumentors.states import States
from model_server.engine import Engine
from model_server.settings import Settings
from toolchain import program_path
from traffic.faults import traffic_fault_board


class Programs:
    """Stands for a stack: what is stopped and started, in a folder of its own."""

    def __init__(self, directory: Path) -> None:
        self.record = SimpleNamespace(directory=str(directory))
        self.done: list[str] = []

    def url(self, name: str) -> str:
        return f"http://{name}"

    def programs(self) -> dict[str, Any]:
        return {name: SimpleNamespace(pid=1, state="ready") for name in ("security-agent",)}

    def stop(self, name: str) -> None:
        self.done.append(f"stop {name}")

    def start(self, name: str) -> None:
        self.done.append(f"start {name}")


@pytest.fixture
def stack(tmp_path: Path) -> Programs:
    (tmp_path / "programs" / "security-agent").mkdir(parents=True)
    return Programs(tmp_path)


def found(name: str) -> Any:
    return FURTHER_INCIDENTS[name]


def test_all_of_them_can_be_chosen_and_those_that_need_a_past_are_among_them() -> None:
    names = {one.name for one in AGENT_INCIDENTS}
    assert len(names) == len(AGENT_INCIDENTS)
    assert names >= PAST_NEEDED
    assert set(FURTHER_INCIDENTS) >= names


@pytest.mark.parametrize("one", [it for it in AGENT_INCIDENTS if isinstance(it, FaultIncident)])
def test_each_fault_is_one_that_its_server_takes(one: FaultIncident) -> None:
    boards: dict[str, FaultBoard] = {
        "model-server": Engine(Settings()).faults,
        "traffic": traffic_fault_board(),
    }
    for fault in one.faults:
        accepted = boards[fault.program].start(fault.name, dict(fault.parameters))
        assert accepted.model_dump().items() >= dict(fault.parameters).items()


def test_a_package_that_fails_is_there_while_the_incident_lasts(
    stack: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = found("broken-instrumentation")
    assert isinstance(package, PackageIncident)
    restart = ["stop security-agent", "start security-agent"]
    folder = Path(stack.record.directory) / "programs" / "security-agent"
    for _ in range(2):
        package.start(stack)
        assert package.active(stack)
        assert stack.done == restart
    monkeypatch.syspath_prepend(str(folder))
    (distribution,) = importlib.metadata.distributions(path=[str(folder)])
    (entry_point,) = distribution.entry_points
    states = States()
    load_entry_point(entry_point, states)
    assert ("orchid", "failed") in states.known()
    sys.modules.pop("orchid_telemetry", None)
    for _ in range(2):
        package.stop(stack)
        assert not package.active(stack)
        assert list(folder.iterdir()) == []
        assert stack.done == restart * 2


def test_a_disk_takes_nothing_while_the_collector_is_away_and_has_what_it_had_afterwards(
    stack: Programs,
) -> None:
    given = found("telemetry-not-kept")
    assert isinstance(given, SpoolIncident)
    with pytest.raises(IncidentError, match="disk of security-agent"):
        given.start(stack)
    spool = Path(stack.record.directory) / "programs" / given.program / given.folder
    spool.mkdir(parents=True)
    (spool / "lock").touch()
    paused: list[float] = []
    incident = SpoolIncident(
        given.name,
        given.summary,
        given.alerts,
        given.program,
        given.folder,
        given.seconds,
        paused.append,
    )
    for _ in range(2):
        incident.start(stack)
        assert incident.active(stack)
        assert paused == [180.0]
        assert stack.done == ["stop collector", "start collector"]
    with pytest.raises(OSError, match="lock"):
        (spool / "lock").open("a")
    for _ in range(2):
        incident.stop(stack)
        assert not incident.active(stack)
        assert [one.name for one in spool.iterdir()] == ["lock"]


class Told:
    """Stands for the cause of an incident: goes on until the program has been seen to stand."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.seen: list[str] = []

    def wait(self, seconds: float) -> bool:
        wanted = "T" if len(self.seen) % 2 == 0 else "S"
        wait_for(lambda: state_of(self._pid) == wanted, f"the program's state is {wanted}")
        self.seen.append(wanted)
        return len(self.seen) < 4


def test_a_starved_program_stands_still_and_runs_in_turn_and_is_let_run_at_the_end() -> None:
    program = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        wait_for(lambda: state_of(program.pid) == "S", "the program sleeps")
        told: Any = Told(program.pid)
        assert not starved.throttle(program.pid, told, 0.0, 0.0)
        assert told.seen == ["T", "S", "T", "S"]
        assert state_of(program.pid) != "T"
    finally:
        program.kill()
        program.wait()
    assert starved.throttle(program.pid, told, 0.0, 0.0)


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def wait_for(condition: Any, what: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, f"gave up waiting: {what}"
        time.sleep(0.01)


class Ledger:
    """Keeps budgets; the supervisor has spent the same in each period."""

    def __init__(self, spent_usd: float) -> None:
        other = {"scope": "everything", "scope_value": "*", "period": "day", "amount_usd": 3.0}
        self.kept: list[dict[str, Any]] = [other]
        self.others = [other]
        self._spent = spent_usd

    def request(self, method: str, url: str, *, json: Any, **_: object) -> httpx.Response:
        if method == "PUT":
            self.kept = json["budgets"]
        standing = [one | {"spent_usd": self._spent} for one in self.kept]
        return httpx.Response(200, json={"budgets": standing})


@pytest.mark.parametrize(
    ("now", "period", "share"),
    [
        ("2026-11-21T23:15:00", "hour", 0.25),
        ("2026-11-21T06:50:00", "day", 6 / 24 + 50 / 1440),
        ("2026-11-24T23:50:00", "week", (1 + 23 / 24 + 50 / 1440) / 7),
        ("2026-11-07T00:50:00", "month", (6 + 50 / 1440) / 30),
    ],
)
def test_a_budget_that_will_not_last_is_of_a_period_that_is_of_the_age_for_it(
    monkeypatch: pytest.MonkeyPatch, stack: Programs, now: str, period: str, share: float
) -> None:
    ledger = Ledger(spent_usd=2.0)
    monkeypatch.setattr("incidents.budgets.httpx.request", ledger.request)
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert elapsed(period, moment) == pytest.approx(share)
    incident = forecast(moment)
    for _ in range(2):
        incident.start(stack)
        (own,) = (one for one in ledger.kept if one not in ledger.others)
        assert (own["scope"], own["scope_value"], own["period"]) == ("agent", "supervisor", period)
        # If it goes on like this, a quarter more is spent than there is.
        assert 2.0 / share / own["amount_usd"] == pytest.approx(1.25, rel=1e-4)
    for _ in range(2):
        incident.stop(stack)
        assert ledger.kept == ledger.others
        assert not incident.active(stack)


@pytest.mark.parametrize(
    ("now", "spent"), [("2026-11-21T22:50:00", 2.0), ("2026-11-21T23:15", 0.0)]
)
def test_when_no_period_will_do_or_nothing_was_spent_it_is_too_early_and_no_budget_is_left(
    monkeypatch: pytest.MonkeyPatch, stack: Programs, now: str, spent: float
) -> None:
    ledger = Ledger(spent)
    monkeypatch.setattr("incidents.budgets.httpx.request", ledger.request)
    with pytest.raises(TooEarlyError):
        forecast(datetime.fromisoformat(now).replace(tzinfo=UTC)).start(stack)
    assert ledger.kept == ledger.others


def forecast(now: datetime) -> ForecastIncident:
    given = found("budget-will-not-last")
    return ForecastIncident(
        given.name, given.summary, given.alerts, given.agent, given.excess, lambda: now
    )


def test_a_recording_is_repeated_and_counters_go_on_growing_over_it() -> None:
    assert from_zero([(0.0, 7.0), (15.0, 9.0), (30.0, 1.0), (45.0, 4.0)]) == (
        (0.0, 0.0),
        (15.0, 2.0),
        (30.0, 3.0),
        (45.0, 6.0),
    )
    counter = Series({"__name__": "a_total"}, ((0.0, 0.0), (30.0, 6.0)), 60.0)
    assert list(repeated(counter, Span(1000.0, 1100.0))) == [
        (1000.0, 0.0),
        (1030.0, 6.0),
        (1060.0, 6.0),
        (1090.0, 12.0),
    ]
    gauge = Series({"__name__": "a"}, ((0.0, 5.0),), 60.0)
    assert list(repeated(gauge, Span(0.0, 70.0))) == [(0.0, 5.0), (60.0, 5.0)]


@pytest.mark.programs
def test_prometheus_has_the_past_in_its_store(tmp_path: Path) -> None:
    now = 1_795_000_000.0
    labels = {"__name__": "agent_turns_total", "odd": 'a "b" \\ c'}
    ticks = tuple((15.0 * number, float(number)) for number in range(60))
    series = [Series({**labels, "__name__": "a:b"}, ticks, 900.0), Series(labels, ticks, 900.0)]
    text = tmp_path / "past.txt"
    text.write_text("".join(exposition(series, spans_before(now))), encoding="utf-8")
    promtool, store = program_path("promtool"), tmp_path / "store"
    made = run(promtool, "tsdb", "create-blocks-from", "openmetrics", str(text), str(store))
    assert made.returncode == 0, made.stderr
    (store / "wal").mkdir()
    dumped = run(
        promtool, "tsdb", "dump", "--match", '{__name__="agent_turns_total"}', str(store)
    ).stdout
    at = sorted(int(line.split()[-1]) / 1000 for line in dumped.splitlines())
    assert at[0] == pytest.approx(now - 3 * 86_400 - 2400, abs=15)
    yesterday = [one for one in at if now - 86_400 - 2400 <= one <= now - 86_400 + 10_800]
    assert len(yesterday) == 13_200 / 15
    # Of today there is an hour, and nothing of the time that the stack itself has played.
    assert now - 2430 < at[-1] <= now - 2400
    assert '\\"b\\"' in dumped


def run(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(program), *arguments], capture_output=True, text=True, check=False)
