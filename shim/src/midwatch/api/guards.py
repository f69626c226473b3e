"""`guardrail`: what a gate decided, told at once or by a with-block around the check."""

from __future__ import annotations

from typing import Any, Self, cast, overload

from opentelemetry.context import Context, create_key, get_value, set_value

from midwatch.api import arguments
from midwatch.api.spans import SpanScope, start_span
from midwatch.instruments.recorder import get_recorder

_ALLOW, _DENY, _PASSED, _UNKNOWN = "allow", "deny", "passed", "unknown"
_CHECK = create_key("midwatch-check")


class GuardrailScope(SpanScope):
    """One check of a gate; `decision` and `reason` may be set, or `deny` and the like called.

    A check that ends without a decision allows. A PermissionError denies; any other exception is an
    error of the check, and no decision is recorded.
    """

    def __init__(self, gate: str) -> None:
        self.gate = gate
        self.decision = self.reason = ""
        self.detail: str | None = None
        self._around: GuardrailScope | None = None

    def again(self) -> Self:
        """A fresh check of the same gate."""
        return type(self)(self.gate)

    def allow(self, reason: str = _PASSED, *, detail: str | None = None) -> None:
        """The gate lets it pass."""
        self.decide(_ALLOW, reason, detail)

    def deny(self, reason: str, *, detail: str | None = None) -> None:
        """The gate does not let it pass."""
        self.decide(_DENY, reason, detail)

    def escalate(self, reason: str, *, detail: str | None = None) -> None:
        """The gate leaves it to a person."""
        self.decide("escalate", reason, detail)

    def redact(self, reason: str, *, detail: str | None = None) -> None:
        """The gate lets it pass without a part of it."""
        self.decide("redact", reason, detail)

    def decide(self, decision: str, reason: str, detail: str | None = None) -> None:
        """The gate decides; the last decision of a check counts."""
        self.decision, self.reason, self.detail = decision, reason, detail

    def of(self, gate: str) -> GuardrailScope | None:
        """The check of that gate: this one or one around it."""
        check: GuardrailScope | None = self
        while check is not None and check.gate != gate:
            check = check._around
        return check

    def _start(self) -> None:
        self.decision = self.reason = ""
        self.detail = None
        self._around = _check_here()
        self.span = start_span(f"guardrail {self.gate}")

    def _context(self) -> Context:
        return set_value(_CHECK, self, super()._context())

    def _record(self, error: BaseException | None) -> None:
        decision, reason = arguments.name(self.decision), arguments.name(self.reason)
        if error is not None and not decision:
            if not isinstance(error, PermissionError):
                return
            decision, reason = _DENY, type(error).__name__
        decision = decision or _ALLOW
        get_recorder().guardrail(
            self.gate,
            decision,
            reason or (_PASSED if decision == _ALLOW else _UNKNOWN),
            detail=arguments.optional_text(self.detail),
            by="hand",
        )


@overload
def guardrail(gate: str) -> GuardrailScope: ...
@overload
def guardrail(gate: str, decision: str, reason: str, *, detail: str | None = None) -> None: ...
def guardrail(
    gate: str, decision: str | None = None, reason: str = "", *, detail: str | None = None
) -> Any:
    """A guardrail decided allow, deny, escalate or redact.

    Without a decision it is a with-block or a decorator around the check, which decides in it.

    Args:
        gate: the guardrail.
        decision: what it decided.
        reason: why, as a short code.
        detail: why, in words.
    """
    gate = arguments.name(gate, _UNKNOWN)
    if decision is None:
        return GuardrailScope(gate)
    here = _check_here()
    check = None if here is None else here.of(gate)
    if check is not None:
        # It is recorded once, when the check ends.
        check.decide(decision, reason, detail)
        return None
    get_recorder().guardrail(
        gate,
        arguments.name(decision),
        arguments.name(reason),
        detail=arguments.optional_text(detail),
        by="hand",
    )
    return None


def _check_here() -> GuardrailScope | None:
    return cast("GuardrailScope | None", get_value(_CHECK))
