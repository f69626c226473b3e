"""How much may be spent."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy.orm import Mapped, mapped_column

from midwatch_ledger.models.base import Base


class Budget(Base):
    """What one scope may spend in each calendar period (UTC); `everything` has the value `all`."""

    __tablename__ = "budgets"

    scope: Mapped[str] = mapped_column(primary_key=True)
    scope_value: Mapped[str] = mapped_column(primary_key=True)
    period: Mapped[str] = mapped_column(primary_key=True)
    amount: Mapped[Decimal]
    updated_at: Mapped[datetime]
