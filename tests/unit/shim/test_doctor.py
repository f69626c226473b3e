"""`midwatch doctor` shows what is present and every problem with its remedy."""

from __future__ import annotations

import subprocess
from importlib import metadata

import pytest
from midwatch import doctor
from midwatch.doctor import diagnose
from midwatch.instrumentors.libraries import LIBRARIES


def run(environment, **variables) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["midwatch", "doctor"],
        env={**environment, **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_sound_installation_has_no_problems(environment):
    done = run(environment, OTEL_SERVICE_NAME="agent")
    assert done.returncode == 0, done.stderr
    assert "No problems found." in done.stdout
    for library in LIBRARIES:
        assert library.name in done.stdout


def test_wrong_settings_make_it_exit_non_zero_and_are_all_told(environment):
    done = run(environment, MIDWATCH_CONTENT="all", OTEL_EXPORTER_OTLP_ENDPOINT="collector:4318")
    assert done.returncode == 1
    assert "MIDWATCH_CONTENT='all'" in done.stderr
    assert "OTEL_EXPORTER_OTLP_ENDPOINT='collector:4318'" in done.stderr
    assert "No problems" not in done.stdout


@pytest.fixture
def installed(monkeypatch):
    """Pretends that distributions have other versions, None for not installed."""
    pretended: dict[str, str | None] = {}

    def version(distribution: str) -> str | None:
        if distribution in pretended:
            return pretended[distribution]
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            return None

    monkeypatch.setattr(doctor, "installed_version", version)
    return pretended


@pytest.mark.parametrize("version", ["1.2b0", None])
def test_a_skew_of_the_genai_packages_is_a_problem(installed, version):
    installed["opentelemetry-util-genai"] = version
    (problem,) = diagnose({}).problems
    assert "opentelemetry-util-genai" in problem
    assert "install opentelemetry-util-genai==1.3b0" in problem


def test_a_rival_is_a_problem_whatever_its_entry_point_is_called(installed):
    installed["opentelemetry-instrumentation-langchain"] = "0.62.4"
    (problem,) = diagnose({}).problems
    assert "opentelemetry-instrumentation-langchain 0.62.4" in problem
    assert "a second time" in problem


def test_a_rival_that_was_chosen_is_none(installed, monkeypatch):
    monkeypatch.setenv("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "langchain")
    installed["opentelemetry-instrumentation-langchain"] = "0.62.4"
    found = diagnose({})
    assert found.problems == []
    assert ("langchain", "disabled") in found.libraries


def test_every_problem_of_a_price_file_is_told(tmp_path):
    prices = tmp_path / "prices.json"
    prices.write_text('{"prices": [{"model": "m", "input_per_million": -1}], "date": "today"}')
    problems = "\n".join(diagnose({"MIDWATCH_PRICES_FILE": str(prices)}).problems)
    for told in ("output_per_million", "input_per_million", "'date'"):
        assert told in problems
    assert str(prices) in problems


def test_a_sound_price_file_is_no_problem(tmp_path):
    prices = tmp_path / "prices.json"
    prices.write_text(
        '{"prices": [{"model": "m", "input_per_million": 1, "output_per_million": 2}]}'
    )
    assert diagnose({"MIDWATCH_PRICES_FILE": str(prices)}).problems == []
