"""Ports are free, given once, and refused with a remedy."""

from __future__ import annotations

import os
import socket

import pytest
from stack.errors import PortTakenError, StackError
from stack.ports import PortBook, parse_fixed


def test_asking_again_gives_the_same_port() -> None:
    book = PortBook()
    assert book.port("ledger") == book.port("ledger")
    assert book.port("ledger") != book.port("collector")


def test_a_given_port_can_be_listened_on() -> None:
    with socket.create_server(("127.0.0.1", PortBook().port("ledger"))) as server:
        assert server.getsockname()[0] == "127.0.0.1"


def test_a_fixed_port_is_given() -> None:
    free = PortBook().port("anything")
    assert PortBook({"grafana": free}).port("grafana") == free
    assert PortBook({"tempo.grpc": free}).port("tempo", "grpc") == free


def test_a_fixed_port_in_use_is_refused_with_its_user_and_a_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PortTakenError) as caught:
            PortBook({"grafana": port}).port("grafana")
    text = str(caught.value)
    assert f"port {port}, fixed for grafana, is in use by process {os.getpid()}" in text
    assert "--port grafana=NUMBER" in text


def test_a_port_fixed_for_no_program_is_refused_with_the_names_there_are() -> None:
    book = PortBook({"grafna": 3000})
    book.port("grafana")
    with pytest.raises(StackError, match=r"grafna; --port takes NAME=NUMBER with one of grafana"):
        book.check_names()


def test_all_unreadable_ports_are_told_at_once() -> None:
    with pytest.raises(StackError, match="'x', 'y=0', 'z=70000'"):
        parse_fixed(["a=1", "x", "y=0", "z=70000"])
