"""Daily reports and the mail server, as the settings say."""

from __future__ import annotations

from midwatch_ledger.secret_files import secret_in
from midwatch_ledger.services.duties import DailyReports
from midwatch_ledger.services.mailing import MailServer
from midwatch_ledger.settings import Settings


def mail_server(settings: Settings) -> MailServer | None:
    """Return where mail goes through, None if nothing is to be mailed."""
    if not settings.reports_are_mailed or settings.smtp_host is None:
        return None
    return MailServer(
        settings.smtp_host,
        settings.smtp_port,
        settings.smtp_security,
        settings.smtp_user,
        secret_in(settings.smtp_password_file),
    )


def daily_reports(settings: Settings) -> DailyReports | None:
    """Return the duty to make daily reports, None if no hour is set."""
    if settings.report_hour is None:
        return None
    return DailyReports(
        settings.report_hour,
        mail_server(settings),
        settings.report_from or "",
        tuple(settings.report_to),
    )
