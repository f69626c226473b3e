"""The facts about what agents decide, tell each other and achieve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from midwatch.instruments.model_recording import ModelRecording
from midwatch.instruments.reconcile import By
from midwatch.instruments.recording import fact
from midwatch.registry import events, metrics


class CooperationRecording(ModelRecording):
    """Records decisions, messages, collaborations, conflicts, outcomes, feedback and prompts."""

    @fact
    def decision(
        self,
        agent: str,
        decision: str,
        confidence: float | None = None,
        *,
        correct: bool | None = None,
        detail: str | None = None,
        by: By = "instrumentation",
    ) -> None:
        """An agent decided, with a confidence from 0 to 1 if it has one."""
        is_new = self._count(by, metrics.AGENT_DECISIONS, agent, decision)
        if is_new and confidence is not None:
            self._instruments.record(metrics.AGENT_DECISION_CONFIDENCE, confidence, agent, decision)
        metadata = {
            "agent": agent,
            "decision": decision,
            "confidence": confidence,
            "correct": correct,
            "detail": detail,
        }
        self._emit(by, events.DECISION_MADE, metadata)

    @fact
    def message(self, from_agent: str, to_agent: str, *, by: By = "instrumentation") -> None:
        """An agent sent another a message."""
        self._count(by, metrics.AGENT_MESSAGES, from_agent, to_agent)
        metadata = {"from_agent": from_agent, "to_agent": to_agent}
        self._emit(by, events.MESSAGE_SENT, metadata)

    @fact
    def collaboration_started(
        self, workflow_type: str, participants: Sequence[str] = (), *, by: By = "instrumentation"
    ) -> None:
        """Agents begin to work together."""
        metadata = {"workflow_type": workflow_type, "participants": participants or None}
        self._emit(by, events.COLLABORATION_STARTED, metadata)

    @fact
    def collaboration(
        self,
        workflow_type: str,
        outcome: str,
        *,
        participants: Sequence[str] = (),
        seconds: float | None = None,
        by: By = "instrumentation",
    ) -> None:
        """Agents ended their work together."""
        self._count(by, metrics.AGENT_COLLABORATIONS, workflow_type, outcome)
        metadata = {
            "workflow_type": workflow_type,
            "outcome": outcome,
            "participants": participants or None,
            "seconds": seconds,
        }
        self._emit(by, events.COLLABORATION_FINISHED, metadata)

    @fact
    def conflict_detected(
        self, conflict_type: str, participants: Sequence[str] = (), *, by: By = "instrumentation"
    ) -> None:
        """Agents disagree."""
        metadata = {"conflict_type": conflict_type, "participants": participants or None}
        self._emit(by, events.CONFLICT_DETECTED, metadata)

    @fact
    def conflict(
        self,
        conflict_type: str,
        resolution: str,
        *,
        participants: Sequence[str] = (),
        by: By = "instrumentation",
    ) -> None:
        """A conflict between agents was settled."""
        self._count(by, metrics.AGENT_CONFLICTS, conflict_type, resolution)
        metadata = {
            "conflict_type": conflict_type,
            "resolution": resolution,
            "participants": participants or None,
        }
        self._emit(by, events.CONFLICT_RESOLVED, metadata)

    @fact
    def state_change(
        self, agent: str, from_state: str, to_state: str, *, by: By = "instrumentation"
    ) -> None:
        """The state of an agent or of its session changed."""
        metadata = {"agent": agent, "from_state": from_state, "to_state": to_state}
        self._emit(by, events.STATE_CHANGED, metadata)

    @fact
    def outcome(self, outcome: str, success: bool, *, by: By = "instrumentation") -> None:
        """The session reached a business outcome."""
        truth = "true" if success else "false"
        self._count(by, metrics.AGENT_OUTCOMES, outcome, truth)
        self._emit(by, events.OUTCOME_RECORDED, {"outcome": outcome, "success": truth})

    @fact
    def feedback(
        self,
        kind: str,
        value: str,
        *,
        score: float | None = None,
        labels: Sequence[str] = (),
        comment: str | None = None,
        ids: Mapping[str, str] | None = None,
        by: By = "instrumentation",
    ) -> None:
        """A user gave feedback; the comment leaves the process by content policy only.

        `ids` are those of the session and turn that it is about, if it is not the current one.
        """
        self._keep_trace()
        self._count(by, metrics.AGENT_FEEDBACK, kind, value)
        metadata = {
            "kind": kind,
            "value": value,
            "score": score,
            "labels": list(labels) or None,
            "comment": comment if self.captures_content else None,
        }
        self._emit(by, events.FEEDBACK_RECORDED, metadata, ids=ids)

    @fact
    def prompt_use(
        self, prompt: str, version: str, variant: str = "none", *, by: By = "instrumentation"
    ) -> None:
        """A managed prompt was used."""
        self._count(by, metrics.AGENT_PROMPT_USES, prompt, version, variant)
        metadata = {"prompt": prompt, "version": version, "variant": variant}
        self._emit(by, events.PROMPT_USED, metadata)
