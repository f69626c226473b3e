"""What people read: rendered by the real template engine, compared with what was looked at.

`UPDATE_GOLDEN=1 pytest tests/rules/test_messages.py` writes the texts anew; read the difference.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

ALERTMANAGER = Path(__file__).resolve().parents[2] / "prometheus-rules" / "alertmanager"
GOLDEN = ALERTMANAGER / "golden"
CASES = sorted(file.stem for file in GOLDEN.glob("*.json"))
TEMPLATES = {
    "midwatch.title": "txt",
    "midwatch.text": "txt",
    "midwatch.color": "txt",
    "midwatch.email.subject": "txt",
    "midwatch.email.text": "txt",
    "midwatch.email.html": "html",
    "midwatch.teams.text": "txt",
}

# Compared with the mail's links instead of files of their own.
SLACK_LINKS = (
    "midwatch.runbook.link",
    "midwatch.dashboard.link",
    "midwatch.traces.link",
    "midwatch.silence",
    "midwatch.acknowledge",
)
GRAFANA, LEDGER = "https://grafana.midwatch.invalid", "https://ledger.midwatch.invalid"

pytestmark = pytest.mark.programs


def render(
    amtool: Path, template: str, data: Path, kind: str = "txt", folder: Path = ALERTMANAGER
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            amtool,
            "template",
            "render",
            f"--template.glob={folder}/*.tmpl",
            f"--template.type={'html' if kind == 'html' else 'text'}",
            f'--template.text={{{{ template "{template}" . }}}}',
            f"--template.data={data}",
        ],
        capture_output=True,
        text=True,
        check=False,
    )


def text_of(amtool: Path, template: str, case: str) -> str:
    result = render(amtool, template, GOLDEN / f"{case}.json", TEMPLATES.get(template, "txt"))
    assert result.returncode == 0, result.stderr
    return result.stdout.rstrip("\n")


def test_the_cases_are_one_many_resolved_and_without_annotations() -> None:
    assert {"one", "many", "resolved", "no_annotations"} <= set(CASES)


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("case", CASES)
def test_a_message_is_what_was_looked_at(amtool: Path, case: str, template: str) -> None:
    text = text_of(amtool, template, case) + "\n"
    golden = GOLDEN / f"{case}.{template.removeprefix('midwatch.')}.{TEMPLATES[template]}"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_a_template_that_is_not_defined_fails(amtool: Path) -> None:
    assert render(amtool, "midwatch.titel", GOLDEN / "one.json").returncode != 0


def test_a_template_that_calls_one_that_is_not_defined_fails(amtool: Path, tmp_path: Path) -> None:
    for file in ALERTMANAGER.glob("*.tmpl"):
        text = file.read_text(encoding="utf-8")
        broken = text.replace('{{ template "midwatch.name" . }}', '{{ template "midwatch.nme" . }}')
        (tmp_path / file.name).write_text(broken, encoding="utf-8")
    result = render(amtool, "midwatch.title", GOLDEN / "one.json", folder=tmp_path)
    assert result.returncode != 0


def test_every_template_that_is_called_is_defined() -> None:
    text = "".join(file.read_text(encoding="utf-8") for file in ALERTMANAGER.glob("*.tmpl"))
    defined = set(re.findall(r'define "([^"]+)"', text))
    assert set(re.findall(r'template "([^"]+)"', text)) <= defined
    assert set(TEMPLATES) <= defined


def test_the_title_says_state_number_severity_and_name(amtool: Path) -> None:
    assert text_of(amtool, "midwatch.title", "one") == (
        "[FIRING:1] critical AgentToolFailureRatioHigh"
    )
    assert text_of(amtool, "midwatch.title", "resolved").startswith("[RESOLVED:1]")


def test_a_line_says_what_where_since_when_and_how_bad(amtool: Path) -> None:
    text = text_of(amtool, "midwatch.text", "one")
    for part in (
        "config_manager",
        "tool_set_protection_mode",
        "since 21 Nov 03:12:05 UTC",
        "62.5%",
    ):
        assert part in text


def test_a_storm_is_cut_and_counted(amtool: Path) -> None:
    firing = sum(
        alert["status"] == "firing"
        for alert in json.loads((GOLDEN / "many.json").read_text(encoding="utf-8"))["alerts"]
    )
    for template in ("midwatch.text", "midwatch.email.text", "midwatch.email.html"):
        assert f"and {firing - 8} more" in text_of(amtool, template, "many")


def test_slack_gets_no_markup_from_labels(amtool: Path) -> None:
    text = text_of(amtool, "midwatch.text", "many")
    assert "<script>" not in text
    assert "&lt;script&gt; &amp; co." in text


class Page(HTMLParser):
    """Collects the links and the tags of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name == "href" and value]


