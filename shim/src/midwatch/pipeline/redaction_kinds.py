"""The table of what is redacted: one row for each kind of secret and of personal data.

Whoever else redacts (the collector) takes its patterns from here. A row is searched for by its
`triggers`, plain texts that are found at the speed of memory; the pattern is tried only where one
stands. Every quantifier is bounded, so that no text makes it take more than linear time.
"""

from __future__ import annotations

import re

from midwatch.pipeline import redaction_checks as checks
from midwatch.pipeline.redaction_model import EDGE_1, EDGE_3, GAP, Kind, pattern, whole
from midwatch.pipeline.redaction_secrets import SECRETS


def _email(match: re.Match[str]) -> int:
    # `git@host:path` names a repository.
    is_repository = match.string.endswith("git@", 0, match.start())
    return (
        0 if is_repository or not checks.is_mail_domain(match[0]) else match.end() - match.start()
    )


def _iban(match: re.Match[str]) -> int:
    start = match.start() - 2
    return max(checks.iban_end(match.string[start : match.end() + 1]) - 2, 0)


PERSONAL: tuple[Kind, ...] = (
    Kind(
        "email",
        "An email address, also percent-encoded.",
        pattern(r"(?:[\w-]{1,63}+\.){1,8}(?:[^\W\d_]{2,24}|xn--[a-z0-9-]{2,59})(?![\w])"),
        ("@", "%40"),
        after=True,
        before=pattern(r"(?<![\w.+%~-])[\w.+%~-]{1,64}+\Z"),
        check=_email,
        personal=True,
    ),
    Kind(
        "card",
        "The number of a payment card: an issuer's beginning and length, Luhn's check digit.",
        pattern(
            rf"[2-6]{EDGE_1}(?:"
            rf"\d{{3}}{GAP}{{1,2}}+\d{{4}}{GAP}{{1,2}}+\d{{4}}{GAP}{{1,2}}+\d{{4}}"
            rf"(?:{GAP}\d{{3}}(?!\d))?+"
            rf"|\d{{3}}{GAP}{{1,2}}+\d{{6}}{GAP}{{1,2}}+\d{{4,5}}|\d{{12,18}}+)(?![\d]|\.\d)"
        ),
        check=whole(checks.is_card),
        personal=True,
    ),
    Kind(
        "iban",
        "An international bank account number with right check digits.",
        pattern(
            rf"\d(?<=[A-Za-z]{{2}}.){EDGE_3}\d(?:(?:[ +\n\r\u00a0-]|%20)?[A-Za-z0-9]){{11,30}}",
        ),
        lead=2,
        check=_iban,
        personal=True,
    ),
    Kind(
        "phone",
        "A telephone number with its country code.",
        pattern(
            r"(?:\+|%2[Bb])\d{1,3}(?:(?:[\s+().\-/\u2010-\u2015\u00a0]|%20){0,2}\d){6,14}(?![\w])"
        ),
        ("+", "%2B", "%2b"),
        before=pattern(r"(?:(?<![A-Za-z0-9_])|(?<=\\[nrtbf]))\Z"),
        check=whole(checks.is_international_phone),
        personal=True,
    ),
    Kind(
        "phone",
        "A telephone number as it is written within North America, or with a trunk zero.",
        pattern(
            rf"(?:\({EDGE_1}[2-9]\d\d\)[\s.-]{{0,2}}+\d{{3}}[\s.-]\d{{4}}"
            rf"|[2-9]{EDGE_1}\d\d[-.\u2010\u2011]\d{{3}}[-.\u2010\u2011]\d{{4}}"
            rf"|1{EDGE_1}[-. ]\(?[2-9]\d\d\)?[-. ]\d{{3}}[-. ]\d{{4}}"
            rf"|0{EDGE_1}\d(?: \d\d){{4}}"
            rf"|0{EDGE_1}(?!\d[-./]\d\d[-./ ])(?:0[1-9]\d?|[1-9]\d{{0,3}})\)?[ /-]{{1,2}}"
            rf"\d{{2,8}}(?:[ -]\d{{2,6}}){{0,3}})(?![\w]|[.-]\d)"
        ),
        check=whole(lambda text: 9 <= len(checks.digits_of(text)) <= 12),
        personal=True,
    ),
)
"""Every kind of personal data."""

KINDS: tuple[Kind, ...] = (*SECRETS, *PERSONAL)
"""Every kind; of texts that overlap the first that begins counts, then the longest."""
