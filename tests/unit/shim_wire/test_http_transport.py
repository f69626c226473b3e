"""One attempt over HTTP: what comes of it, in what time, and what the receiver sees."""

from __future__ import annotations

import gzip
import json
import os
import socket
import ssl
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from midwatch.pipeline.payloads import Misconfigured, Payload, Refused, Sent, Unavailable
from midwatch.pipeline.transport_http import RESPONSE_BYTES, HttpTarget, HttpTransport
from midwatch.pipeline.transport_outcomes import retry_after
from midwatch.pipeline.transport_parts import Tls
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

JSON = "application/json"
PAYLOAD = Payload("traces", JSON, b'{"resourceSpans":[]}', 3)

Talk = Callable[[socket.socket], None]


class Receiver:
    """A server that is exactly as good or bad as a test wants it to be."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.talk: Talk = self.answer(b"{}")
        self._context = context
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/traces"

    def answer(self, body: bytes, status: str = "200 OK", kind: str = JSON, more: str = "") -> Talk:
        """Answers each request of a connection like this."""
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}"

        def talk(connection: socket.socket) -> None:
            while self.read(connection):
                connection.sendall(f"{head}\r\n".encode() + body)

        return talk

    def read(self, connection: socket.socket) -> bytes:
        """A whole request; empty when the connection was closed."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = connection.recv(65536)
            if not more:
                return b""
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            (
                int(line[15:])
                for line in head.split(b"\r\n")
                if line[:15].lower() == b"content-length:"
            ),
            0,
        )
        while len(body) < length:
            body += connection.recv(65536)
        self.requests.append(head + b"\r\n\r\n" + body)
        return self.requests[-1]

    def header(self, name: str, number: int = -1) -> str | None:
        head = self.requests[number].partition(b"\r\n\r\n")[0].decode()
        for line in head.split("\r\n")[1:]:
            key, _, value = line.partition(": ")
            if key.lower() == name:
                return value
        return None

    def body(self, number: int = -1) -> bytes:
        return self.requests[number].partition(b"\r\n\r\n")[2]

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in self._open:
            connection.close()
        self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self._context:
                connection = self._context.wrap_socket(connection, server_side=True)
                self._open.append(connection)
            self.talk(connection)
            connection.close()
        except OSError:
            return


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    started = Receiver()
    yield started
    started.close()


@pytest.fixture
def transport() -> Iterator[Callable[..., HttpTransport]]:
    """Makes transports, which are closed after the test."""
    made: list[HttpTransport] = []

    def make(url: str, **target) -> HttpTransport:
        made.append(HttpTransport(HttpTarget(url, **target), "otlp"))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_a_payload_is_posted_as_it_is(receiver, transport):
    assert transport(receiver.url, headers={"x-team": "night"}).send(PAYLOAD, 5) == Sent()
    assert receiver.requests[0].startswith(b"POST /v1/traces HTTP/1.1\r\n")
    assert receiver.header("content-type") == JSON
    assert receiver.header("x-team") == "night"
    assert receiver.header("user-agent") == "midwatch"
    assert receiver.header("content-encoding") is None
    assert receiver.body() == PAYLOAD.body


@pytest.mark.parametrize(
    ("name", "undo"), [("gzip", gzip.decompress), ("deflate", zlib.decompress)]
)
def test_a_payload_is_compressed_if_that_is_asked_for(receiver, transport, name, undo):
    payload = Payload("traces", JSON, b"x" * 10_000, 1)
    assert transport(receiver.url, compression=name).send(payload, 5) == Sent()
    assert receiver.header("content-encoding") == name
    assert undo(receiver.body()) == payload.body
    assert len(receiver.body()) < 1000


def test_the_connection_is_kept(receiver, transport):
    sender = transport(receiver.url)
    for _ in range(3):
        assert sender.send(PAYLOAD, 5) == Sent()
    assert receiver.connections == 1


def test_a_kept_connection_that_was_closed_is_opened_anew_in_the_same_call(receiver, transport):
    def once(connection: socket.socket) -> None:
        receiver.read(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    receiver.talk = once
    sender = transport(receiver.url)
    for _ in range(3):
        assert sender.send(PAYLOAD, 5) == Sent()
    assert receiver.connections == 3


def test_a_connection_that_the_receiver_ends_is_not_used_again(receiver, transport):
    receiver.talk = receiver.answer(b"", more="Connection: close\r\n")
    sender = transport(receiver.url)
    assert [sender.send(PAYLOAD, 5) for _ in range(2)] == [Sent(), Sent()]
    assert receiver.connections == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_does_not_use_its_parents_connection(receiver, transport):
    sender = transport(receiver.url)
    assert sender.send(PAYLOAD, 5) == Sent()
    with sender._lock:  # as if another thread were sending at the moment of the fork
        child = os.fork()
        if child == 0:
            os._exit(0 if sender.send(PAYLOAD, 5) == Sent() else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert receiver.connections == 2
    assert sender.send(PAYLOAD, 5) == Sent()
    assert receiver.connections == 2


@pytest.mark.parametrize("status", ["429 Slow", "502 Bad", "503 Busy", "504 Late"])
def test_what_otlp_calls_retryable_is_unavailable_until_when_it_says(receiver, transport, status):
    receiver.talk = receiver.answer(b'{"message": "later"}', status, more="Retry-After: 7\r\n")
    outcome = transport(receiver.url).send(PAYLOAD, 5)
    assert outcome == Unavailable(f"HTTP {status[:3]}: later", 7.0)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, Refused) for status in ("400 Bad", "413 Large", "500 Oops")),
        *((status, Misconfigured) for status in ("401 No", "403 No", "404 No", "405 No", "407 No")),
    ],
)
def test_everything_else_is_refused_for_good_or_until_the_sender_is_corrected(
    receiver, transport, status, kind
):
    receiver.talk = receiver.answer(b"what is this", status, "text/plain")
    outcome = transport(receiver.url).send(PAYLOAD, 5)
    assert type(outcome) is kind
    assert outcome.reason.startswith(f"HTTP {status[:3]}")
    assert outcome.reason.endswith("what is this")


