"""What the routes of analytics answer. Times in milliseconds, money in US dollars."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from midwatch_ledger.services.workflow_metrics import (
    AgentPerformanceMetrics,
    SystemWorkflowMetrics,
)


class Node(BaseModel):
    """An agent, and how turns passed it."""

    agent: str
    runs: int
    turns_begun: int
    turns_ended: int
    turns_ended_failed: int
    drop_off_ratio: float = Field(description="Of its runs, those that were the last of a turn.")
    median_ms: float | None = Field(description="Until the next agent began, or its own end.")


class Edge(BaseModel):
    """From an agent to the one that began next; and what was told of routes and handoffs."""

    from_agent: str = Field(alias="from")
    to_agent: str = Field(alias="to")
    count: int
    median_ms: float | None
    routes: int
    handoffs: int
    loops: int


class Conversations(BaseModel):
    """The flow between agents."""

    start_date: datetime
    end_date: datetime
    turns: int
    nodes: list[Node]
    edges: list[Edge]


class Ratio(BaseModel):
    """A ratio with its interval by Wilson."""

    count: int
    ratio: float
    lower: float
    upper: float


class OutcomeRate(Ratio):
    """How often an outcome was."""

    outcome: str


class OutcomeGroup(BaseModel):
    """The outcomes of one group; in one minute or hour if over time."""

    start: datetime | None = None
    group: dict[str, str]
    count: int
    outcomes: list[OutcomeRate]
    success: Ratio | None = Field(description="Of those whose success is known.")


class Outcomes(BaseModel):
    """How turns ended, and the business outcomes that were recorded."""

    start_date: datetime
    end_date: datetime
    group_by: list[str]
    confidence: float
    turns: list[OutcomeGroup]
    outcomes: list[OutcomeGroup]


class TrendPoint(BaseModel):
    """The measure in one stretch of time."""

    start: datetime
    value: float


class Direction(BaseModel):
    """Whether it goes up or down throughout."""

    direction: str = Field(description="up, down or none")
    change_per_point: float
    p_value: float
    confidence: float


class LevelStep(BaseModel):
    """A move to another level, with the medians before and after."""

    at: datetime
    before: float
    after: float
    relative: float | None
    p_value: float
    confidence: float


class Outlier(BaseModel):
    """A point far from the others."""

    at: datetime
    value: float
    robust_z: float


class TrendAnswer(BaseModel):
    """A measure over time and its changes."""

    measure: str
    kind: str
    start_date: datetime
    end_date: datetime
    point_seconds: int
    confidence: float
    method: str
    enough: bool = Field(description="Whether there are enough points to tell changes.")
    points: list[TrendPoint]
    trend: Direction | None
    steps: list[LevelStep]
    outliers: list[Outlier]


class Estimate(BaseModel):
    """An estimate with its interval."""

    estimate: float
    lower: float
    upper: float


class Effect(Estimate):
    """The candidate minus the baseline, or divided by it."""

    scale: str = Field(description="difference or ratio")
    relative: float | None = Field(description="By which part of the baseline it is greater.")


class Comparison(BaseModel):
    """One measure of both sides."""

    measure: str
    method: str
    baseline: Estimate | None
    candidate: Estimate | None
    effect: Effect | None
    p_value: float | None
    adjusted_p_value: float | None = Field(description="For all measures together, by Holm.")
    verdict: str = Field(description="better, worse, no_difference or too_few")


class SideTold(BaseModel):
    """What one side is."""

    start_date: datetime
    end_date: datetime
    value: str | None
    count: int


class CompareAnswer(BaseModel):
    """Two sides, measure by measure. Of every measure less is better."""

    kind: str
    by: str | None
    confidence: float
    resolution: str
    baseline: SideTold
    candidate: SideTold
    measures: list[Comparison]


class TimeUse(BaseModel):
    """What time went by in one part of the sampled turns."""

    spans: int
    own_ms: float = Field(description="Not covered by spans below.")
    own_share: float
    critical_ms: float = Field(description="That the ends of turns waited for.")
    critical_share: float
    avg_own_ms: float


class Part(TimeUse):
    """A model, a tool, an agent, a call over the network, or else."""

    kind: str
    name: str


class AgentPart(TimeUse):
    """All that an agent did and waited for."""

    agent: str


class Bottlenecks(BaseModel):
    """Where the time of turns goes, in a sample of them; the most critical first."""

    start_date: datetime
    end_date: datetime
    sampled_traces: int
    sampled_spans: int
    avg_turn_ms: float | None
    parts: list[Part]
    agents: list[AgentPart]


class CostMeasures(BaseModel):
    """What was taken and what it cost; turns where they are counted."""

    turns: int | None
    llm_calls: int
    total_tokens: int
    cost_usd: float


class CallTold(BaseModel):
    """A model call."""

    trace_id: str
    span_id: str
    agent: str | None
    provider: str
    model: str
    start_time: datetime
    input_tokens: int | None
    output_tokens: int | None
    input_cost: float | None
    output_cost: float | None


class CostItem(CostMeasures):
    """What one subject cost."""

    subject: str
    project: str | None
    share: float
    call: CallTold | None


class CostsAnswer(BaseModel):
    """The dearest first, beside the total of all."""

    by: str
    start_date: datetime
    end_date: datetime
    total: CostMeasures
    items: list[CostItem]


class AdviceItem(BaseModel):
    """One way to save."""

    kind: str
    subject: dict[str, str]
    saving_usd: float | None = Field(description="In the period; null where it can't be known.")
    monthly_usd: float | None = Field(description="The same for 30 days.")
    share_of_cost: float | None
    evidence: dict[str, Any]
    advice: str


class Recommendations(BaseModel):
    """Where money could be saved, the most first."""

    start_date: datetime
    end_date: datetime
    cost_usd: float
    sampled_calls: int
    sampled_prompts: int
    items: list[AdviceItem]


class WorkflowMetricsAnswer(BaseModel):
    """S5's metrics of each agent and of the whole. Times in seconds."""

    start_date: datetime
    end_date: datetime
    agents: list[AgentPerformanceMetrics]
    system: SystemWorkflowMetrics
