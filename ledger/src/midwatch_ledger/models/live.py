"""What was written lately: what live clients are told from, and resume from."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Index, Integer, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from midwatch_ledger.models.base import Base


class LiveChange(Base):
    """What one transaction wrote of one kind: the ids, 16 bytes each, one after the other.

    Rows are kept for minutes. PostgreSQL hands out `id` before the commit, so that a reader may see
    a greater one first: `xact` is the transaction, by which a reader knows what is still to come.
    SQLite has one writer, and zero there.
    """

    __tablename__ = "live_changes"
    __table_args__ = (Index("ix_live_changes_xact_id", "xact", "id"),)

    # SQLite numbers rows by itself only where the key is called INTEGER.
    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True
    )
    xact: Mapped[int]
    kind: Mapped[str]
    ids: Mapped[bytes] = mapped_column(LargeBinary())
    written_at: Mapped[datetime]
