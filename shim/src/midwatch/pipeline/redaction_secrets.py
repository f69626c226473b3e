"""The secrets that are redacted: keys, tokens, passwords."""

from __future__ import annotations

import re

from midwatch.pipeline import redaction_checks as checks
from midwatch.pipeline.redaction_model import EDGE, Check, Kind, pattern, value, whole

_QUOTED = r"\\{0,7}[\"'](?P<quoted>[^\"'\\\n]{4,512}+)"
_WIDE = r"\u3001\u3002\u300d\u300f\uff01\uff09\uff0c\uff1b\uff1f"
_BARE = rf"(?P<bare>[^\s\"'<>,;&\\)\]}}\[({{|{_WIDE}]{{4,512}}+)"
_ASSIGNED = (
    rf"[A-Za-z0-9_.\-]{{0,24}}+(?:\\{{0,7}}[\"'])?\s{{0,3}}+(?P<sign>=>|:=|[:=]|%3[Dd])\s{{0,3}}+"
    rf"(?:{_QUOTED}|{_BARE})"
)


def _password(match: re.Match[str]) -> int:
    quoted = match["quoted"]
    value = quoted or match["bare"]
    assigned = quoted is not None or match["sign"] != ":"
    return match.end() - match.start() if checks.is_password(value, assigned=assigned) else 0


def _assigned_secret(match: re.Match[str]) -> int:
    value = match["quoted"] or match["bare"]
    if value.lower().startswith(("bearer ", "basic ")):
        # A kind of its own.
        return 0
    return match.end() - match.start() if checks.is_secret_value(value) else 0


def _token(
    name: str, description: str, text: str, *triggers: str, check: Check | None = None
) -> Kind:
    return Kind(name, description, pattern(text), triggers, check=check)


SECRETS: tuple[Kind, ...] = (
    _token(
        "private_key",
        "A private key in PEM form, also a cut or JSON-escaped one.",
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:[A-Za-z0-9+/=\s:,.]|\\{1,4}[nrt]|-(?!----)){0,16384}+"
        r"(?:-----END [A-Z0-9 ]{0,40}-----)?",
        "-----BEGIN ",
    ),
    _token(
        "jwt",
        "A JSON Web Token.",
        EDGE
        + r"eyJ[A-Za-z0-9_-]{5,4096}+\.[A-Za-z0-9_-]{5,16384}+(?:\.[A-Za-z0-9_-]{0,4096}+){0,3}",
        "eyJ",
    ),
    _token("anthropic_key", "A key of Anthropic's.", r"sk-ant-[A-Za-z0-9_-]{20,256}+", "sk-ant-"),
    _token(
        "openai_key",
        "A key of OpenAI's, or of a service that makes them alike.",
        EDGE + r"sk-(?!ant-)[A-Za-z0-9_-]{20,256}+",
        "sk-",
        check=whole(checks.is_openai_key),
    ),
    _token(
        "aws_access_key",
        "An access key id of AWS.",
        r"(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}(?![0-9A-Z])",
        "AKIA",
        "ASIA",
        "ABIA",
        "ACCA",
    ),
    _token(
        "github_token",
        "A token of GitHub's.",
        r"gh[pousr]_[A-Za-z0-9]{36,255}+|github_pat_[A-Za-z0-9_]{22,255}+",
        "ghp_",
        "gho_",
        "ghu_",
        "ghs_",
        "ghr_",
        "github_pat_",
    ),
    _token("gitlab_token", "A token of GitLab's.", r"glpat-[A-Za-z0-9_-]{20,64}+", "glpat-"),
    _token(
        "slack_token",
        "A token or a webhook of Slack's.",
        r"xox[abeoprs](?:\.xox[abp])?-[A-Za-z0-9-]{10,255}+|xapp-[A-Za-z0-9-]{10,255}+"
        r"|hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/]{20,128}+",
        "xox",
        "xapp-",
        "hooks.slack.com/",
    ),
    _token(
        "google_key",
        "A key, a client secret or an access token of Google's.",
        r"AIza[A-Za-z0-9_-]{35}|GOCSPX-[A-Za-z0-9_-]{20,64}+|ya29\.[A-Za-z0-9_-]{20,1024}+",
        "AIza",
        "GOCSPX-",
        "ya29.",
    ),
    _token(
        "stripe_key",
        "A secret key of Stripe's.",
        r"(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{10,128}+|whsec_[A-Za-z0-9+/=]{20,128}+",
        "sk_live_",
        "sk_test_",
        "rk_live_",
        "rk_test_",
        "whsec_",
    ),
    _token("npm_token", "A token of npm's.", r"npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])", "npm_"),
    _token("pypi_token", "A token of PyPI's.", r"pypi-[A-Za-z0-9_-]{50,512}+", "pypi-"),
    _token(
        "huggingface_token",
        "A token of Hugging Face's.",
        r"hf_[A-Za-z0-9]{30,64}+",
        "hf_",
        check=whole(checks.is_openai_key),
    ),
    _token(
        "sendgrid_key",
        "A key of SendGrid's.",
        r"SG\.[A-Za-z0-9_-]{16,64}+\.[A-Za-z0-9_-]{16,128}+",
        "SG.",
    ),
    Kind(
        "bearer_token",
        "The token of a bearer authorization.",
        pattern(r"(?:\\{0,7}[\"'])?(?:[\s:=+]|%20){1,4}+(?P<value>[A-Za-z0-9._~+/=-]{8,4096}+)"),
        ("bearer",),
        fold=True,
        after=True,
        check=value(checks.is_bearer_token),
    ),
    Kind(
        "basic_credentials",
        "The credentials of a basic authorization.",
        pattern(r"(?:\\{0,7}[\"'])?(?:[\s:=+]|%20){1,4}+(?P<value>[A-Za-z0-9+/]{6,1024}+={0,2})"),
        ("basic",),
        fold=True,
        after=True,
        check=value(checks.is_basic_credentials),
    ),
    Kind(
        "url_credentials",
        "The user and the password in a URL.",
        pattern(r"(?P<value>[^\s/@:\"'<>\\]{0,128}+:[^\s/@\"'<>\\]{1,256}+)@"),
        ("://", "%3A%2F%2F", "%3a%2f%2f"),
        after=True,
    ),
    Kind(
        "password",
        "What is assigned to a name with password in it.",
        pattern(_ASSIGNED),
        ("password", "passwd", "passphrase", "passwort", "pwd"),
        fold=True,
        after=True,
        check=_password,
    ),
    Kind(
        "secret",
        "A long random value that is assigned to a name such as token, secret or api_key.",
        pattern(_ASSIGNED),
        (
            "secret",
            "token",
            "api_key",
            "api-key",
            "apikey",
            "access_key",
            "access-key",
            "accesskey",
            "accountkey",
            "private_key",
            "credential",
            "authorization",
            "signature",
        ),
        fold=True,
        after=True,
        check=_assigned_secret,
    ),
)
"""Every kind of secret."""
