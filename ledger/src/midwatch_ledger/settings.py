"""The ledger's settings, from the environment; all that is wrong is told at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import SettingsConfigDict
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from midwatch_ledger.access_settings import AccessSettings, RetentionSettings, is_loopback
from midwatch_ledger.live_settings import LiveSettings
from midwatch_ledger.report_settings import ReportSettings
from midwatch_ledger.secret_files import SecretFile, secret_in

if TYPE_CHECKING:
    from midwatch_ledger.services.retention import Policy

PREFIX = "MIDWATCH_LEDGER_"
DEFAULT_DATABASE_URL = "sqlite:///midwatch-ledger.db"
_DRIVERS = ("sqlite", "postgresql+psycopg")
_MEBIBYTE = 1024 * 1024


class SettingsError(Exception):
    """One or more settings are wrong; `problems` has a line for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def _database_url(value: str) -> str:
    try:
        url = make_url(value)
    except ArgumentError:
        # The value isn't repeated: a mistyped URL may hold a password.
        raise ValueError(
            "is not a database URL; write sqlite:///path/to/file.db or "
            "postgresql+psycopg://user@host:5432/database"
        ) from None
    if url.drivername not in _DRIVERS:
        raise ValueError(f"driver {url.drivername!r} is not supported; use {' or '.join(_DRIVERS)}")
    if url.drivername == "sqlite" and url.database in (None, "", ":memory:"):
        raise ValueError(
            "a database in memory would lose everything at exit; name a file: sqlite:///ledger.db"
        )
    return value


def _listen(value: str) -> str:
    host, separator, port = value.rpartition(":")
    if not separator or not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{value!r} is not HOST:PORT; for example 127.0.0.1:8088 or [::]:8088")
    return value


class Settings(AccessSettings, RetentionSettings, ReportSettings, LiveSettings):
    """What `midwatch-ledger` reads from `MIDWATCH_LEDGER_*`; `README.md` lists the variables."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    database_url: Annotated[str, AfterValidator(_database_url)] = DEFAULT_DATABASE_URL
    database_password_file: SecretFile | None = None
    listen: Annotated[str, AfterValidator(_listen)] = "127.0.0.1:8088"
    migrate_on_start: bool = True
    max_body_bytes: int = Field(default=32 * _MEBIBYTE, ge=1024, le=1024 * _MEBIBYTE)
    max_pending_bytes: int = Field(default=64 * _MEBIBYTE, ge=1024, le=16 * 1024 * _MEBIBYTE)
    database_timeout_seconds: float = Field(default=5.0, gt=0, le=300)
    rollup_seconds: float = Field(default=3.0, ge=0.1, le=3600)
    shutdown_seconds: int = Field(default=20, ge=1, le=600)

    @property
    def host(self) -> str:
        """The address to listen on."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port to listen on; 0 lets the system choose."""
        return int(self.listen.rpartition(":")[2])

    @property
    def may_be_open(self) -> bool:
        """Whether anybody may do everything as long as there is no key: nobody else gets here."""
        return self.oidc_issuer is None and (self.open or is_loopback(self.host))

    def retention_policy(self) -> Policy:
        """How long rows are kept, and where they go then."""
        # Loaded when it is asked for: settings are read, and told wrong, without the database.
        from midwatch_ledger.services.retention import Policy

        return Policy(self.retention_days, self.retention_tables, self.archive_url)

    @property
    def sqlalchemy_url(self) -> URL:
        """The database URL with the password from its file, if one is named."""
        url = make_url(self.database_url)
        if self.database_password_file is None:
            return url
        return url.set(password=secret_in(self.database_password_file))


def load_settings() -> Settings:
    """Read the settings from the environment.

    Raises:
        SettingsError: with one line for each wrong variable.
    """
    try:
        settings = Settings()
    except ValidationError as error:
        raise SettingsError(
            [
                f"{PREFIX}{str(problem['loc'][0]).upper()}: "
                f"{problem['msg'].removeprefix('Value error, ')}"
                f"{_given(str(problem['loc'][0]), problem['input'])}"
                for problem in error.errors()
            ]
        ) from None
    problems = [*settings.access_problems(), *settings.report_problems()]
    if settings.max_pending_bytes < settings.max_body_bytes:
        problems.append(
            f"{PREFIX}MAX_PENDING_BYTES: {settings.max_pending_bytes} is less than "
            f"{PREFIX}MAX_BODY_BYTES ({settings.max_body_bytes}), so the largest request "
            "could never be taken; raise the first or lower the second"
        )
    if problems:
        raise SettingsError(problems)
    return settings


def _given(field: str, value: object) -> str:
    """Repeat the given value, except where it may hold a secret or is in the message already."""
    if field in ("database_url", "listen") or field.endswith("_file"):
        return ""
    return f" (given {value!r})"
