"""Faults on command: what the demo's servers share so that incidents can be caused and ended."""

from __future__ import annotations

from fault_control.board import FaultBoard, FaultKind, FaultParameters, FaultRefusedError
from fault_control.routes import control_router, json_body, refused_response
from fault_control.validation import Problem, as_json_value, problems_of

__all__ = [
    "FaultBoard",
    "FaultKind",
    "FaultParameters",
    "FaultRefusedError",
    "Problem",
    "as_json_value",
    "control_router",
    "json_body",
    "problems_of",
    "refused_response",
]
