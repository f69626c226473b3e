"""Prompts: versions that never change, and labels that say which of them is in use."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from midwatch_ledger.models.base import Base


class Prompt(Base):
    """One prompt."""

    __tablename__ = "prompts"

    name: Mapped[str] = mapped_column(primary_key=True)
    description: Mapped[str | None]
    created_by: Mapped[str]
    created_at: Mapped[datetime]


class PromptVersion(Base):
    """One version of a prompt: what `definition` holds is as in a prompt file."""

    __tablename__ = "prompt_versions"

    prompt: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[str] = mapped_column(primary_key=True)
    definition: Mapped[dict[str, Any]]
    message: Mapped[str | None]
    created_by: Mapped[str]
    created_at: Mapped[datetime]


class PromptLabel(Base):
    """What a label stood for from some change on; the change of the highest number holds.

    `assignment` is a version, or the variants of an experiment with their weights.
    """

    __tablename__ = "prompt_labels"
    __table_args__ = (
        Index("uq_prompt_labels_prompt_label_number", "prompt", "label", "number", unique=True),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    prompt: Mapped[str]
    label: Mapped[str]
    number: Mapped[int]
    assignment: Mapped[Any]
    note: Mapped[str | None]
    changed_by: Mapped[str]
    changed_at: Mapped[datetime]
