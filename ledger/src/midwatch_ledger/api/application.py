"""Puts the application together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import cache

from anyio import to_thread
from fastapi import APIRouter, Depends, FastAPI

from midwatch_ledger import __version__
from midwatch_ledger.api import (
    administration,
    alerts,
    budgets,
    console,
    console_alerts,
    execution_logs,
    exports,
    feedback,
    health,
    insights,
    key_logins,
    live,
    logins,
    monitoring,
    otlp,
    performance,
    prices,
    problem_pages,
    problems,
    prompts,
)
from midwatch_ledger.api.access import authorize
from midwatch_ledger.api.bodies import PendingBytes
from midwatch_ledger.api.guard import GuardMiddleware
from midwatch_ledger.api.latency import LatencyMiddleware
from midwatch_ledger.api.live import live_feed
from midwatch_ledger.mail_setup import daily_reports
from midwatch_ledger.services.authentication import Authenticator
from midwatch_ledger.services.browser_sessions import BrowserSessions
from midwatch_ledger.services.duties import Duties
from midwatch_ledger.services.observing import DatabaseCollector
from midwatch_ledger.services.repricer import Repricer
from midwatch_ledger.services.retention import RetentionKeeper
from midwatch_ledger.services.rollups import Roller
from midwatch_ledger.services.telemetry import LedgerMetrics
from midwatch_ledger.services.writer import Writer
from midwatch_ledger.settings import Settings
from midwatch_ledger.store.database import Database

# Each thread of a route may hold a connection: no more threads than connections.
_THREADS = 8
_PARTS = (
    *(health, otlp, execution_logs, monitoring, performance, alerts, budgets, feedback, prompts),
    *(console, console_alerts, exports, live, insights, key_logins, logins, administration, prices),
)


def create_application(settings: Settings, database: Database) -> FastAPI:
    """Return the ledger's ASGI application on a migrated database.

    The writer lives as long as the application runs; the database stays the caller's to close.
    """
    metrics = LedgerMetrics()
    metrics.add(DatabaseCollector(database))

    @asynccontextmanager
    async def lifespan(application: FastAPI) -> AsyncIterator[None]:
        to_thread.current_default_thread_limiter().total_tokens = _THREADS
        writer = Writer(database, metrics)
        roller = Roller(database, pause_seconds=settings.rollup_seconds)
        duties = Duties(database, daily_reports(settings), pause_seconds=settings.duties_seconds)
        keeper = RetentionKeeper(
            database, settings.retention_policy(), pause_hours=settings.retention_hours
        )
        application.state.writer = writer
        application.state.repricer = repricer = Repricer(database)
        repricer.start()
        roller.start()
        duties.start()
        keeper.start()
        application.state.live = live = live_feed(settings, database)
        metrics.live_clients.set_function(lambda: live.listening)
        live.start()
        yield
        await to_thread.run_sync(live.close)
        await to_thread.run_sync(repricer.close)
        await to_thread.run_sync(keeper.close)
        await to_thread.run_sync(writer.close)
        await to_thread.run_sync(duties.close)
        await to_thread.run_sync(roller.close)

    application = FastAPI(
        title="Midwatch ledger",
        version=__version__,
        description="What LLM agents did, kept and answerable.",
        lifespan=lifespan,
        dependencies=[Depends(authorize)],
        routes=list(_included().routes),
        docs_url=None,
        redoc_url=None,
    )
    application.state.settings = settings
    application.state.database = database
    application.state.metrics = metrics
    application.state.pending_bytes = PendingBytes(settings.max_pending_bytes)
    application.state.authenticator = authenticator = Authenticator(
        database, settings.file_keys(), may_be_open=settings.may_be_open
    )
    application.state.browser_sessions = sessions = BrowserSessions(
        database, timedelta(hours=settings.session_hours)
    )
    application.state.logins = logins.logins_of(settings, database, sessions)
    problems.install(application)
    problem_pages.install(application)
    application.add_middleware(GuardMiddleware, authenticator=authenticator, settings=settings)
    application.add_middleware(LatencyMiddleware, metrics=metrics)
    return application


@cache
def _included() -> APIRouter:
    """Give the parts in one router, each route of theirs behind `authorize`.

    Once in a process: what an application includes itself, it reads anew at its first requests,
    every signature and model of it.
    """
    router = APIRouter(dependencies=[Depends(authorize)])
    for part in _PARTS:
        router.include_router(part.router)
    return router
