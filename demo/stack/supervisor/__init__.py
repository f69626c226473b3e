"""Keeps a set of programs running: order, readiness, logs, restarts, and a clean end."""

from __future__ import annotations

from stack.supervisor.background import StackThread
from stack.supervisor.supervisor import Supervisor

__all__ = ["StackThread", "Supervisor"]
