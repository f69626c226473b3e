"""The real programs, run from the rendered charts: telemetry arrives, faults page, kills heal."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from incidents.model import Incident
from incidents.registry import find_incident
from stack.demo.paging import find_page
from stack.demo.pictures import PLACES
from stack.demo.steps import StepFailedError
from stack.demo.telemetry import (
    complete_trace,
    events_present,
    other_agent_present,
    series_present,
    trace_in_tempo,
)

pytestmark = pytest.mark.programs

PAGE_SECONDS = 30.0


def test_every_series_of_the_security_agent_arrives(running: Any) -> None:
    running.until(lambda: series_present(running.sources))


def test_the_agent_without_telemetry_of_its_own_is_seen_too(running: Any) -> None:
    running.until(lambda: other_agent_present(running.sources))


def test_the_supervisors_probes_are_seen_as_readiness(running: Any) -> None:
    running.eventually(
        lambda: bool(running.sources.query('service_ready{service_name="security-agent"} == 1'))
    )


def test_chats_are_counted_as_requests_of_the_service(running: Any) -> None:
    running.eventually(
        lambda: bool(
            running.sources.query('chat_requests_total{service_name="security-agent"} > 0')
        )
    )


def test_event_lines_are_written(running: Any) -> None:
    running.until(lambda: events_present(running.sources))


def test_a_turn_is_one_whole_trace_in_the_ledger(running: Any) -> None:
    trace = running.until(lambda: complete_trace(running.sources))
    assert trace["service"] == "security-agent"
    if running.sources.has("tempo"):
        running.until(lambda: trace_in_tempo(running.sources, trace))


def test_all_scraped_programs_are_up(running: Any) -> None:
    running.eventually(lambda: len(running.sources.query("up == 1")) >= 4)
    assert running.sources.query("up == 0") == []


@pytest.mark.parametrize("program", [name for name in PLACES if name != "grafana"])
def test_the_places_that_the_demo_names_have_something_to_see(running: Any, program: str) -> None:
    address = f"{running.client.url(program)}{PLACES[program][1]}"
    answer = httpx.get(address, timeout=10, trust_env=False, follow_redirects=True)
    assert (answer.status_code, bool(answer.content)) == (200, True)


def test_metrics_on_the_page_carry_the_namespace_and_the_pushed_ones_do_not(running: Any) -> None:
    url = running.client.url("security-agent")
    page = httpx.get(f"{url}/metrics", timeout=10, trust_env=False).text
    assert "security_agent_agent_route_total" in page
    assert running.sources.query("security_agent_agent_route_total") == []


def agents_with(running: Any, alert: str) -> set[str]:
    """The agents of which an alert fires."""
    found = running.sources.query(f'ALERTS{{alertname="{alert}",alertstate="firing"}}')
    return {sample["metric"]["agent"] for sample in found}


def fingerprints(running: Any, alert: str, agent: str) -> set[str]:
    """By which the ledger knows the alerts of an agent that fire: each tool has its own."""
    answer = httpx.get(
        f"{running.client.url('ledger')}/monitoring/alerts",
        params={"status": "firing", "alertname": alert},
        timeout=10,
        trust_env=False,
    )
    known = answer.raise_for_status().json()
    return {one["fingerprint"] for one in known if one["labels"]["agent"] == agent}


def act(running: Any, path: str, **what: Any) -> None:
    url = f"{running.client.url('ledger')}{path}"
    answer = httpx.post(url, timeout=10, trust_env=False, follow_redirects=True, **what)
    answer.raise_for_status()


@pytest.fixture(scope="class")
def outage(running: Any) -> Iterator[tuple[Incident, datetime]]:
    """Put a tool out; give the incident and when it began. Its tests watch one: pages take time."""
    running.until(lambda: series_present(running.sources))
    incident = find_incident("tool-outage")
    incident.start(running.client)
    try:
        yield incident, datetime.now(UTC)
    finally:
        incident.stop(running.client)


class TestWhileAToolIsOut:
    def test_a_fault_pages_in_slack_and_by_mail_within_thirty_seconds(
        self, running: Any, outage: tuple[Incident, datetime]
    ) -> None:
        incident, fault_at = outage
        pages = running.until(
            lambda: [
                find_page(running.sources, sink, incident.alerts, fault_at)
                for sink in ("slack", "smtp")
            ]
        )
        assert max(page.seconds for page in pages) < PAGE_SECONDS
        (slack, mail) = pages
        assert slack.message["channel"] == "#on-call"
        assert mail.message["envelope"]["to"] == ["on-call@example.com"]
        buttons = slack.message["payload"]["attachments"][0]["actions"]
        assert [button["text"] for button in buttons] == [
            "Runbook",
            "Dashboard",
            "Traces",
            "Silence",
        ]
        assert all(button["url"].startswith("http") for button in buttons)

    def test_who_takes_a_page_on_ends_its_escalation_and_who_gives_it_back_does_not(
        self, running: Any, outage: tuple[Incident, datetime]
    ) -> None:
        page, escalation = "AgentToolFailureRatioHigh", "AgentToolFailureRatioHighEscalated"

        def taken_on(agent: str, take: Callable[[str], None]) -> Callable[[], bool]:
            """Take on each page of the agent, also those that come yet; is none escalated then?"""
            taken: set[str] = set()

            def calm() -> bool:
                for one in fingerprints(running, page, agent) - taken:
                    take(one)
                    taken.add(one)
                return agent not in agents_with(running, escalation)

            return calm

        def by_api(one: str) -> None:
            act(running, f"/alerts/{one}/acknowledge", json={"by": "ada"})

        def by_page(one: str) -> None:
            # What a person does: the page that the message links to, and its button.
            place = f"/console/alerts/{one}"
            shown = httpx.get(f"{running.client.url('ledger')}{place}", trust_env=False).text
            assert f'formaction="{place}/acknowledge"' in shown
            act(running, f"{place}/acknowledge", data={"note": "the appliance is down"})

        assert outage
        running.eventually(lambda: bool(agents_with(running, escalation)), seconds=90)
        agent = min(agents_with(running, escalation))
        running.eventually(taken_on(agent, by_api), seconds=60)
        assert agent in agents_with(running, page)

        for one in fingerprints(running, page, agent):
            act(running, f"/alerts/{one}/withdraw", json={"by": "ada"})
        running.eventually(lambda: agent in agents_with(running, escalation), seconds=60)

        running.eventually(taken_on(agent, by_page), seconds=60)
        assert agent in agents_with(running, page)


def test_the_ledger_keeps_the_history_of_alerts(running: Any) -> None:
    def told() -> bool:
        url = f"{running.client.url('ledger')}/monitoring/alerts"
        alerts = httpx.get(url, timeout=10, trust_env=False).json()
        return any(alert["alert_name"] == "AgentToolFailureRatioHigh" for alert in alerts)

    running.eventually(told)


@pytest.mark.parametrize(
    "name",
    [
        "collector",
        "prometheus",
        "alertmanager",
        "ledger",
        "slack",
        "smtp",
        "traffic",
        "retail-simulation",
    ],
)
def test_agents_answer_while_any_other_program_is_killed(running: Any, name: str) -> None:
    before = running.client.programs()[name]
    running.client.kill(name)
    assert running.chat().status_code == 200
    running.client.wait_ready([name], timeout_seconds=60)
    after = running.client.programs()[name]
    assert (after.url, after.restarts) == (before.url, before.restarts + 1)
    assert after.pid != before.pid
    assert running.chat().status_code == 200


@pytest.mark.parametrize("name", ["security-agent", "model-server", "appliance"])
def test_agents_answer_again_when_what_they_need_was_killed(running: Any, name: str) -> None:
    running.client.kill(name)
    running.client.wait_ready([name, "security-agent"], timeout_seconds=60)
    running.eventually(lambda: running.chat().status_code == 200)


def test_telemetry_arrives_again_after_all_the_kills(running: Any) -> None:
    moment = datetime.now(UTC).isoformat()

    def new_trace() -> dict[str, Any]:
        trace: dict[str, Any] = complete_trace(running.sources)
        if trace["start_time"] < moment:
            raise StepFailedError("the newest whole trace is an old one")
        return trace

    running.until(new_trace, 60)
    started = time.time()
    running.eventually(
        lambda: any(
            float(sample["value"][1]) > started
            for sample in running.sources.query(
                'timestamp(agent_turns_total{service_name="security-agent"})'
            )
        )
    )


def test_every_program_listens_on_the_loopback_interface_only(running: Any) -> None:
    addresses = {
        info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)
    }
    elsewhere = sorted(str(address) for address in addresses if not str(address).startswith("127."))
    for program in running.client.programs().values():
        for port in program.ports.values():
            for address in elsewhere:
                with socket.socket() as probe:
                    probe.settimeout(1)
                    assert probe.connect_ex((address, port)) != 0, f"{program.name} {port}"
