"""What can go wrong when a program is looked for or built, told with its remedy."""

from __future__ import annotations

import re
from collections.abc import Mapping

_REMEDIES: tuple[tuple[str, str], ...] = (
    (
        r"no such host|dial tcp|i/o timeout|connection refused|network is unreachable"
        r"|NewConnectionError|Temporary failure in name resolution|No matching distribution",
        "the first build downloads Go modules: connect this machine to the network, or set GOPROXY "
        "(and PIP_INDEX_URL) to mirrors it can reach",
    ),
    (
        r"403 Forbidden|410 Gone|not available",
        "the module proxy refuses this version: set GOPROXY to one that has it",
    ),
    (r"no space left on device", "free some disk space: the builds need about 4 GB in all"),
    (
        r"permission denied|Permission denied|Read-only file system|read-only file system"
        r"|Not a directory|File exists",
        "make the cache folder writable, or set MIDWATCH_CACHE_DIR to a folder that is",
    ),
    (r"checksum mismatch", "a module differs from what go.sum pins: check GOPROXY, then try again"),
    (r"signal: killed|out of memory", "the build ran out of memory: free some, then try again"),
)


class ProgramsUnavailable(Exception):  # noqa: N818 - reads as what it says
    """One or more programs can be neither found nor built.

    Attributes:
        reasons: for each program, why it can't be had and what to do.
    """

    def __init__(self, reasons: Mapping[str, str]) -> None:
        self.reasons = dict(reasons)
        lines = [f"  {name}: {reason}" for name, reason in sorted(self.reasons.items())]
        super().__init__("these programs can't be had:\n" + "\n".join(lines))


class BuildFailed(Exception):  # noqa: N818 - reads as what it says
    """A build stopped; the text holds its last words and the remedy."""

    def __init__(self, what: str, output: str) -> None:
        super().__init__(f"{what} failed. {_last_words(output)}\n    Remedy: {remedy_for(output)}.")


def remedy_for(output: str) -> str:
    """Return what a person can do about a build that printed this."""
    for pattern, remedy in _REMEDIES:
        if re.search(pattern, output):
            return remedy
    return "read the lines above; run the same build again with go build -x to see more"


def _last_words(output: str, lines: int = 6) -> str:
    said = [line for line in output.strip().splitlines() if line.strip()][-lines:]
    if not said:
        return "It said nothing."
    return "It said:\n" + "\n".join(f"      {line[:400]}" for line in said)