def test_a_redirect_is_refused_and_credentials_go_nowhere_else(receiver, transport):
    elsewhere = Receiver()
    receiver.talk = receiver.answer(b"", "307 There", more=f"Location: {elsewhere.url}\r\n")
    outcome = transport(receiver.url, headers={"x-api-key": "secret"}).send(PAYLOAD, 5)
    elsewhere.close()
    assert isinstance(outcome, Misconfigured)
    assert "final URL" in outcome.reason
    assert elsewhere.connections == 0


def test_items_that_were_refused_are_told_in_json(receiver, transport):
    partial = {"partialSuccess": {"rejectedSpans": "2", "errorMessage": "too old"}}
    receiver.talk = receiver.answer(json.dumps(partial).encode())
    assert transport(receiver.url).send(PAYLOAD, 5) == Sent(2, "too old")


def test_items_that_were_refused_are_told_in_protobuf(receiver, transport):
    response = ExportLogsServiceResponse()
    response.partial_success.rejected_log_records = 1
    response.partial_success.error_message = "no body"
    receiver.talk = receiver.answer(response.SerializeToString(), kind="application/x-protobuf")
    payload = Payload("logs", "application/x-protobuf", b"", 1)
    assert transport(receiver.url).send(payload, 5) == Sent(1, "no body")


@pytest.mark.parametrize("kind", [JSON, "application/x-protobuf", "text/html"])
@pytest.mark.parametrize(
    "body", [b"\xff\xff", b"[]", b'{"partialSuccess": {"rejectedSpans": "x"}}']
)
def test_an_answer_that_makes_no_sense_changes_nothing_about_a_success(
    receiver, transport, kind, body
):
    receiver.talk = receiver.answer(body, kind=kind)
    assert transport(receiver.url).send(PAYLOAD, 5) == Sent()


def test_no_more_of_an_answer_is_read_than_anybody_needs(receiver, transport):
    taken = threading.Event()

    def endless(connection: socket.socket) -> None:
        receiver.read(connection)
        connection.sendall(b"HTTP/1.1 400 Bad\r\nContent-Length: 9999999999\r\n\r\n")
        try:
            while True:
                connection.sendall(b"x" * RESPONSE_BYTES)
        except OSError:
            taken.set()

    receiver.talk = endless
    outcome = transport(receiver.url).send(PAYLOAD, 5)
    assert isinstance(outcome, Refused)
    assert len(outcome.reason) < 400
    assert taken.wait(5)