def page_of(amtool: Path, case: str) -> Page:
    page = Page()
    page.feed(text_of(amtool, "midwatch.email.html", case))
    return page


def test_the_mail_has_a_link_each_and_no_style_sheet_or_script(amtool: Path) -> None:
    page = page_of(amtool, "one")
    assert len(page.links) == len(SLACK_LINKS)
    assert not page.tags & {"style", "script", "link", "img"}


@pytest.mark.parametrize("case", ["one", "resolved"])
def test_mail_and_slack_have_the_same_links(amtool: Path, case: str) -> None:
    # html/template encodes as the standard says; both decode to the same page. What is over needs
    # no acknowledgement.
    links = [text_of(amtool, link, case) for link in SLACK_LINKS]
    assert page_of(amtool, case).links == (links if case == "one" else links[:-1])


def test_the_trace_link_searches_the_alerts_agent_from_before_it_began(amtool: Path) -> None:
    url = urlsplit(text_of(amtool, "midwatch.traces.link", "one"))
    pane = json.loads(parse_qs(url.query)["panes"][0])["traces"]
    assert pane["queries"][0]["query"] == (
        '{resource.service.name="security-agent" && span.gen_ai.agent.name="config_manager"}'
    )
    began = datetime(2026, 11, 21, 3, 12, 5, tzinfo=UTC).timestamp() * 1000
    assert began - int(pane["range"]["from"]) == 30 * 60 * 1000
    assert pane["range"]["to"] == "now"


def test_the_trace_link_of_what_is_over_ends_shortly_after(amtool: Path) -> None:
    url = urlsplit(text_of(amtool, "midwatch.traces.link", "resolved"))
    pane = json.loads(parse_qs(url.query)["panes"][0])["traces"]
    assert 0 < int(pane["range"]["to"]) - int(pane["range"]["from"]) < 24 * 3600 * 1000


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a&b", "a b", "ä", "100%", "a#b", "a+b", "a<b>"])
def test_no_name_of_an_agent_breaks_the_trace_link(amtool: Path, tmp_path: Path, name: str) -> None:
    data = json.loads((GOLDEN / "one.json").read_text(encoding="utf-8"))
    data["commonLabels"]["agent"] = data["alerts"][0]["labels"]["agent"] = name
    file = tmp_path / "data.json"
    file.write_text(json.dumps(data), encoding="utf-8")
    url = urlsplit(render(amtool, "midwatch.traces.link", file).stdout)
    pane = json.loads(parse_qs(url.query)["panes"][0])["traces"]
    kept = name.replace('"', "").replace("\\", "")
    assert f'span.gen_ai.agent.name="{kept}"' in pane["queries"][0]["query"]
    page = Page()
    page.feed(render(amtool, "midwatch.email.html", file, "html").stdout)
    (link,) = [one for one in page.links if one.startswith(f"{GRAFANA}/explore")]
    assert parse_qs(urlsplit(link).query) == parse_qs(url.query)


def test_several_alerts_are_acknowledged_one_by_one(amtool: Path) -> None:
    data = json.loads((GOLDEN / "many.json").read_text(encoding="utf-8"))
    firing = [alert for alert in data["alerts"] if alert["status"] == "firing"][:8]
    wanted = [f"{LEDGER}/alerts/{alert['fingerprint']}" for alert in firing]
    links = [link for link in page_of(amtool, "many").links if link.startswith(LEDGER)]
    assert links == [*wanted, f"{LEDGER}/alerts"]
    text = text_of(amtool, "midwatch.text", "many")
    assert re.findall(r"<(\S+)\|acknowledge>", text) == wanted


