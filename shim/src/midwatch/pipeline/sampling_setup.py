"""Sampling as the settings ask for it, in one piece."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from opentelemetry.trace import SpanContext

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.sdk.trace.sampling import Sampler

    from midwatch.config import Settings
    from midwatch.pipeline.sampling_held import HeldTraces, Settle, Tell
    from midwatch.pipeline.sampling_ratio import RatioController

_OFF = frozenset({"always_off", "parentbased_always_off"})


class Sampling:
    """The sampler, what it holds back, and who tells it what tracing costs.

    Attributes:
        sampler: decides on each span; None before there is a pipeline.
        held: the processor of the spans that are recorded only; None if there are none.
        controller: has the ratio in force; None if OpenTelemetry's own variable names a sampler.
    """

    def __init__(
        self,
        sampler: Sampler | None = None,
        held: HeldTraces | None = None,
        controller: RatioController | None = None,
    ) -> None:
        self.sampler = sampler
        self.held = held
        self.controller = controller

    @classmethod
    def from_settings(
        cls,
        settings: Settings,
        settle: Settle,
        release: Sequence[SpanProcessor],
        *,
        pressure: Callable[[], float],
        on_change: Callable[[bool], None],
        tell: Tell = lambda _: None,
    ) -> Sampling:
        """As the settings say, unless `OTEL_TRACES_SAMPLER` is set: then that alone decides.

        What is sampled out is told either way, unless that variable turns tracing off.
        """
        from opentelemetry.sdk import _configuration as otel

        from midwatch.pipeline.sampling import AdaptiveSampler, HoldingSampler
        from midwatch.pipeline.sampling_held import HeldTraces
        from midwatch.pipeline.sampling_ratio import Budget, RatioController

        asked_for = otel._get_sampler()
        named = otel._import_sampler(asked_for)
        if named is not None and (asked_for or "").strip().lower() in _OFF:
            return cls(named)
        if named is not None:
            return cls(HoldingSampler(named), HeldTraces(settle, release, tell=tell, keeps=False))
        budget = Budget(settings.max_latency_ms / 1000, settings.max_overhead_percent / 100)
        controller = RatioController(
            settings.sample_ratio,
            budget,
            adaptive=settings.adaptive_sampling,
            pressure=pressure,
            on_change=on_change,
        )
        os.register_at_fork(after_in_child=controller.renew_after_fork)
        held = HeldTraces(settle, release, tell=tell)
        return cls(AdaptiveSampler(controller, held), held, controller)

    def keep(self, context: SpanContext) -> None:
        """Say that the trace of this span must not be missed."""
        if self.held is not None and context.is_valid and not context.trace_flags.sampled:
            self.held.keep(context.trace_id)

    def turn_ended(self, overhead_seconds: float, turn_seconds: float) -> None:
        """A turn ended that took so long, so much of it in tracing."""
        if self.controller is not None:
            self.controller.observe_turn(overhead_seconds, turn_seconds)
