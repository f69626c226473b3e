"""Embeddings without a model: hashed bags of words, so that similar texts are near."""

from __future__ import annotations

import base64
import hashlib
import math
import re
import struct
from collections import Counter
from functools import lru_cache

_WORD = re.compile(r"[a-z0-9][a-z0-9'-]*")
_SUFFIXES = ("ing", "edly", "ed", "ies", "es", "s")
_STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
        a an and are as at be been but by can could do does for from had has have how i if in
        is it its me my no not of on or our should so that the their them then there these
        they this to was we were what when where which who why will with would you your
        """,
    )
)


def embed(text: str, dimensions: int) -> list[float]:
    """A unit vector for a text; texts that share words point in similar directions.

    An empty text, one of stop words only, and one whose words cancel each other out give a unit
    vector too: OpenAI never gives zeros.
    """
    counts = Counter(content_words(text)) or Counter({text.strip() or "empty": 1})
    vector = [0.0] * dimensions
    for word, count in counts.items():
        weight = 1 + math.log(count)
        for index, sign in _positions(word):
            vector[index % dimensions] += sign * weight
    if not any(vector):
        vector[_positions(text)[0][0] % dimensions] = 1.0
    length = math.hypot(*vector)
    return [value / length for value in vector]


def as_base64(vector: list[float]) -> str:
    """The vector as OpenAI's `encoding_format: base64` has it: little-endian 32-bit floats."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")


def content_words(text: str) -> list[str]:
    """The stems of a text's words, without those that mean nothing by themselves."""
    return [_stem(word) for word in _WORD.findall(text.lower()) if word not in _STOP_WORDS]


def _stem(word: str) -> str:
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            return word[: -len(suffix)]
    return word


@lru_cache(maxsize=50_000)
def _positions(word: str) -> tuple[tuple[int, float], ...]:
    """Two places for each word, so that a collision of one does not hide it."""
    digest = hashlib.blake2b(word.encode(), digest_size=16).digest()
    first, second = struct.unpack("<QQ", digest)
    return tuple((value >> 1, 1.0 if value & 1 else -1.0) for value in (first, second))
