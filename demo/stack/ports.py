"""Free ports of the loopback interface, each given out once."""

from __future__ import annotations

import random
import socket
from collections.abc import Mapping
from pathlib import Path

import psutil

from stack.errors import PortTakenError, StackError

_LOWEST = 18_000
_HIGHEST = 32_000
_ATTEMPTS = 2_000


class PortBook:
    """Allocates ports by owner and name; asking again gives the same port.

    Ports come from below the range that the system uses for outgoing connections: while a program
    is being restarted no connection of another one can take its port.

    Args:
        fixed: ports that the user wants, by `owner` (for its port "http") or `owner.name`.
        random_source: where the search starts, so that two stacks rarely meet.
    """

    def __init__(
        self, fixed: Mapping[str, int] | None = None, random_source: random.Random | None = None
    ) -> None:
        self._fixed = dict(fixed or {})
        self._random = random_source or random.SystemRandom()
        self._given: dict[tuple[str, str], int] = {}

    def port(self, owner: str, name: str = "http") -> int:
        """Return the port of an owner under a name.

        Raises:
            PortTakenError: the user fixed it, and it is in use.
            StackError: no free port was found.
        """
        key = (owner, name)
        if key not in self._given:
            wanted = self._fixed.get(f"{owner}.{name}")
            if wanted is None and name == "http":
                wanted = self._fixed.get(owner)
            self._given[key] = self._take(owner, wanted) if wanted else self._find()
        return self._given[key]

    def check_names(self) -> None:
        """Refuse fixed ports that no program asked for.

        Raises:
            StackError: naming them and what there is.
        """
        known = {f"{owner}.{name}" for owner, name in self._given}
        known |= {owner for owner, name in self._given if name == "http"}
        unknown = sorted(set(self._fixed) - known)
        if unknown:
            raise StackError(
                f"no program has a port named {', '.join(unknown)}; --port takes NAME=NUMBER with "
                f"one of {', '.join(sorted(known))}"
            )

    def _take(self, owner: str, port: int) -> int:
        if port in self._given.values():
            raise PortTakenError(f"port {port} was asked for twice, the second time for {owner}")
        if not is_free(port):
            raise PortTakenError(
                f"port {port}, fixed for {owner}, is in use{_user_of(port)}. End that program, "
                f"give --port {owner}=NUMBER with a free port, or leave --port out: then a free "
                "one is taken."
            )
        return port

    def _find(self) -> int:
        taken = {*self._given.values(), *self._fixed.values()}
        for _ in range(_ATTEMPTS):
            port = self._random.randrange(_LOWEST, _HIGHEST)
            if port not in taken and is_free(port):
                return port
        raise StackError(f"no free loopback port was found between {_LOWEST} and {_HIGHEST}")


def is_free(port: int) -> bool:
    """Return whether a program could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do it: a connection that was closed a moment ago doesn't make a port busy.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def parse_fixed(texts: list[str]) -> dict[str, int]:
    """Read `NAME=NUMBER` texts.

    Raises:
        StackError: all that can't be read, with the form that is expected.
    """
    fixed, wrong = {}, []
    for text in texts:
        name, _, number = text.partition("=")
        if name and number.isdecimal() and 0 < int(number) < 65536:
            fixed[name] = int(number)
        else:
            wrong.append(text)
    if wrong:
        raise StackError(
            f"--port takes NAME=NUMBER with a number from 1 to 65535, for instance grafana=3000; "
            f"got {', '.join(map(repr, wrong))}"
        )
    return fixed


def _user_of(port: int) -> str:
    try:
        connections = psutil.net_connections("tcp")
    except psutil.Error:
        return ""
    for connection in connections:
        at_port = connection.laddr and connection.laddr.port == port
        if at_port and connection.status == psutil.CONN_LISTEN and connection.pid:
            return f" by process {connection.pid}{_name_of(connection.pid)}"
    return ""


def _name_of(pid: int) -> str:
    name = Path(f"/proc/{pid}/comm")
    return f" ({name.read_text().strip()})" if name.exists() else ""
