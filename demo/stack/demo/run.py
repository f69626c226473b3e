"""The demo from the first program to the last check."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from incidents.model import Incident

from stack.assembly import StackOptions
from stack.client import ProgramStatus, StackClient
from stack.components import find_programs
from stack.demo.paging import Page, find_page, pages_before
from stack.demo.sources import Sources
from stack.demo.steps import InterruptedDemoError, Patience, Step, StepFailedError
from stack.demo.telemetry import (
    complete_trace,
    events_present,
    other_agent_present,
    series_present,
    trace_in_tempo,
)
from stack.running import running_stack
from stack.supervisor import StackThread
from stack.supervisor.marking import marked_processes

PAGE_SECONDS = 30.0  # What is promised for critical alerts.
_READY_SECONDS = 60.0
_ARRIVAL_SECONDS = 45.0
_TURNS_SECONDS = 30.0
_ENOUGH_TURNS = 3
_STOP_RESERVE_SECONDS = 14.0
_SINKS = ("slack", "smtp")


@dataclass
class Findings:
    """What the steps have found, for the pictures at the end."""

    trace: dict[str, Any] | None = None
    pages: tuple[Page, ...] = ()
    fault_at: datetime | None = None


class Demo:
    """The steps of the demo and what they share.

    Args:
        options: of the stack; traffic is held back until its step.
        incident: what goes wrong.
        duration: seconds until it ends by itself, counted from the moment at which the programs
            are there; None goes on until interrupted.
        interrupted: is set when the user wants to end.
    """

    def __init__(
        self,
        options: StackOptions,
        incident: Incident,
        duration: float | None,
        interrupted: threading.Event,
    ) -> None:
        self.findings = Findings()
        self._options = options
        self._incident = incident
        self._duration = duration
        self._interrupted = interrupted
        self._resources = contextlib.ExitStack()
        self._programs: Mapping[str, Path] = {}
        self._patience = Patience(None, self._wants_to_end)
        self._deadline: float | None = None
        self._client: StackClient | None = None
        self._thread: StackThread | None = None
        self._sources: Sources | None = None

    def steps(self) -> list[Step]:
        """Return everything that is to be seen, in order, but for the clean end."""
        incident = self._incident.name
        return [
            Step("programs are found or built", self._find_programs, True, shows_itself=True),
            Step("charts are rendered, programs started", self._start, True),
            Step("every program is ready", self._ready, True),
            Step("agents work on traffic", self._work, True),
            Step("series of the security agent are in Prometheus", self._series),
            Step("event lines are in the file", self._events),
            Step("one whole trace is in the ledger", self._trace),
            Step("the same trace is in Tempo", self._tempo),
            Step("nobody is paged while all is well", self._quiet),
            Step(f"incident {incident} starts", self._break, True),
            Step("the page is in Slack and in the mailbox", self._page),
            Step(f"incident {incident} stops", self._mend),
            Step("series of the uninstrumented agent are in Prometheus", self._other_series),
            Step("agents still work", self._still_work),
        ]

    def end_step(self) -> Step:
        """Return the step that ends the stack and sees that nothing is left."""
        return Step("everything has ended, nothing is left", self._end)

    def stay(self) -> None:
        """Wait until the duration is over, the user wants to end, or `down` has ended it."""
        while not self._wants_to_end():
            if self._deadline is not None and time.monotonic() >= self._deadline:
                return
            self._interrupted.wait(0.2)

    @property
    def directory(self) -> str:
        """The stack's directory, as commands take it."""
        return str(self._options.directory)

    def programs(self) -> dict[str, ProgramStatus]:
        """Return the state of the programs, empty when none was started."""
        return self._client.programs() if self._client is not None else {}

    def close(self) -> None:
        """End whatever still runs."""
        self._resources.close()
        self._client = None

    def _wants_to_end(self) -> bool:
        return self._interrupted.is_set() or (self._thread is not None and self._thread.ended)

    def _find_programs(self) -> str:
        self._programs = find_programs()
        if self._duration is not None:
            self._deadline = time.monotonic() + self._duration - _STOP_RESERVE_SECONDS
            self._patience = Patience(self._deadline, self._wants_to_end)
        absent = [name for name in ("tempo", "grafana") if name not in self._programs]
        without = f"; not on PATH, so left out: {', '.join(absent)}" if absent else ""
        return f"{', '.join(sorted(self._programs))}{without}"

    def _start(self) -> str:
        self._client, self._thread = self._resources.enter_context(
            running_stack(self._options, self._programs, fresh=True)
        )
        self._sources = Sources(self._client)
        self._resources.callback(self._sources.close)
        return f"{len(self._client.record.programs)} programs in {self._options.directory}"

    def _ready(self) -> str:
        client = self._running()
        names = [name for name in client.record.programs if name != "traffic"]

        def watching(_: object) -> None:
            if self._wants_to_end():
                raise InterruptedDemoError

        seconds = _READY_SECONDS
        if self._deadline is not None:
            seconds = min(seconds, self._deadline - time.monotonic())
        client.wait_ready(names, timeout_seconds=seconds, watching=watching)
        return f"{len(names)} programs"

    def _work(self) -> str:
        self._running().start("traffic")

        def look() -> str:
            load = self._known().load()
            if load["ok"] < _ENOUGH_TURNS:
                raise StepFailedError(
                    f"{load['ok']} of {load['requests']} requests were answered well "
                    f"{load['last_failure']}".strip(),
                    "traffic",
                    "security-agent",
                )
            return f"{load['ok']} requests answered, median {load['p50_seconds']:.2f} s"

        return self._patience.until(look, _TURNS_SECONDS)

    def _series(self) -> str:
        return self._patience.until(lambda: series_present(self._known()), _ARRIVAL_SECONDS)

    def _other_series(self) -> str:
        return self._patience.until(lambda: other_agent_present(self._known()), _ARRIVAL_SECONDS)

    def _events(self) -> str:
        return self._patience.until(lambda: events_present(self._known()), _ARRIVAL_SECONDS)

    def _trace(self) -> str:
        trace = self._patience.until(lambda: complete_trace(self._known()), _ARRIVAL_SECONDS)
        self.findings.trace = trace
        return f"{trace['span_count']} spans, {trace['llm_calls']} model calls"

    def _tempo(self) -> str:
        sources, trace = self._known(), self.findings.trace
        if not sources.has("tempo"):
            return "Tempo is not on PATH: the ledger's console shows the traces"
        if trace is None:
            raise StepFailedError("there is no trace to look for", "collector", "tempo")
        return self._patience.until(lambda: trace_in_tempo(sources, trace), _ARRIVAL_SECONDS)

    def _quiet(self) -> str:
        early = pages_before(self._known(), _SINKS, datetime.min.replace(tzinfo=UTC))
        if early:
            raise StepFailedError("; ".join(early), "alertmanager", "prometheus")
        return "no message in Slack or the mailbox"

    def _break(self) -> str:
        self._incident.start(self._running())
        self.findings.fault_at = datetime.now(UTC)
        return self._incident.summary

    def _page(self) -> str:
        fault_at = self.findings.fault_at or datetime.now(UTC)
        sources, alerts = self._known(), self._incident.alerts

        def look() -> tuple[Page, ...]:
            return tuple(find_page(sources, sink, alerts, fault_at) for sink in _SINKS)

        pages = self._patience.until(look, 2 * PAGE_SECONDS)
        self.findings.pages = pages
        said = ", ".join(f"{page.sink} {page.seconds:.1f} s" for page in pages)
        if max(page.seconds for page in pages) > PAGE_SECONDS:
            raise StepFailedError(
                f"promised within {PAGE_SECONDS:g} s of the fault, came after {said}",
                "prometheus",
                "alertmanager",
            )
        return f"{pages[0].alert}: {said} after the fault"

    def _mend(self) -> str:
        self._incident.stop(self._running())
        return "as before"

    def _still_work(self) -> str:
        before = self._patience.until(lambda: int(self._known().load()["ok"]), _TURNS_SECONDS)

        def look() -> str:
            now = int(self._known().load()["ok"])
            # A load driver that was restarted counts from zero again.
            if now == 0 or now == before:
                raise StepFailedError("no request was answered well since", "traffic")
            return f"{now} requests answered"

        return self._patience.until(look, _TURNS_SECONDS)

    def _end(self) -> str:
        mark = self._running().record.mark
        self.close()
        left = [f"{process.pid} {process.name()}" for process in marked_processes(mark)]
        if left:
            raise StepFailedError(f"still running: {', '.join(left)}")
        return "no process, no port"

    def _running(self) -> StackClient:
        if self._client is None:
            raise StepFailedError("the stack does not run")
        return self._client

    def _known(self) -> Sources:
        if self._sources is None:
            raise StepFailedError("the stack does not run")
        return self._sources
