"""`WS /monitoring/live` over real sockets: several replicas, slow clients, gaps, and who may."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from midwatch_ledger.models import LiveChange
from midwatch_ledger.models.content import HIDDEN
from midwatch_ledger.services import keys
from midwatch_ledger.services.keys import KeyWanted
from midwatch_ledger.services.roles import SCOPES
from midwatch_ledger.store import live as store
from midwatch_ledger.store.database import Database
from sqlalchemy import make_url, select
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.free_ports import free_port

pytestmark = pytest.mark.programs

PATIENCE_SECONDS = 60.0
ADMIN = "the-admin-key-of-this-test"
COOKIE = "midwatch-session"
SECRET = "swordfish"
HEARTBEAT_SECONDS = 1.0


class Replica:
    """One `midwatch-ledger serve`."""

    def __init__(self, folder: Path, url: str, name: str, **environment: str) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self.log = folder / f"{name}.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", "from midwatch_ledger.cli import main; main()", "serve"],
                stdout=log,
                stderr=log,
                env={
                    "PYTHONPATH": os.pathsep.join(sys.path),
                    "MIDWATCH_LEDGER_DATABASE_URL": url,
                    "MIDWATCH_LEDGER_LISTEN": self.address,
                    "MIDWATCH_LEDGER_API_KEY_FILE": str(folder / "key"),
                    "MIDWATCH_LEDGER_COOKIE_SECURE": "false",
                    "MIDWATCH_LEDGER_LIVE_POLL_SECONDS": "0.05",
                    "MIDWATCH_LEDGER_LIVE_HEARTBEAT_SECONDS": str(HEARTBEAT_SECONDS),
                    "MIDWATCH_LEDGER_LIVE_QUEUE_MESSAGES": "20",
                    **environment,
                },
            )

    def wait(self) -> None:
        """Wait until it is ready."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if httpx.get(f"http://{self.address}/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.1)
        pytest.fail(f"not ready: {self.log.read_text()}")

    def send(self, otlp: Any, *spans: Any) -> None:
        """Post spans."""
        body = otlp.traces(*spans).SerializeToString()
        headers = {"content-type": "application/x-protobuf", **bearer(ADMIN)}
        url = f"http://{self.address}/v1/traces"
        httpx.post(url, content=body, headers=headers, timeout=30).raise_for_status()

    def post(self, path: str, content: Any) -> None:
        """Post JSON."""
        url = f"http://{self.address}{path}"
        httpx.post(url, json=content, headers=bearer(ADMIN), timeout=30).raise_for_status()


class Pair:
    """Two replicas on one database."""

    def __init__(self, folder: Path, url: str, log_in: Callable[..., Any]) -> None:
        (folder / "key").write_text(ADMIN)
        self._log_in = log_in
        self.database = Database(make_url(url))
        self.replicas = [Replica(folder, url, name) for name in ("one", "two")]
        for replica in self.replicas:
            replica.wait()
        self._open = ExitStack()

    def listen(
        self, query: str = "", *, on: int = 1, headers: dict[str, str] | None = None, **options: Any
    ) -> ClientConnection:
        """Connect to a replica; the connection ends with the test."""
        return self._open.enter_context(self.connect(query, on=on, headers=headers, **options))

    def connect(
        self, query: str = "", *, on: int = 1, headers: dict[str, str] | None = None, **options: Any
    ) -> ClientConnection:
        """Connect to a replica."""
        address = f"ws://{self.replicas[on].address}/monitoring/live{query}"
        found = bearer(ADMIN) if headers is None else headers
        return connect(address, additional_headers=found, proxy=None, open_timeout=30, **options)

    def forget_clients(self) -> None:
        """Close what tests have opened."""
        self._open.close()

    def key(self, *scopes: str, project: str | None = None) -> dict[str, str]:
        """Make a key."""
        with self.database.writing() as connection:
            wanted = KeyWanted("test", scopes, project)
            _, secret = keys.create(connection, wanted, "tester", datetime.now(UTC))
        return bearer(secret)

    def person(self, **grants: str) -> dict[str, str]:
        """Log somebody in; give their browser's cookie."""
        cookie: dict[str, str] = self._log_in(self.database, **grants).cookie(COOKIE)
        return cookie

    def close(self) -> None:
        """End all; clients that still listen hold nothing up."""
        clients = [self.listen(on=number) for number in (0, 1)]
        for replica in self.replicas:
            replica.process.terminate()
        ended = [replica.process.wait(PATIENCE_SECONDS) for replica in self.replicas]
        codes = [code_at_end(one) for one in clients]
        self.forget_clients()
        self.database.close()
        assert (ended, codes) == ([0, 0], [1012, 1012])


