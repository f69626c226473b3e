"""What the tests of rules, messages, dashboards and runbooks share."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "prometheus-rules"

# Neither folder is a distribution: they hold assets and the code that checks and builds them.
for folder in (RULES, ROOT / "grafana-dashboards"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from rulecheck import (  # noqa: E402  (the path is set just above)
    Catalog,
    Known,
    RuleSet,
    known_after,
    load_catalog,
    load_known,
    load_rules,
)
from toolchain import program_path  # noqa: E402  (as above)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def rules_folder() -> Path:
    return RULES


@pytest.fixture(scope="session")
def rules() -> RuleSet:
    return load_rules(RULES / "rules")


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return load_catalog(RULES / "catalog.yaml")


@pytest.fixture(scope="session")
def known() -> Known:
    """What exists without our rules."""
    return load_known(RULES / "external.yaml")


@pytest.fixture(scope="session")
def everything(rules: RuleSet, known: Known) -> Known:
    """What exists once the rules run."""
    return known_after(rules, known)


@pytest.fixture(scope="session")
def promtool() -> Path:
    return program_path("promtool")


@pytest.fixture(scope="session")
def amtool() -> Path:
    return program_path("amtool")
