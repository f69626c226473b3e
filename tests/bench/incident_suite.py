"""Runs each incident in a whole stack, from the fault to the page and to its end.

    python -m tests.bench.incident_suite [--only NAME ...] [--settle SECONDS]
        [--quiet-minutes MINUTES] [--no-incidents] [--keep FILE] [--directory FOLDER]

A stack of its own plays traffic; for the quiet minutes nothing is wrong and no alert may fire. Then
one incident after the other happens until each alert that it must
cause is in Slack, critical ones also in the mailbox; then it stops, and the next begins when all
its alerts are told to be over. Exits with 0 when every page came in time (critical ones within the
promised seconds) and no other alert fired.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import httpx
import typer
from incidents.agents import PAST_NEEDED
from incidents.model import AbsentError, Incident, IncidentError, TooEarlyError
from incidents.past import NEEDED_SECONDS, give_past
from incidents.registry import ALL_INCIDENTS, find_incident
from rich.console import Console
from stack.assembly import StackOptions
from stack.client import StackClient
from stack.demo.paging import find_page, headline, message_text
from stack.demo.sources import Sources
from stack.demo.steps import StepFailedError
from stack.errors import StackError
from stack.running import running_stack

from tests.bench.incident_alarms import SETTINGS, alarms_of
from tests.bench.incident_report import CONSEQUENCES, Alarm, Course, Protocol
from tests.bench.incident_times import START_SECONDS, message_seconds, over_seconds
from tests.bench.quiet_hour import QuietTime, Watch

READY_SECONDS = 120.0
STEADY_REQUESTS = 20
LOOK_SECONDS = 0.5
_console = Console(width=150)


class Suite:
    """Runs incidents in a running stack, one after the other."""

    def __init__(self, client: StackClient, sources: Sources) -> None:
        self._client = client
        self._sources = sources
        # What followed from an incident may begin to fire when the next one happens already.
        self._aftermath: set[str] = set()

    def wait_for_steady_traffic(self, seconds: float) -> None:
        """Let traffic play, so that there is something to compare with.

        Raises:
            StepFailedError: requests fail or alerts fire although nothing is wrong.
        """
        time.sleep(seconds)
        if not self._poll(lambda: self._sources.load()["ok"] >= STEADY_REQUESTS, READY_SECONDS):
            raise StepFailedError(f"fewer than {STEADY_REQUESTS} requests were answered", "traffic")
        if alerts := self._firing():
            raise StepFailedError(f"with nothing wrong there fire {', '.join(alerts)}")

    def give_past(self) -> None:
        """Let what was played so far have been played at earlier times as well."""
        give_past(self._client)

    def watch_quiet_time(self, seconds: float, keep: Callable[[QuietTime], None]) -> QuietTime:
        """Play traffic with nothing wrong; return every alert that was pending or fired."""
        with httpx.Client(timeout=5.0, trust_env=False) as http:
            return Watch(self._client.url("prometheus"), http, keep).run(seconds)

    def run(self, incident: Incident) -> Course:
        """Run one incident from its start to the last message that it is over."""
        may_follow = CONSEQUENCES.get(incident.name, set())
        course = Course(incident.name, alarms_of(incident), may_follow | self._aftermath)
        self._aftermath = may_follow
        return self._run(incident, course, alone=True)

    def run_together(self, incidents: list[Incident]) -> Iterator[Course]:
        """Run incidents at the same time: what belongs to one is no surprise beside another.

        Gives each when it is over.
        """
        courses = [Course(one.name, alarms_of(one), set(self._aftermath)) for one in incidents]
        expected = {alarm.name for course in courses for alarm in course.alarms}
        expected.update(*(CONSEQUENCES.get(one.name, set()) for one in incidents))
        for course in courses:
            course.may_follow |= expected
            course.beside = expected - {alarm.name for alarm in course.alarms}
        self._aftermath = expected
        with ThreadPoolExecutor(len(courses)) as pool:
            begun = [
                pool.submit(self._run, incident, course, alone=False)
                for incident, course in zip(incidents, courses, strict=True)
            ]
            yield from (one.result() for one in as_completed(begun))

    def _run(self, incident: Incident, course: Course, *, alone: bool) -> Course:
        try:
            self._begin(incident)
            fault_at = datetime.now(UTC)
            try:
                longest = message_seconds(incident.name)
                self._poll(lambda: self._look(course, fault_at), longest)
            finally:
                incident.stop(self._client)
            stopped = time.monotonic()
            longest = over_seconds(incident.name)
            if self._poll(lambda: self._is_over(course, fault_at, stopped, alone), longest):
                course.over = time.monotonic() - stopped
        except AbsentError as reason:
            course.skipped = str(reason)
        except (IncidentError, StackError) as problem:
            course.failure = str(problem)
        return course

    def _begin(self, incident: Incident) -> None:
        """Start an incident when its time has come."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return incident.start(self._client)
            except TooEarlyError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(LOOK_SECONDS * 20)

    def _look(self, course: Course, fault_at: datetime) -> bool:
        """Note what is to be seen now; return whether every expected message has come."""
        firing = self._firing()
        seconds = (datetime.now(UTC) - fault_at).total_seconds()
        course.note_others(firing)
        for alarm in course.alarms:
            if alarm.firing is None and alarm.name in firing:
                alarm.severity, alarm.firing = firing[alarm.name], seconds
            self._note_messages(alarm, fault_at)
        return not any(alarm.awaited for alarm in course.alarms)

    def _note_messages(self, alarm: Alarm, fault_at: datetime) -> None:
        for sink in alarm.sinks:
            if sink in alarm.told:
                continue
            with suppress(StepFailedError):
                page = find_page(self._sources, sink, [alarm.name], fault_at)
                alarm.told[sink] = page.seconds

    def _is_over(self, course: Course, fault_at: datetime, stopped: float, alone: bool) -> bool:
        """Whether none of its alerts fires any more and Slack was told so of each it told."""
        firing = set(self._firing())
        course.note_others(firing)
        # What fires for reasons of its own is noted, and nothing waits for it.
        mine = {alarm.name for alarm in course.alarms} | (course.may_follow if alone else set())
        for alarm in course.alarms:
            if alarm.late:
                self._note_messages(alarm, fault_at)
        ended = self._told_to_be_over(fault_at)
        for alarm in course.alarms:
            told = not alarm.told or any(alarm.name in text for text in ended)
            if (
                alarm.over is None
                and alarm.firing is not None
                and alarm.name not in firing
                and told
            ):
                alarm.over = time.monotonic() - stopped
        told_of = [alarm for alarm in course.alarms if alarm.told]
        return not firing & mine and all(alarm.over is not None for alarm in told_of)

    def _told_to_be_over(self, fault_at: datetime) -> list[str]:
        """What Slack was told to be over since the fault."""
        since = [
            message
            for message in self._sources.messages("slack")
            if datetime.fromisoformat(message["received_at"]) >= fault_at
        ]
        return [message_text(m) for m in since if headline(m).startswith("[RESOLVED")]

    def _firing(self) -> dict[str, str]:
        """The alerts that fire, each with its severity, also when no series can be stored."""
        found = [one["labels"] for one in self._sources.alerts() if one["state"] == "firing"]
        found = [one for one in found if one["alertname"] != "Watchdog"]
        return {one["alertname"]: one["severity"] for one in found}

    def _poll(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Whether a condition comes true in time; a program that doesn't answer makes it false."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if condition():
                    return True
            except httpx.HTTPError:
                pass
            time.sleep(LOOK_SECONDS)
        return False


@contextmanager
def running_suite(directory: Path) -> Iterator[Suite]:
    """A stack with traffic while the block runs."""
    options = StackOptions(directory, settings=SETTINGS)
    with running_stack(options, fresh=True) as (client, _):
        client.wait_ready(timeout_seconds=READY_SECONDS)
        sources = Sources(client)
        try:
            yield Suite(client, sources)
        finally:
            sources.close()


def main(
    only: Annotated[list[str] | None, typer.Option(help="Incidents; all without.")] = None,
    more: Annotated[list[str] | None, typer.Argument(help="Further names after --only.")] = None,
    settle: Annotated[float, typer.Option(min=0, help="Seconds of traffic before.")] = 240.0,
    quiet_minutes: Annotated[float, typer.Option(min=0, help="With nothing wrong.")] = 0.0,
    incidents: Annotated[bool, typer.Option(help="Let incidents happen afterwards.")] = True,
    together: Annotated[bool, typer.Option(help="All at the same time.")] = False,
    keep: Annotated[Path | None, typer.Option(help="Keep what was seen here, as JSON.")] = None,
    directory: Annotated[Path | None, typer.Option(help="Keep the stack's files here.")] = None,
) -> None:
    """Exit with 0 when nothing fired in the quiet, each incident came to the page and no other."""
    try:
        chosen = [find_incident(name) for name in [*(only or []), *(more or [])] or ALL_INCIDENTS]
    except IncidentError as problem:
        raise typer.BadParameter(str(problem)) from None
    protocol = Protocol(keep)
    with tempfile.TemporaryDirectory() as temporary:
        try:
            with running_suite((directory or Path(temporary)).absolute()) as suite:
                past = incidents and any(one.name in PAST_NEEDED for one in chosen)
                settle = max(settle, NEEDED_SECONDS) if past else settle
                # A past is beside the next three hours: those that need it come first.
                chosen.sort(key=lambda one: one.name not in PAST_NEEDED)
                _console.print(f"traffic for {settle:g} s before the first look")
                suite.wait_for_steady_traffic(settle)
                if past:
                    suite.give_past()
                if quiet_minutes:
                    _watch(suite, quiet_minutes, protocol)
                if incidents and together:
                    for course in suite.run_together(chosen):
                        protocol.note_course(course)
                for incident in chosen if incidents and not together else ():
                    _console.print(f"{incident.name}: {incident.summary}")
                    protocol.note_course(suite.run(incident))
        except (StackError, StepFailedError) as problem:
            _console.print(str(problem), markup=False)
            raise typer.Exit(1) from None
        finally:
            if protocol.courses:
                _console.print(protocol.table())
    raise typer.Exit(0 if protocol.good else 1)


def _watch(suite: Suite, minutes: float, protocol: Protocol) -> None:
    _console.print(f"{minutes:g} minutes in which nothing is wrong")
    quiet = suite.watch_quiet_time(minutes * 60, protocol.note_quiet)
    _console.print(
        f"{len(quiet.false_alarms)} false alarms: {', '.join(quiet.false_alarms) or '-'}; "
        f"only pending: {', '.join(quiet.pending) or '-'}"
    )


if __name__ == "__main__":
    typer.run(main)
