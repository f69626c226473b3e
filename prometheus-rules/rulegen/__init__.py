"""Derives rule files and parts of the runbooks from data: `python -m rulegen [--check]`.

From `catalog.yaml` and `slos.yaml` come the thresholds, the SLOs' burn rates and the escalations;
from the rules come the tables at the head of the runbooks and the reference of alerts.
"""

from __future__ import annotations

from rulegen.outputs import outputs

__all__ = ["outputs"]
