"""Midwatch's dashboards. `BOARDS` has them all; `render()` gives one as Grafana's classic JSON."""

from __future__ import annotations

from builders.agent import AGENT
from builders.fleet import FLEET
from builders.pipeline import PIPELINE
from builders.sdk import render
from builders.spec import Board, Panel, Query, Row

BOARDS: tuple[Board, ...] = (FLEET, AGENT, PIPELINE)
"""Every board, symptoms first."""

__all__ = ["BOARDS", "Board", "Panel", "Query", "Row", "render"]
