"""What people think of answers, and what was made of it."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from midwatch_ledger.models.base import Base
from midwatch_ledger.models.content import ContentText


class Feedback(Base):
    """One opinion about a turn, a trace or one of its spans; and how far its review is."""

    __tablename__ = "feedback"
    __table_args__ = (
        Index("ix_feedback_trace_id", "trace_id"),
        Index("ix_feedback_session_id", "session_id"),
        Index("ix_feedback_given_at", "given_at"),
        Index("ix_feedback_state_given_at", "state", "given_at"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    value: Mapped[str]
    score: Mapped[float | None]
    labels: Mapped[list[Any]]
    comment: Mapped[str | None] = mapped_column(ContentText())
    source: Mapped[str]
    given_by: Mapped[str | None]
    given_at: Mapped[datetime]
    trace_id: Mapped[str | None]
    span_id: Mapped[str | None]
    session_id: Mapped[str | None]
    turn_id: Mapped[str | None]
    service: Mapped[str | None]
    project: Mapped[str | None]
    state: Mapped[str]
    assignee: Mapped[str | None]
    updated_at: Mapped[datetime]


class FeedbackReview(Base):
    """One step of a review: who changed what, with a note."""

    __tablename__ = "feedback_reviews"
    __table_args__ = (Index("ix_feedback_reviews_feedback_id", "feedback_id"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    feedback_id: Mapped[uuid.UUID]
    state: Mapped[str]
    assignee: Mapped[str | None]
    note: Mapped[str | None]
    reviewer: Mapped[str]
    reviewed_at: Mapped[datetime]