@pytest.mark.parametrize("case", CASES)
def test_without_a_public_ledger_nothing_leads_to_it(
    amtool: Path, tmp_path: Path, case: str
) -> None:
    for file in ALERTMANAGER.glob("*.tmpl"):
        text = file.read_text(encoding="utf-8").replace(LEDGER, "")
        (tmp_path / file.name).write_text(text, encoding="utf-8")
    for template, kind in TEMPLATES.items():
        text = render(amtool, template, GOLDEN / f"{case}.json", kind, tmp_path).stdout
        assert "cknowledge" not in text
        assert 'href="/alerts' not in text


def test_an_alert_on_the_watch_itself_has_no_traces(amtool: Path, tmp_path: Path) -> None:
    data = json.loads((GOLDEN / "one.json").read_text(encoding="utf-8"))
    data["commonLabels"]["team"] = "platform"
    file = tmp_path / "data.json"
    file.write_text(json.dumps(data), encoding="utf-8")
    assert render(amtool, "midwatch.traces.label", file).stdout == "Query"
    assert "explore" not in render(amtool, "midwatch.email.html", file, "html").stdout


@pytest.mark.parametrize("case", CASES)
def test_slack_has_the_links_as_buttons_only(amtool: Path, case: str) -> None:
    text = text_of(amtool, "midwatch.text", case)
    for link in SLACK_LINKS[:-1]:
        assert text_of(amtool, link, case) not in text


def test_an_alert_without_annotations_has_neither_runbook_nor_board_in_the_mail(
    amtool: Path,
) -> None:
    links = page_of(amtool, "no_annotations").links
    silence, acknowledge = links
    assert unquote(silence) == unquote(text_of(amtool, "midwatch.silence", "no_annotations"))
    assert acknowledge == text_of(amtool, "midwatch.acknowledge", "no_annotations")


def test_every_button_leads_somewhere_and_says_where(amtool: Path) -> None:
    def of(template: str) -> str:
        return text_of(amtool, template, "no_annotations")

    data = json.loads((GOLDEN / "no_annotations.json").read_text(encoding="utf-8"))
    query = data["alerts"][0]["generatorURL"]
    assert (of("midwatch.runbook.label"), of("midwatch.runbook.link")) == ("Query", query)
    assert (of("midwatch.dashboard.label"), of("midwatch.dashboard.link")) == (
        "Alerts",
        data["externalURL"],
    )


def test_the_html_mail_escapes_what_labels_hold(amtool: Path) -> None:
    assert "script" not in page_of(amtool, "many").tags


def test_each_severity_and_the_end_have_their_own_colour(amtool: Path, tmp_path: Path) -> None:
    colours = set()
    data = json.loads((GOLDEN / "one.json").read_text(encoding="utf-8"))
    for severity in ("critical", "warning", "info", "none"):
        data["commonLabels"]["severity"] = severity
        (tmp_path / "data.json").write_text(json.dumps(data), encoding="utf-8")
        colours.add(render(amtool, "midwatch.color", tmp_path / "data.json").stdout.strip())
    colours.add(text_of(amtool, "midwatch.color", "resolved"))
    assert len(colours) == 5
    assert all(re.fullmatch(r"#[0-9a-f]{6}", colour) for colour in colours)


def contrast(one: str, other: str) -> float:
    """How far two colours differ in brightness, from 1 to 21, as WCAG 2 has it."""

    def brightness(colour: str) -> float:
        parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((brightness(one), brightness(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("severity", ["critical", "warning", "info", "none", "resolved"])
def test_all_text_of_the_mail_can_be_read_on_its_background(
    amtool: Path, tmp_path: Path, severity: str
) -> None:
    case = "resolved" if severity == "resolved" else "one"
    data = json.loads((GOLDEN / f"{case}.json").read_text(encoding="utf-8"))
    if case == "one":
        data["commonLabels"]["severity"] = severity
    file = tmp_path / "data.json"
    file.write_text(json.dumps(data), encoding="utf-8")
    html = render(amtool, "midwatch.email.html", file, "html").stdout
    (head,) = re.findall(r"background:(#\w{6});color:#ffffff", html)
    assert contrast(head, "#ffffff") >= 4.5
    texts = set(re.findall(r"(?<!-)color:(#\w{6})", html)) - {"#ffffff"}
    assert texts
    assert all(contrast(text, "#ffffff") >= 4.5 for text in texts)
