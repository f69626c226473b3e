"""Loopback ports for programs that tests start, each given out once.

A port that the system chooses is one that it gives to any outgoing connection a moment later, and
to another worker that asks. These lie below its range, apart from those of the demo's stack, and no
two workers of a run are given the same.
"""

from __future__ import annotations

import itertools
import os
import random

from stack.ports import is_free

_LOWEST = 10_000
_HIGHEST = 18_000
_WORKERS = 16


def _mine() -> list[int]:
    """Ports of this worker, from a place by chance on, so that two runs rarely meet."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
    ports = list(range(_LOWEST + worker, _HIGHEST, _WORKERS))
    start = random.SystemRandom().randrange(len(ports))
    return ports[start:] + ports[:start]


_ports = itertools.cycle(_mine())


def free_port() -> int:
    """A port where nobody listens, and which nobody else is given before 500 others."""
    return next(port for port in _ports if is_free(port))
