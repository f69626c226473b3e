"""What a label stands for: one version, or several that share the sessions by weight."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from midwatch.prompts.definitions import NAME, NAME_RULE

NO_VARIANT = "none"
"""The variant of a use outside any experiment."""

_MAX_VARIANTS = 20


@dataclass(frozen=True)
class Variant:
    """One arm of an experiment: the version its sessions get, and how many of them by weight."""

    name: str
    version: str
    weight: float


@dataclass(frozen=True)
class Assignment:
    """What a label of a prompt stands for.

    `experiment` is what the hash of a session is salted with: experiments of different names divide
    the sessions independently of each other.
    """

    experiment: str
    variants: tuple[Variant, ...]

    @property
    def versions(self) -> tuple[str, ...]:
        """The versions that a session may get."""
        return tuple(dict.fromkeys(variant.version for variant in self.variants))

    def choose(self, session_id: str) -> Variant:
        """The variant of a session: the same in every process, for ever.

        This is weighted rendezvous hashing: each variant draws a number from the hash of
        experiment, session and variant, and the highest wins. When weights change only the sessions
        that must move do. Without a session the heaviest variant is chosen.
        """
        if len(self.variants) == 1 or not session_id:
            return max(self.variants, key=lambda variant: variant.weight)
        return max(self.variants, key=lambda variant: self._draw(session_id, variant))

    def _draw(self, session_id: str, variant: Variant) -> float:
        if not variant.weight:
            return -1.0
        text = "\0".join((self.experiment, session_id, variant.name))
        drawn = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        # 52 bits, so that adding a half stays exact: never 0 and never 1.
        share = ((int.from_bytes(drawn[:8], "big") >> 12) + 0.5) / 2**52
        return variant.weight / -math.log(share)


def one_version(version: str) -> Assignment:
    """The assignment of a label that stands for one version."""
    return Assignment("", (Variant(NO_VARIANT, version, 1.0),))


def assignment(prompt: str, label: str, given: object) -> tuple[Assignment | None, list[str]]:
    """Read what a label stands for, and everything that is wrong with it.

    Given is a version, or `{"experiment": optional name, "variants": {name: {"version": ...,
    "weight": ...}}}`.
    """
    if isinstance(given, str):
        return (one_version(given), []) if NAME.match(given) else (None, [_not_a_name(given)])
    if not isinstance(given, Mapping) or not isinstance(given.get("variants"), Mapping):
        return None, ["needs a version in quotes, or a map with `variants`"]
    problems = [
        f"unknown key {key!r}; allowed are experiment, variants"
        for key in given
        if key not in ("experiment", "variants")
    ]
    variants = [_variant(name, one, problems) for name, one in given["variants"].items()]
    found = [variant for variant in variants if variant is not None]
    if not problems and not 0 < len(found) <= _MAX_VARIANTS:
        problems.append(f"variants: needs from 1 to {_MAX_VARIANTS}, given {len(found)}")
    if not problems and not any(variant.weight for variant in found):
        problems.append("variants: at least one weight must be above 0")
    if problems:
        return None, problems
    experiment = str(given.get("experiment") or f"{prompt}/{label}")
    return Assignment(experiment, tuple(sorted(found, key=lambda variant: variant.name))), []


def _variant(name: object, given: object, problems: list[str]) -> Variant | None:
    where = f"variants.{name}"
    if not isinstance(name, str) or not NAME.match(name):
        problems.append(f"{where}: {_not_a_name(name)}")
        return None
    if not isinstance(given, Mapping) or set(given) != {"version", "weight"}:
        problems.append(f"{where}: needs exactly `version` and `weight`")
        return None
    version, weight = given["version"], _weight(given["weight"])
    if not isinstance(version, str) or not NAME.match(version):
        problems.append(f"{where}: {_not_a_name(version)}")
    if weight is None:
        problems.append(f"{where}: weight {given['weight']!r}: needs a number from 0 up")
    return Variant(name, str(version), weight or 0.0)


def _weight(given: object) -> float | None:
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        return None
    try:
        weight = float(given)
    except ValueError:
        return None
    return weight if math.isfinite(weight) and weight >= 0 else None


def _not_a_name(given: object) -> str:
    return f"{given!r}: needs {NAME_RULE}"


def latest(versions: Sequence[str]) -> str:
    """The highest version, numbers within it compared as numbers."""
    return max(versions, key=version_order)


def version_order(version: str) -> tuple[tuple[int, int, str], ...]:
    """What sorts versions: `9` before `10`, `v1.9` before `v1.10`."""
    parts: list[tuple[int, int, str]] = []
    number = ""
    for sign in f"{version}\0":
        if sign.isascii() and sign.isdigit():
            number += sign
            continue
        if number:
            parts.append((1, int(number), ""))
            number = ""
        if sign != "\0":
            parts.append((0, 0, sign))
    return tuple(parts)
