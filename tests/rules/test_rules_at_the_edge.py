"""All rules at once where series lack, are no number, or tell of hardly anything: nothing fires.

What each alert does at its own edges is in promtool tests of its own; here none can be forgotten.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from rulecheck import Known
from rulecheck.known import Series

from tests import kept_runs

RULES = Path(__file__).resolve().parents[2] / "prometheus-rules" / "rules"
FILES = sorted(RULES.glob("*.yaml"))
# As often as each group wants it would show nothing else, and take minutes.
PACE = "1m"
# Alerts of a state say already of the first that there is one.
STATES = {"agent_llm_unpriced_tokens_total"}
# One failed call of a model is of one kind.
KINDS = {"error_type": ["timeout"]}
JOBS = {
    "up": ("midwatch-collector", "midwatch-ledger", "midwatch-prometheus", "midwatch-tempo"),
    "otelcol": ("midwatch-collector",),
    "tempo": ("midwatch-tempo",),
    "prometheus": ("midwatch-prometheus",),
    "alertmanager": ("midwatch-alertmanager",),
    "midwatch_ledger": ("midwatch-ledger",),
}
FIRING = 'ALERTS{alertname!="Watchdog",alertstate="firing"}'


def raw(known: Known) -> list[Series]:
    """What programs tell; not what Prometheus or the chart itself say."""
    return [one for one in known.series.values() if ":" not in one.name and one.name != "ALERTS"]


def selectors(series: Series) -> Iterator[str]:
    """One series for each combination of the values that its labels can have."""
    jobs = next((j for name, j in JOBS.items() if series.name.startswith(name)), ("agents",))
    chosen = {
        label: KINDS.get(label) or sorted(series.values.get(label, ())) or [f"some-{label}"]
        for label in sorted(series.certain - {"job", "le"})
    }
    chosen["job"] = list(jobs)
    chosen["service_name"] = ["shop"]
    if "le" in series.labels:
        chosen["le"] = ["1", "+Inf"]
    for values in itertools.product(*chosen.values()):
        inner = ",".join(f'{key}="{value}"' for key, value in zip(chosen, values, strict=True))
        yield f"{series.name}{{{inner}}}"


def judged(folder: Path, promtool: Path, series: dict[str, str], minutes: tuple[int, ...]) -> str:
    """What promtool says against the claim that nothing but the watchdog fires."""
    copies = paced(folder)
    case = {
        "name": "nothing fires",
        "interval": PACE,
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {"expr": FIRING, "eval_time": f"{minute}m", "exp_samples": []} for minute in minutes
        ],
    }
    document: dict[str, Any] = {
        "rule_files": [file.name for file in copies],
        "evaluation_interval": PACE,
        "tests": [case],
    }
    file = folder / "edge.test.yaml"
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    command: list[str | Path] = [promtool, "test", "rules", file]
    result = kept_runs.run(command, folder=folder, reads=[*copies, file], refusals=["  FAILED:"])
    return "" if result.returncode == 0 else result.stdout + result.stderr


def paced(folder: Path) -> list[Path]:
    """The rules, all evaluated at one pace."""
    copies = []
    for file in FILES:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        for group in document["groups"]:
            group["interval"] = PACE
        copy = folder / file.name
        copy.write_text(yaml.safe_dump(document), encoding="utf-8")
        copies.append(copy)
    return copies


@pytest.mark.programs
def test_where_no_series_are_nothing_fires(promtool: Path, tmp_path: Path) -> None:
    assert judged(tmp_path, promtool, {}, (1, 30, 90)) == ""


@pytest.mark.programs
def test_where_nothing_is_a_number_nothing_fires(
    promtool: Path, tmp_path: Path, known: Known
) -> None:
    series = {name: " ".join(["NaN"] * 60) for one in raw(known) for name in selectors(one)}
    assert len(series) > 150
    assert judged(tmp_path, promtool, series, (5, 30, 59)) == ""


@pytest.mark.programs
def test_one_event_of_each_kind_among_none_is_no_alert_of_the_agents(
    promtool: Path, tmp_path: Path, known: Known
) -> None:
    series = {
        name: "0x70 1x40"
        for one in raw(known)
        if one.counter and one.name.startswith(("agent_", "chat_")) and one.name not in STATES
        for name in selectors(one)
    }
    assert len(series) > 60
    assert judged(tmp_path, promtool, series, (71, 72, 75, 90, 110)) == ""


@pytest.mark.programs
def test_the_claim_that_nothing_fires_can_fail(promtool: Path, tmp_path: Path) -> None:
    series = {'up{job="midwatch-collector",instance="a"}': "1x20 0x30"}
    assert "CollectorDown" in judged(tmp_path, promtool, series, (30,))