def code_at_end(client: ClientConnection) -> int | None:
    """Give the code with which the ledger ends a conversation."""
    try:
        while True:
            client.recv(timeout=PATIENCE_SECONDS)
    except ConnectionClosed as closed:
        return None if closed.rcvd is None else closed.rcvd.code


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def running(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    migrated_file: Path,
    log_in: Callable[..., Any],
) -> Iterator[Pair]:
    """Give two replicas on one database of each kind, for all tests."""
    folder = tmp_path_factory.mktemp("live")
    url = f"sqlite:///{shutil.copy(migrated_file, folder / 'ledger.db')}"
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres")
        url = server.create_database(request.getfixturevalue("migrated_template"))
    pair = Pair(folder, url, log_in)
    yield pair
    pair.close()


@pytest.fixture
def pair(running: Pair) -> Iterator[Pair]:
    """Give the replicas without clients of other tests."""
    yield running
    running.forget_clients()


@pytest.fixture(scope="module")
def of_revoked_key(running: Pair) -> Iterator[ClientConnection]:
    """Give a client whose key has been revoked: replicas look for that every five seconds."""
    headers = running.key("read")
    with running.connect(headers=headers) as client:
        subscribe(client, "traces", filter={"project": "nobody's"})
        with running.database.writing() as connection:
            prefix = keys.prefix_of(headers["Authorization"].removeprefix("Bearer "))
            keys.revoke(connection, str(prefix), datetime.now(UTC))
        yield client


@pytest.fixture
def turn(otlp: Any) -> Callable[..., Any]:
    """Make OTLP for a new trace."""

    def make() -> Any:
        return type(otlp)(trace_id=uuid.uuid4().hex)

    return make


def hear(client: ClientConnection, kind: str, *, but: tuple[str, ...] = ("heartbeat",)) -> Any:
    """Give the next message, which is of this kind."""
    while True:
        said = json.loads(client.recv(timeout=PATIENCE_SECONDS))
        if said["type"] == kind:
            return said
        assert said["type"] in but, said


def say(client: ClientConnection, kind: str, **content: Any) -> None:
    client.send(json.dumps({"type": kind, **content}))


def subscribe(client: ClientConnection, *topics: str, **content: Any) -> Any:
    say(client, "subscribe", topics=topics, **content)
    return hear(client, "subscribed")


def test_what_one_replica_takes_is_told_on_the_other_by_topic_and_filter(
    pair: Pair, turn: Callable[..., Any]
) -> None:
    client = pair.listen()
    subscribe(client, "llm_calls", id="calls", filter={"agent": ["monitor", "nobody"]})
    subscribe(client, "traces", id="turns")
    otlp = turn()

    pair.replicas[0].send(otlp, *otlp.turn())

    told = [hear(client, "record") for _ in range(2)]
    assert [one["topic"] for one in told] == ["traces", "llm_calls"]
    assert [one["subscriptions"] for one in told] == [["turns"], ["calls"]]
    trace, call = (one["data"] for one in told)
    assert (trace["trace_id"], trace["llm_calls"]) == (otlp.trace_id, 2)
    assert (call["agent"], call["total_cost"]) == ("monitor", 0.0009)
    answer = httpx.get(
        f"http://{pair.replicas[1].address}/execution-logs/llm-calls", headers=bearer(ADMIN)
    ).json()
    assert call in answer


