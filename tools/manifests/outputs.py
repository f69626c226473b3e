"""Derived files: compared with what is on disk, or written there."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Output:
    """What one step derives.

    Attributes:
        files: Text by path.
        owned: Patterns by folder; a file that matches and is not in `files` is a left-over.
    """

    files: dict[Path, str]
    owned: dict[Path, str] = field(default_factory=dict)

    def leftovers(self) -> list[Path]:
        """Files that an earlier run derived and this one does not."""
        found = (
            path for folder, pattern in self.owned.items() for path in sorted(folder.glob(pattern))
        )
        return [path for path in found if path not in self.files]


def stale(output: Output) -> list[Path]:
    """Paths whose text on disk is not what the step derives, left-overs included."""
    changed = [
        path
        for path, text in output.files.items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    return changed + output.leftovers()


def write(output: Output) -> list[Path]:
    """Bring the disk up to date and return the paths that changed."""
    changed = stale(output)
    for path in changed:
        if path in output.files:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(output.files[path], encoding="utf-8")
        else:
            path.unlink()
    return changed
