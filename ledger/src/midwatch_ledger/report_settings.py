"""Settings of daily reports and of the mail server that they go through."""

from __future__ import annotations

from email.utils import parseaddr
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode

from midwatch_ledger.access_settings import is_loopback
from midwatch_ledger.secret_files import SecretFile


def _address(value: str) -> str:
    _, address = parseaddr(value)
    name, at, domain = address.partition("@")
    if not (name and at and domain) or any(sign in value for sign in "\r\n"):
        raise ValueError(f"{value!r} is no mail address, such as oncall@example.com")
    return value


def _listed(value: object) -> object:
    if not isinstance(value, str):
        return value
    return [part.strip() for part in value.split(",") if part.strip()]


MailAddress = Annotated[str, AfterValidator(_address)]


class ReportSettings(BaseSettings):
    """When a day's report is made, and to whom it is sent."""

    report_hour: int | None = Field(default=None, ge=0, le=23)
    report_to: Annotated[list[MailAddress], NoDecode, BeforeValidator(_listed)] = []
    report_from: MailAddress | None = None
    smtp_host: str | None = None
    smtp_port: int = Field(default=587, ge=1, le=65_535)
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    smtp_user: str | None = None
    smtp_password_file: SecretFile | None = None
    duties_seconds: float = Field(default=30.0, ge=0.1, le=3600)

    @property
    def reports_are_mailed(self) -> bool:
        """Whether all is set that mail needs."""
        return bool(self.report_to and self.smtp_host)

    def report_problems(self) -> list[str]:
        """What is wrong with these settings together, one line each."""
        prefix = str(self.model_config.get("env_prefix", ""))
        problems = []
        if self.report_to and not self.smtp_host:
            problems.append(
                f"{prefix}REPORT_TO: there is no mail server to send through; set {prefix}SMTP_HOST"
            )
        if self.report_to and not self.report_from:
            problems.append(
                f"{prefix}REPORT_TO: mail needs a sender as well; set {prefix}REPORT_FROM"
            )
        if (self.smtp_user is None) != (self.smtp_password_file is None):
            problems.append(
                f"{prefix}SMTP_USER: a user needs a password and the other way round; set both "
                f"it and {prefix}SMTP_PASSWORD_FILE, or neither"
            )
        open_line = self.smtp_host is not None and self.smtp_security == "none"
        if open_line and not is_loopback(str(self.smtp_host)):
            problems.append(
                f"{prefix}SMTP_SECURITY: reports don't go over a network unencrypted; set it to "
                "starttls or tls, or use a mail server on this machine"
            )
        return problems
