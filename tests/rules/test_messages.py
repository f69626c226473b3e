"""What people read: rendered by the real template engine, compared with what was looked at.

`UPDATE_GOLDEN=1 pytest tests/rules/test_messages.py` writes the texts anew; read the difference.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path

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
}

# Compared with the mail's links instead of files of their own.
SLACK_LINKS = ("midwatch.runbook.link", "midwatch.dashboard.link", "midwatch.silence")

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


def test_the_mail_has_three_links_and_no_style_sheet_or_script(amtool: Path) -> None:
    page = page_of(amtool, "one")
    assert len(page.links) == 3
    assert not page.tags & {"style", "script", "link", "img"}


@pytest.mark.parametrize("case", ["one", "many", "resolved"])
def test_mail_and_slack_have_the_same_links(amtool: Path, case: str) -> None:
    # html/template encodes as the standard says; both decode to the same page.
    assert page_of(amtool, case).links == [text_of(amtool, link, case) for link in SLACK_LINKS]


@pytest.mark.parametrize("case", CASES)
def test_slack_has_the_links_as_buttons_only(amtool: Path, case: str) -> None:
    text = text_of(amtool, "midwatch.text", case)
    for link in SLACK_LINKS:
        assert text_of(amtool, link, case) not in text


def test_an_alert_without_annotations_has_a_silence_link_only_in_the_mail(amtool: Path) -> None:
    assert len(page_of(amtool, "no_annotations").links) == 1


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