def silence(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def trickle(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"x")
        time.sleep(0.02)


@pytest.mark.parametrize("talk", [silence, trickle])
def test_who_never_finishes_answering_costs_no_more_than_the_time(receiver, transport, talk):
    receiver.talk = talk
    started = time.monotonic()
    outcome = transport(receiver.url).send(PAYLOAD, 0.3)
    assert isinstance(outcome, Unavailable)
    assert "Timeout" in outcome.reason
    assert time.monotonic() - started < 2


def test_who_does_not_read_costs_no_more_than_the_time(receiver, transport):
    enough = threading.Event()
    receiver.talk = lambda _: enough.wait(10)
    started = time.monotonic()
    outcome = transport(receiver.url).send(Payload("traces", JSON, b"x" * (32 << 20), 1), 0.3)
    enough.set()
    assert isinstance(outcome, Unavailable)
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("said", [b"", b"SSH-2.0\r\n", b"HTTP/1.1 banana\r\n\r\n", b"\x00" * 70000])
def test_who_does_not_speak_http_is_unavailable(receiver, transport, said):
    def talk(connection: socket.socket) -> None:
        receiver.read(connection)
        connection.sendall(said)

    receiver.talk = talk
    assert isinstance(transport(receiver.url).send(PAYLOAD, 5), Unavailable)


def test_nobody_there_is_unavailable(transport):
    outcome = transport("http://127.0.0.1:9/v1/traces").send(PAYLOAD, 5)
    assert isinstance(outcome, Unavailable)
    assert "ConnectionRefused" in outcome.reason


def test_a_second_attempt_at_the_same_time_does_not_wait_longer_than_its_own(receiver, transport):
    receiver.talk = silence
    sender = transport(receiver.url)
    first = threading.Thread(target=sender.send, args=(PAYLOAD, 1.0))
    first.start()
    while not receiver.connections:
        time.sleep(0.01)
    assert sender.send(PAYLOAD, 0.1) == Unavailable(
        "another attempt to reach this receiver is still under way"
    )
    sender.close()  # leaves the connection alone that is in use
    first.join()


def test_credentials_are_in_no_reason(receiver, transport):
    receiver.talk = receiver.answer(b"bad token: s3cr3t-token", "401 No", "text/plain")
    headers = {"authorization": "Bearer s3cr3t-token"}
    outcome = transport(receiver.url, headers=headers).send(PAYLOAD, 5)
    assert isinstance(outcome, Misconfigured)
    assert outcome.reason.endswith("bad token: ***")
    assert "s3cr3t-token" not in repr(HttpTarget(receiver.url, headers))


def test_a_header_that_http_cannot_carry_is_told_without_its_value(transport):
    outcome = transport("http://127.0.0.1:9/", headers={"x": "secret\nvalue"}).send(PAYLOAD, 5)
    assert isinstance(outcome, Unavailable)
    assert "secret" not in outcome.reason


@pytest.mark.parametrize(
    ("given", "seconds"),
    [(None, None), ("5", 5.0), ("-1", 0.0), ("soon", None), ("nan", None), ("1.5", 1.5)],
)
def test_the_time_to_wait_is_read(given, seconds):
    assert retry_after(given) == seconds


def test_the_time_to_wait_may_be_a_date():
    now = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
    at = format_datetime(now + timedelta(seconds=90), usegmt=True)
    assert retry_after(at, now.timestamp()) == 90
    assert retry_after(at.replace("GMT", "-0000"), now.timestamp()) == 90
    assert retry_after(at, now.timestamp() + 200) == 0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory):
    """A certificate authority, and files of certificates that it signed."""
    trustme = pytest.importorskip("trustme")
    folder = tmp_path_factory.mktemp("tls")
    own = trustme.CA()
    own.cert_pem.write_to_path(folder / "ca.pem")
    for name in ("localhost", "client@example.org"):
        issued = own.issue_cert(name)
        file = "server" if name == "localhost" else "client"
        issued.private_key_and_cert_chain_pem.write_to_path(folder / f"{file}.pem")
    return folder


@pytest.fixture
def secure(authority: Path) -> Iterator[Receiver]:
    """A receiver that wants a client's certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority / "ca.pem")
    context.load_cert_chain(authority / "server.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    started = Receiver(context)
    yield started
    started.close()


def secure_url(receiver: Receiver) -> str:
    return f"https://localhost:{receiver.port}/v1/traces"


def test_tls_proves_who_both_are(secure, authority, transport):
    tls = Tls(str(authority / "ca.pem"), str(authority / "client.pem"))
    assert transport(secure_url(secure), tls=tls).send(PAYLOAD, 5) == Sent()


def test_a_receiver_that_nobody_vouches_for_gets_nothing(secure, transport):
    outcome = transport(secure_url(secure)).send(PAYLOAD, 5)
    assert isinstance(outcome, Unavailable)
    assert "certificate" in outcome.reason.lower()
    assert not secure.requests


def test_where_the_system_has_no_authorities_those_of_certifi_are_taken(monkeypatch):
    nowhere = ssl.DefaultVerifyPaths("", "", "", "", "", "")
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: nowhere)
    certifi = pytest.importorskip("certifi")
    monkeypatch.setattr(certifi, "where", lambda: "no-such-bundle.pem")
    with pytest.raises(FileNotFoundError):
        Tls().context()
    monkeypatch.setitem(sys.modules, "certifi", None)
    assert Tls().context().check_hostname


def test_a_proxy_of_the_environment_is_used(receiver, transport, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://night:watch@127.0.0.1:{receiver.port}")
    assert transport("http://collector.example:4318/v1/traces").send(PAYLOAD, 5) == Sent()
    assert receiver.requests[0].startswith(b"POST http://collector.example:4318/v1/traces HTTP/1.1")
    assert receiver.header("proxy-authorization") == "Basic bmlnaHQ6d2F0Y2g="


def test_hosts_that_need_no_proxy_are_reached_without_it(receiver, transport, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert transport(receiver.url).send(PAYLOAD, 5) == Sent()


def test_a_proxy_is_asked_for_a_tunnel_to_a_secure_receiver(receiver, transport, monkeypatch):
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{receiver.port}")
    receiver.talk = receiver.answer(b"", "403 Forbidden")
    outcome = transport("https://collector.example/v1/traces").send(PAYLOAD, 5)
    assert isinstance(outcome, Unavailable)
    assert receiver.requests[0].startswith(b"CONNECT collector.example:443")


def test_a_proxy_that_is_none_of_http_is_told(transport, monkeypatch):
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:9")
    outcome = transport("http://collector.example/v1/traces").send(PAYLOAD, 5)
    assert isinstance(outcome, Unavailable)
    assert "socks5" in outcome.reason