def test_events_feedback_and_alerts_are_told(pair: Pair, turn: Callable[..., Any]) -> None:
    otlp, client = turn(), pair.listen("?topics=alerts&severity=critical")
    hear(client, "subscribed")
    subscribe(client, "feedback", filter={"trace_id": otlp.trace_id})
    pair.replicas[0].post("/feedback", {"kind": "thumb", "value": "up", "trace_id": otlp.trace_id})
    assert hear(client, "record")["data"]["value"] == "up"
    fingerprint = uuid.uuid4().hex[:16]
    alert = {
        "status": "firing",
        "fingerprint": fingerprint,
        "startsAt": "2026-11-21T10:00:00Z",
        "labels": {"alertname": "AgentSilent", "severity": "critical"},
    }
    pair.replicas[0].post("/alerts/webhook", {"alerts": [alert]})
    assert hear(client, "record")["data"]["acknowledged_by"] is None

    pair.replicas[0].post(f"/alerts/{fingerprint}/acknowledge", {"by": "Ada"})

    assert hear(client, "record")["data"]["acknowledged_by"] == "Ada"


def test_who_comes_back_misses_nothing_and_hears_nothing_twice_on_any_replica(
    pair: Pair, turn: Callable[..., Any]
) -> None:
    first = pair.listen(on=0)
    subscribe(first, "executions", "llm_calls")
    otlp = turn()
    pair.replicas[1].send(otlp, *otlp.turn())
    expected = [hear(first, "record") for _ in range(5)]
    for heard in range(1, 5):
        again = pair.listen(on=heard % 2)

        subscribe(again, "executions", "llm_calls", last_id=expected[heard - 1]["id"])

        rest = [hear(again, "record")["id"] for _ in range(5 - heard)]
        assert rest == [one["id"] for one in expected[heard:]]


def test_each_replica_counts_who_listens_to_it(pair: Pair) -> None:
    def listening() -> list[float]:
        pages = [httpx.get(f"http://{each.address}/metrics").text for each in pair.replicas]
        return [
            float(line.split()[-1])
            for page in pages
            for line in page.splitlines()
            if line.startswith("midwatch_ledger_live_clients ")
        ]

    for number in (0, 1, 1):
        subscribe(pair.listen(on=number), "alerts")
    assert listening() == [1, 2]
    pair.forget_clients()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while listening() != [0, 0]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_gap_that_nobody_remembers_is_told(pair: Pair, turn: Callable[..., Any]) -> None:
    for _ in range(2):
        otlp = turn()
        pair.replicas[0].send(otlp, otlp.chat(1))
    with pair.database.reading() as connection:
        oldest = connection.scalar(select(LiveChange.id).order_by(LiveChange.id)) or 0
        place = store.changes_after(connection, store.START, 1)[0].position
    with pair.database.writing() as connection:
        store.forget(connection, oldest)

    client = pair.listen()
    subscribe(client, "traces", last_id=f"{place.xact:x}-{place.id:x}")

    missed = hear(client, "missed")
    assert missed["count"] is None
    assert missed["after"] == f"{place.xact:x}-{place.id:x}"


def test_a_slow_client_is_told_what_it_missed_and_holds_nobody_up(
    pair: Pair, turn: Callable[..., Any]
) -> None:
    slow, quick = pair.listen(max_queue=1, ping_interval=None, compression=None), pair.listen()
    slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 128 * 1024)
    otlp, count = turn(), 120
    began = subscribe(slow, "llm_calls", filter={"trace_id": otlp.trace_id})
    subscribe(quick, "traces")
    # More than the sockets between take up; answers are long, so that few fill them.
    for start in range(1, count + 1, 20):
        content = {"gen_ai__output__messages": "word " * 20_000}
        calls = [otlp.chat(number, **content) for number in range(start, start + 20)]
        pair.replicas[0].send(otlp, *calls)
        while hear(quick, "record", but=("heartbeat", "missed"))["data"]["trace_id"] != (
            otlp.trace_id
        ):
            continue

    heard: list[str] = []
    missed: list[Any] = []
    while len(heard) + sum(one["count"] for one in missed) < count:
        said = json.loads(slow.recv(timeout=PATIENCE_SECONDS))
        if said["type"] == "record":
            heard.append(said["id"])
        elif said["type"] == "missed":
            missed.append(said)
    again = pair.listen(max_queue=None)
    subscribe(again, "llm_calls", filter={"trace_id": otlp.trace_id}, last_id=began["last_id"])
    everything = [hear(again, "record")["id"] for _ in range(count)]

    assert missed
    assert heard == [one for one in everything if one in set(heard)]
    first = missed[0]
    left_out = everything[everything.index(first["after"]) + 1 :]
    assert left_out.index(first["until"]) + 1 == first["count"]


