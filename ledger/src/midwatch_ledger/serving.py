"""Runs the ledger: opens and migrates the database, listens, ends cleanly."""

from __future__ import annotations

import errno
import gc
import logging
import signal
import socket
from datetime import UTC, datetime
from types import FrameType

from midwatch_ledger.opening import StartError, open_database
from midwatch_ledger.settings import PREFIX, Settings
from midwatch_ledger.store.access import has_key
from midwatch_ledger.store.database import Database
from midwatch_ledger.store.migrate import check_schema, migrate

_logger = logging.getLogger(__name__)
_KEEP_ALIVE_SECONDS = 65
_LIVE_SILENCE_SECONDS = 120
# A group of requests makes nearly a hundred thousand objects, which are gone after its commit: to
# look through them meanwhile costs a tenth of the ingest, and what refers to itself is rare.
_COLLECT_AFTER = (200_000, 20, 50)


class ListenError(StartError):
    """The ledger can't listen where it was told to."""


class NobodyMayCallError(StartError):
    """The ledger would listen where others reach it, and nothing says who may call."""


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then finish the requests in hand.

    Raises:
        ListenError: the address is taken or not ours.
        SchemaError: the schema doesn't fit this program.
        NobodyMayCallError: others reach the address, and there is neither key nor login.
        DatabaseUnavailableError: the database can't be reached.
        OSError: the folder of the SQLite file can't be made.
    """
    listener = _listen(settings)
    try:
        database = open_database(settings)
        if settings.migrate_on_start:
            before, after = migrate(database)
            if before != after:
                _logger.info("migrated the database from %s to %s", before or "nothing", after)
        check_schema(database)
        _check_access(settings, database)
        _logger.info("serving %s on %s:%s", database.location, *listener.getsockname()[:2])
        try:
            _run(settings, database, listener)
        finally:
            database.close()
    finally:
        listener.close()


def _run(settings: Settings, database: Database, listener: socket.socket) -> None:
    # Loaded here: what stops a start (the address, the database, the schema) is told at once.
    import uvicorn

    from midwatch_ledger.api.application import create_application
    from midwatch_ledger.api.live import MOST_MESSAGE_BYTES

    # uvicorn drains at the first signal and raises it again at the end: with this handler the
    # process then ends with code 0, as it did what it was asked to.
    for wanted in (signal.SIGTERM, signal.SIGINT):
        signal.signal(wanted, _end)
    application = create_application(settings, database)
    # What is here now stays: to look through it again and again costs a tenth of the ingest.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)
    configuration = uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        ws_max_size=MOST_MESSAGE_BYTES,
        # A live client that is slow reads nothing for a while, pings neither: it is bounded anyway.
        ws_ping_timeout=_LIVE_SILENCE_SECONDS,
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )
    uvicorn.Server(configuration).run(sockets=[listener])


def _check_access(settings: Settings, database: Database) -> None:
    if settings.may_be_open or settings.oidc_issuer or settings.file_keys():
        return
    with database.reading() as connection:
        if has_key(connection, datetime.now(UTC)):
            return
    raise NobodyMayCallError(
        f"others reach {settings.listen}, and nobody may call: 1) name a file with a key in "
        f"{PREFIX}API_KEY_FILE, 2) make a key with `midwatch-ledger keys create`, 3) set "
        f"{PREFIX}OIDC_ISSUER, 4) set {PREFIX}LISTEN to 127.0.0.1:8088, or 5) set {PREFIX}OPEN to "
        "true to let everybody do everything"
    )


def _end(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def _listen(settings: Settings) -> socket.socket:
    """Take the address before anything else, so that a second ledger stops before it works."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # Named as TCP, so that asyncio sends what is written at once: else each answer on a connection
    # that is kept waits 40 ms for the other side to acknowledge the answer's head.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        reason = (
            "another program listens there"
            if error.errno == errno.EADDRINUSE
            else error.strerror or str(error)
        )
        raise ListenError(
            f"can't listen on {settings.listen}: {reason}; "
            f"stop that program or set {PREFIX}LISTEN to another address"
        ) from error
    return listener
