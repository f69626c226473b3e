"""What tells a real card, account or key from digits and letters that only look like one."""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections import Counter
from collections.abc import Mapping


def _words(text: str) -> list[str]:
    return text.split()


_DIGITS = re.compile(r"\d")
_CARD_LENGTHS: tuple[tuple[re.Pattern[str], frozenset[int]], ...] = (
    (re.compile(r"4"), frozenset({13, 16, 19})),
    (re.compile(r"5[1-5]|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720)"), frozenset({16})),
    (re.compile(r"3[47]"), frozenset({15})),
    (re.compile(r"3(?:0[0-5]|[689])"), frozenset({14, 16, 19})),
    (re.compile(r"35(?:2[89]|[3-8])"), frozenset({16, 17, 18, 19})),
    (re.compile(r"6(?:011|4[4-9]|5)"), frozenset({16, 17, 18, 19})),
    (re.compile(r"62"), frozenset({16, 17, 18, 19})),
    (re.compile(r"5[06-8]|6"), frozenset({13, 14, 15, 16, 17, 18, 19})),
)
"""The issuers' numbers by their beginnings, and how long they are."""

IBAN_LENGTHS: Mapping[str, int] = {
    pair[:2]: int(pair[2:])
    for pair in _words("""
    AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18
    DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23
    IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27
    MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19
    SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30
    """)
}
"""How long an IBAN is, by its country."""

_PLACEHOLDER_BEGINNINGS = (*"$<{[*%", "xxx", "XXX", "...", "your", "YOUR")
_PLACEHOLDERS = frozenset(
    _words(
        "null none true false undefined string required optional redacted password secret token "
        "bearer basic str text example changeit placeholder missing expired invalid"
    )
)
_FILE_ENDINGS = frozenset(_words("png jpg jpeg gif svg webp ico css js ts py json html"))
_VERSION = re.compile(r"v?\d+(?:\.\d+)+")


def digits_of(text: str) -> str:
    """The decimal digits of a text, in order, as ASCII."""
    return "".join(str(int(digit)) for digit in _DIGITS.findall(text))


def passes_luhn(digits: str) -> bool:
    """Whether the last digit checks the others (ISO/IEC 7812)."""
    total = 0
    for index, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + index % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def is_card(text: str) -> bool:
    """Whether it is the number of a payment card: an issuer's, of its length, that checks."""
    digits = digits_of(_without_escapes(text))
    if len(set(digits)) == 1 or not passes_luhn(digits):
        return False
    return any(begin.match(digits) and len(digits) in lengths for begin, lengths in _CARD_LENGTHS)


def iban_end(text: str) -> int:
    """How much of the text is an IBAN that checks (ISO 13616), 0 if it does not begin with one."""
    wanted = IBAN_LENGTHS.get(text[:2].upper(), 0)
    taken, end = "", 0
    for index, character in enumerate(_without_escapes(text)):
        if len(taken) == wanted:
            break
        if character.isalnum():
            taken, end = taken + character, index + 1
    following = text[end : end + 1]
    if not wanted or len(taken) != wanted or (following.isascii() and following.isalnum()):
        return 0
    moved = (taken[4:] + taken[:4]).upper()
    try:
        number = int("".join(str(int(character, 36)) for character in moved))
    except ValueError:
        return 0
    return end if number % 97 == 1 else 0


def is_mail_domain(domain: str) -> bool:
    """Whether mail may go there: what follows the sign is not a file's ending or a version."""
    ending = domain.rpartition(".")[2].lower()
    return not (ending in _FILE_ENDINGS or _VERSION.match(domain))


def is_international_phone(text: str) -> bool:
    """Whether it has as many digits as a number with its country code may have (E.164)."""
    return 8 <= len(digits_of(_without_escapes(text))) <= 15


def entropy_bits(text: str) -> float:
    """The Shannon entropy of the text's characters, in bits a character."""
    counts = Counter(text)
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts.values()) if text else 0.0


def is_password(value: str, *, assigned: bool) -> bool:
    """Whether a value after the word `password` is one; in prose it has to look like one."""
    if _is_placeholder(value):
        return False
    if assigned:
        return True
    return len(value) >= 6 and not value.strip(".!?:").isalpha()


def is_secret_value(value: str) -> bool:
    """Whether a value after a word such as `token` is long and random enough for a secret."""
    if len(value) < 8 or _is_placeholder(value):
        return False
    has_digit = any(character.isdigit() for character in value)
    has_letter = any(character.isalpha() for character in value)
    mixed = value.lower() != value and value.upper() != value
    if not has_letter or not (has_digit or (mixed and len(value) >= 24)):
        return False
    return entropy_bits(value) >= 2.8


def is_basic_credentials(value: str) -> bool:
    """Whether it is `user:password` in base64."""
    try:
        decoded = base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
    except (binascii.Error, ValueError):
        return False
    return b":" in decoded


def is_bearer_token(value: str) -> bool:
    """Whether it is no word of prose."""
    return len(value) >= 8 and any(character.isdigit() for character in value)


def is_openai_key(value: str) -> bool:
    """Whether it is a key and not words joined by hyphens."""
    return value.lower() != value and any(character.isdigit() for character in value)


def _is_placeholder(value: str) -> bool:
    return value.startswith(_PLACEHOLDER_BEGINNINGS) or value.strip("'\"").lower() in _PLACEHOLDERS


def _without_escapes(text: str) -> str:
    """The text with spaces for percent-encoded ones, each character at its place."""
    return text.replace("%20", "   ")
