"""Asks a program for its state over and over, as a kubelet does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx

from stack.specification import HttpProbe

_STARTING_PERIOD_SECONDS = 0.1


async def probe_once(client: httpx.AsyncClient, probe: HttpProbe) -> bool:
    """Return whether the program answers with success in time."""
    try:
        answer = await client.get(
            probe.url, timeout=probe.timeout_seconds, headers={"user-agent": "kube-probe/midwatch"}
        )
    except (httpx.HTTPError, OSError):
        return False
    return 200 <= answer.status_code < 400


async def watch(
    client: httpx.AsyncClient, probe: HttpProbe, verdict: Callable[[bool], None]
) -> None:
    """Probe for ever, calling `verdict` on the first success and on each change after it.

    Until the first success the program is asked more often than its period says, so that a start
    takes no longer than it must. A failure counts after `failure_threshold` in a row.
    """
    good: bool | None = None
    failures = 0
    while True:
        success = await probe_once(client, probe)
        failures = 0 if success else failures + 1
        if success and not good:
            good = True
            verdict(True)
        elif good and failures >= probe.failure_threshold:
            good = False
            verdict(False)
        starting = good is None
        period = min(probe.period_seconds, _STARTING_PERIOD_SECONDS)
        await asyncio.sleep(period if starting else probe.period_seconds)
