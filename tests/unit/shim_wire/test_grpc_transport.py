"""One attempt over gRPC: what comes of it, and what the receiver sees."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc  # type: ignore[import-untyped]
import pytest
import trustme
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from midwatch.pipeline.payloads import Misconfigured, Payload, Refused, Sent, Unavailable
from midwatch.pipeline.transport_grpc import GrpcTarget, GrpcTransport
from midwatch.pipeline.transport_parts import Tls
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

PROTOBUF = "application/x-protobuf"
PAYLOAD = Payload("traces", PROTOBUF, b"\x0a\x00", 3)
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


class Receiver(grpc.GenericRpcHandler):
    """Answers every call as a test says, and keeps what it got."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.methods: list[str] = []
        self.metadata: dict[str, str] = {}
        self.answer: Callable[[grpc.ServicerContext], bytes] = lambda _: b""

    def service(self, details):
        self.methods.append(details.method)
        self.metadata = dict(details.invocation_metadata)

        def handle(body: bytes, context: grpc.ServicerContext) -> bytes:
            self.bodies.append(body)
            return self.answer(context)

        return grpc.unary_unary_rpc_method_handler(handle)

    def fails(self, code: grpc.StatusCode, message: str, *metadata: tuple[str, bytes]) -> None:
        def answer(context: grpc.ServicerContext) -> bytes:
            context.set_trailing_metadata(metadata)
            context.abort(code, message)
            return b""

        self.answer = answer


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def address(receiver: Receiver) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(2), handlers=[receiver])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


@pytest.fixture
def transport(address: str) -> Iterator[GrpcTransport]:
    headers = {"X-Api-Key": "s3cr3t-token"}
    made = GrpcTransport(GrpcTarget(address, headers, "gzip", insecure=True), "otlp")
    yield made
    made.close()


def test_a_payload_is_sent_as_it_is_with_its_metadata(receiver, transport):
    assert transport.send(PAYLOAD, 5) == Sent()
    assert receiver.methods == [EXPORT]
    assert receiver.bodies == [PAYLOAD.body]
    assert receiver.metadata["x-api-key"] == "s3cr3t-token"


FORKING = """
import os, sys
from midwatch.pipeline.payloads import Payload, Sent
from midwatch.pipeline.transport_grpc import GrpcTarget, GrpcTransport
transport = GrpcTransport(GrpcTarget(sys.argv[1], insecure=True), "otlp")
def send(name):
    return transport.send(Payload("traces", "application/x-protobuf", name, 1), 20) == Sent()
assert send(b"")
child = os.fork()
if child == 0:
    os._exit(0 if send(b"") and send(b"") else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert send(b"")
"""


@pytest.mark.programs
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_parent_and_child_send_after_a_fork(receiver, address):
    done = subprocess.run(
        [sys.executable, "-c", FORKING, address], timeout=90, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert receiver.methods == [EXPORT] * 4


def test_items_that_were_refused_are_told(receiver, transport):
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = 2
    response.partial_success.error_message = "too old"
    receiver.answer = lambda _: response.SerializeToString()
    assert transport.send(PAYLOAD, 5) == Sent(2, "too old")


def test_an_answer_that_makes_no_sense_changes_nothing_about_a_success(receiver, transport):
    receiver.answer = lambda _: b"\xff\xff\xff"
    assert transport.send(PAYLOAD, 5) == Sent()


@pytest.mark.parametrize(
    "code",
    ["CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"],
)
def test_what_otlp_calls_retryable_is_unavailable(receiver, transport, code):
    receiver.fails(grpc.StatusCode[code], "later")
    assert transport.send(PAYLOAD, 5) == Unavailable(f"gRPC {code}: later")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        *((code, Refused) for code in ("INVALID_ARGUMENT", "INTERNAL")),
        *(
            (code, Misconfigured)
            for code in ("UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED")
        ),
    ],
)
def test_everything_else_is_refused_for_good_or_until_the_sender_is_corrected(
    receiver, transport, code, kind
):
    receiver.fails(grpc.StatusCode[code], "no")
    assert transport.send(PAYLOAD, 5) == kind(f"gRPC {code}: no")


def retry_info(seconds: float) -> RetryInfo:
    whole = int(seconds)
    delay = Duration(seconds=whole, nanos=int((seconds - whole) * 1e9))
    return RetryInfo(retry_delay=delay)


def status_with(seconds: float) -> bytes:
    detail = Any()
    detail.Pack(retry_info(seconds))
    return Status(code=8, details=[Any(), detail]).SerializeToString()


@pytest.mark.parametrize(
    "metadata",
    [
        ("google.rpc.retryinfo-bin", retry_info(1.5).SerializeToString()),
        ("grpc-status-details-bin", status_with(1.5)),
    ],
    ids=lambda pair: pair[0],
)
def test_a_receiver_that_had_too_much_takes_it_when_it_says(receiver, transport, metadata):
    receiver.fails(grpc.StatusCode.RESOURCE_EXHAUSTED, "full", ("other", b"1"), metadata)
    assert transport.send(PAYLOAD, 5) == Unavailable("gRPC RESOURCE_EXHAUSTED: full", 1.5)


def test_a_receiver_that_had_too_much_and_names_no_time_refuses(receiver, transport):
    details = ("grpc-status-details-bin", Status(code=8).SerializeToString())
    receiver.fails(grpc.StatusCode.RESOURCE_EXHAUSTED, "too large", details)
    assert isinstance(transport.send(PAYLOAD, 5), Refused)


def test_credentials_are_in_no_reason(receiver, transport):
    receiver.fails(grpc.StatusCode.UNAUTHENTICATED, "bad key s3cr3t-token")
    assert transport.send(PAYLOAD, 5) == Misconfigured("gRPC UNAUTHENTICATED: bad key ***")


def test_what_is_kept_as_json_and_is_none_is_refused(receiver, transport):
    outcome = transport.send(Payload("traces", "application/json", b"{", 1), 5)
    assert isinstance(outcome, Refused)
    assert not receiver.bodies


def test_tls_proves_who_both_are(receiver, tmp_path: Path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    issued = authority.issue_cert("client@example.org")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "client.pem")
    own = authority.issue_cert("localhost")
    credentials = grpc.ssl_server_credentials(
        [(own.private_key_pem.bytes(), own.cert_chain_pems[0].bytes())],
        authority.cert_pem.bytes(),
        require_client_auth=True,
    )
    server = grpc.server(ThreadPoolExecutor(1), handlers=[receiver])
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    tls = Tls(*(str(tmp_path / name) for name in ("ca.pem", "client.pem", "key.pem")))
    transport = GrpcTransport(GrpcTarget(f"localhost:{port}", tls=tls), "otlp")
    assert transport.send(PAYLOAD, 10) == Sent()
    transport.close()
    server.stop(None).wait()


def test_a_file_that_is_gone_is_told():
    tls = Tls("no-such-file.pem")
    outcome = GrpcTransport(GrpcTarget("localhost:9", tls=tls), "otlp").send(PAYLOAD, 1)
    assert isinstance(outcome, Unavailable)
    assert "no-such-file.pem" in outcome.reason
