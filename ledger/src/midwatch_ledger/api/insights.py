"""All routes that work something out of the record, as one part of the application."""

from __future__ import annotations

from fastapi import APIRouter

from midwatch_ledger.api import analytics, experiments, reports, spending

router = APIRouter()
for part in (analytics, spending, reports, experiments):
    router.include_router(part.router)
