"""Incidents that are faults of the demo's servers, started and ended through their control."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import httpx
from stack.invocation import command

from incidents.model import IncidentError, Stack

_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True)
class Fault:
    """One fault of one program, with its parameters."""

    program: str
    name: str
    parameters: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class FaultIncident:
    """An incident that consists of one or more faults."""

    name: str
    summary: str
    alerts: tuple[str, ...]
    faults: tuple[Fault, ...]

    def start(self, stack: Stack) -> None:
        """Start all faults; when one cannot be started, those before it are ended again."""
        if self.active(stack):
            return
        started: list[Fault] = []
        try:
            for fault in self.faults:
                _call(stack, fault, "PUT", f"/control/faults/{fault.name}", fault.parameters)
                started.append(fault)
        except IncidentError:
            self._end(stack, started)
            raise

    def stop(self, stack: Stack) -> None:
        """End all faults, also when ending one of them fails; then the first failure is raised."""
        problems = self._end(stack, self.faults)
        if problems:
            raise problems[0]

    def active(self, stack: Stack) -> bool:
        """Tell whether all its faults are active with its parameters."""
        return all(_is_active(stack, fault) for fault in self.faults)

    def _end(self, stack: Stack, faults: tuple[Fault, ...] | list[Fault]) -> list[IncidentError]:
        problems: list[IncidentError] = []
        for fault in faults:
            try:
                _call(stack, fault, "DELETE", f"/control/faults/{fault.name}")
            except IncidentError as problem:
                problems.append(problem)
        return problems


def _is_active(stack: Stack, fault: Fault) -> bool:
    active = _call(stack, fault, "GET", "/control/state").get("faults")
    given = active.get(fault.name) if isinstance(active, dict) else None
    if not isinstance(given, dict):
        return False
    # Two incidents may use one fault with other parameters; only ours counts as ours.
    return all(given.get(name) == value for name, value in fault.parameters.items())


@cache
def _tls() -> ssl.SSLContext:
    """Made once: a client of its own takes longer to load certificates than a call takes."""
    return ssl.create_default_context()


def _call(
    stack: Stack,
    fault: Fault,
    method: str,
    path: str,
    body: Mapping[str, object] | None = None,
) -> dict[str, object]:
    url = f"{stack.url(fault.program)}{path}"
    try:
        with httpx.Client(verify=_tls(), timeout=_TIMEOUT_SECONDS, trust_env=False) as client:
            answer = client.request(method, url, json=None if body is None else dict(body))
    except httpx.HTTPError as error:
        raise IncidentError(
            f"{fault.program} does not answer at {url} ({type(error).__name__}). See its state with"
            f" `{command('stack', 'status')}`, and start it again if it is stopped."
        ) from error
    if answer.is_error:
        raise IncidentError(
            f"{fault.program} refused {method} {path}: {answer.status_code} {answer.text[:300]}"
        )
    value = answer.json()
    return value if isinstance(value, dict) else {}
