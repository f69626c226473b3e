"""The audit trail of the gates: who was let through, who was not, and why."""

from __future__ import annotations

from collections.abc import Mapping

import structlog


class AuditLogger:
    """Writes one structured line for each decision of a gate."""

    def __init__(self) -> None:
        self._logger = structlog.stdlib.get_logger("security_agent.audit")

    def log(self, gate: str, decision: str, reason: str, context: Mapping[str, object]) -> None:
        """Write down a decision with the ids of its turn; never the text that was judged."""
        ids = {name: context.get(name) for name in ("session_id", "turn_id", "trace_id")}
        self._logger.info("gate.decided", gate=gate, decision=decision, reason=reason, **ids)