@pytest.mark.usefixtures("of_revoked_key")  # Its five seconds go by while others wait, too.
def test_silence_has_heartbeats_that_say_where_to_resume(pair: Pair) -> None:
    client = pair.listen()
    begun = subscribe(client, "traces", filter={"project": "nobody's"})

    beat = hear(client, "heartbeat")

    assert beat["last_id"].count("-") == 1
    assert subscribe(pair.listen(), "traces", last_id=begun["last_id"])["topics"] == ["traces"]
    say(client, "ping")
    assert hear(client, "pong")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"type": "subscribe", "topics": ["trace"]}, "there are traces, executions"),
        ({"type": "subscribe", "topics": ["alerts"], "filter": {"model": "x"}}, "fingerprint"),
        ({"type": "subscribe", "topics": ["alerts"], "last_id": "x"}, "last_id 'x' is not"),
        ({"type": "subscribe", "topics": []}, "topics"),
        ({"type": "unsubscribe", "id": "x"}, "there is no subscription 'x'"),
        ({"type": "shout"}, "subscribe"),
        ([], "message"),
    ],
)
def test_what_is_not_understood_is_told_and_the_conversation_goes_on(
    pair: Pair, said: Any, told: str
) -> None:
    client = pair.listen()
    client.send(json.dumps(said))

    assert told in hear(client, "error")["detail"]
    assert subscribe(client, "alerts")


def test_only_ones_own_project_is_told_and_content_by_policy(
    pair: Pair, turn: Callable[..., Any]
) -> None:
    clients = {
        "own": pair.listen(headers=pair.key("read", project="shop")),
        "other": pair.listen(headers=pair.key("read", project="bank")),
        "oncall": pair.listen(headers=pair.person(**{"shop": "oncall"})),
    }
    for client in clients.values():
        subscribe(client, "llm_calls")
    otlp = turn()
    for number, project in ((1, "shop"), (2, "bank")):
        content = {"gen_ai__input__messages": SECRET, "midwatch__project": project}
        pair.replicas[0].send(otlp, otlp.chat(number, **content))

    calls = {name: hear(client, "record")["data"] for name, client in clients.items()}

    assert [call["project"] for call in calls.values()] == ["shop", "bank", "shop"]
    assert [call["prompt"] for call in calls.values()] == [HIDDEN, HIDDEN, SECRET]
    for project in ("shop", "bank"):
        resumed = pair.listen(headers=pair.key("read", project=project))
        subscribe(resumed, "llm_calls", last_id="0-0")
        while (said := json.loads(resumed.recv(timeout=PATIENCE_SECONDS)))["type"] != "heartbeat":
            if said["type"] == "record":
                assert said["data"]["project"] == project
                assert SECRET not in json.dumps(said)


def refused(pair: Pair, **headers: str) -> int | None:
    """Give the status with which a connection is refused, None if it is not."""
    try:
        pair.listen(headers=headers)
    except InvalidStatus as error:
        return error.response.status_code
    return None


def test_every_scope_and_role_gets_what_the_table_of_permissions_says(pair: Pair) -> None:
    keyed = {scope: refused(pair, **pair.key(scope)) for scope in SCOPES}

    allowed = {"read", "admin"}
    assert keyed == {scope: None if scope in allowed else 403 for scope in SCOPES}
    for role in ("viewer", "oncall", "admin"):
        assert refused(pair, **pair.person(shop=role)) is None
    assert refused(pair, **pair.person()) == 403
    assert refused(pair) == 401
    assert refused(pair, Authorization="Bearer wrong") == 401


def test_a_page_of_somebody_else_gets_nothing_with_a_browsers_cookie(pair: Pair) -> None:
    cookie = pair.person(shop="viewer")

    assert refused(pair, **cookie, Origin="https://evil.example") == 403
    assert refused(pair, **cookie, Origin="null") == 403
    assert refused(pair, **cookie, Origin=f"http://{pair.replicas[1].address}") is None


def test_a_key_that_holds_no_more_ends_the_conversation(of_revoked_key: ClientConnection) -> None:
    with pytest.raises(ConnectionClosed) as closed:
        hear(of_revoked_key, "record")

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008
    assert "connect again" in closed.value.rcvd.reason
