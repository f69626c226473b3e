"""Midwatch's dashboards. `BOARDS` has them all; `render()` gives one as Grafana's classic JSON."""

from __future__ import annotations

from builders.agent import AGENT
from builders.fleet import FLEET
from builders.ledger import LEDGER_BOARD
from builders.models import MODELS_BOARD
from builders.pipeline import PIPELINE
from builders.sdk import render
from builders.sessions import SESSIONS
from builders.spec import Annotation, Board, Panel, Query, Row, TextVariable, Variable

BOARDS: tuple[Board, ...] = (FLEET, AGENT, MODELS_BOARD, PIPELINE, SESSIONS, LEDGER_BOARD)
"""Every board, symptoms first."""

__all__ = [
    "BOARDS",
    "Annotation",
    "Board",
    "Panel",
    "Query",
    "Row",
    "TextVariable",
    "Variable",
    "render",
]
