"""`python -m stack demo`: runs the demo and shows it."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import typer
from incidents.model import IncidentError
from incidents.registry import find_incident
from rich.markup import escape

from stack.assembly import StackOptions
from stack.client import ProgramStatus
from stack.demo.pictures import (
    closing_words,
    failure_table,
    page_panel,
    trace_tree,
    where_to_look,
)
from stack.demo.run import Demo
from stack.demo.screen import Screen
from stack.demo.steps import InterruptedDemoError, Outcome, Verdict, run_steps
from stack.invocation import command
from stack.tables import status_table

SHORTEST_SECONDS = 90.0
INTERRUPTED = 130


def run_demo(options: StackOptions, incident_name: str, duration: float | None) -> int:
    """Run the demo.

    Args:
        options: of the stack.
        incident_name: what goes wrong.
        duration: seconds until it ends by itself; None goes on until Ctrl-C.

    Returns:
        0 when every step was seen to work, 1 when one was not, 130 when it was ended before.
    """
    try:
        incident = find_incident(incident_name)
    except IncidentError as problem:
        raise typer.BadParameter(str(problem)) from None
    if duration is not None and duration < SHORTEST_SECONDS:
        raise typer.BadParameter(
            f"--duration is {duration:g}; the demo needs {SHORTEST_SECONDS:g} seconds or more"
        )
    screen, outcomes = Screen(), []
    with caught_signals() as interrupted:
        demo = Demo(options, incident, duration, interrupted)
        try:
            outcomes = _see(demo, screen)
        except InterruptedDemoError:
            screen.show("ended before all was seen")
            return INTERRUPTED
        finally:
            demo.close()
    return 0 if _all_seen(outcomes) else 1


def _see(demo: Demo, screen: Screen) -> list[Outcome]:
    outcomes = run_steps(demo.steps(), screen.began, screen.ended)
    programs = demo.programs()
    logs = {name: program.log for name, program in programs.items()}
    if programs:
        _show_findings(demo, programs, screen)
    if _all_seen(outcomes):
        screen.show("[bold green]Everything was seen to work.[/] Ctrl-C ends it.")
    else:
        _show_failures(outcomes, logs, screen)
    if programs:
        demo.stay()
        end = run_steps([demo.end_step()], screen.began, screen.ended)
        if not _all_seen(end):
            _show_failures(end, logs, screen)
        outcomes += end
    again = command("stack", *sys.argv[1:])
    screen.show(closing_words(demo.findings.pages, again))
    return outcomes


def _all_seen(outcomes: list[Outcome]) -> bool:
    return all(outcome.verdict is Verdict.SEEN for outcome in outcomes)


def _show_failures(outcomes: list[Outcome], logs: Mapping[str, str], screen: Screen) -> None:
    for outcome in outcomes:
        if outcome.verdict is Verdict.FAILED and "\n" in outcome.words:
            screen.show(escape(outcome.words))
    screen.show(failure_table(outcomes, logs))


def _show_findings(demo: Demo, programs: Mapping[str, ProgramStatus], screen: Screen) -> None:
    findings = demo.findings
    for page in findings.pages:
        screen.show(page_panel(page))
    if findings.trace is not None:
        screen.show(trace_tree(findings.trace))
    screen.show(status_table(programs.values()))
    screen.show(where_to_look(programs, demo.directory, findings.trace))


@contextmanager
def caught_signals() -> Iterator[threading.Event]:
    """Turn SIGINT, SIGTERM and SIGHUP into an event while the block runs."""
    event = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: event.set()) for number in numbers}
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
