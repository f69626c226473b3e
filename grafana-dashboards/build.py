"""Write the dashboards (`make dashboards`), or with --check say which of them are out of date."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from builders import BOARDS, render

GENERATED = Path(__file__).resolve().parent / "generated"


def outdated(folder: Path) -> dict[Path, str | None]:
    """What a folder lacks: the text each file should have, None for a file that should not be."""
    wanted: dict[Path, str | None] = {folder / f"{b.uid}.json": render(b) for b in BOARDS}
    found: dict[Path, str | None] = {file: None for file in folder.glob("*.json")}
    return {
        file: text
        for file, text in (found | wanted).items()
        if text is None or not file.exists() or file.read_text(encoding="utf-8") != text
    }


def main(arguments: list[str] | None = None) -> int:
    """Write or check; the exit code is 1 when a check finds something."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, fail on a difference")
    parser.add_argument("--folder", type=Path, default=GENERATED, help="where the JSON files are")
    options = parser.parse_args(arguments)
    stale = outdated(options.folder)
    if options.check:
        for file in stale:
            sys.stderr.write(f"{file} is out of date; run `make dashboards`\n")
        return 1 if stale else 0
    options.folder.mkdir(parents=True, exist_ok=True)
    for file, text in stale.items():
        if text is None:
            file.unlink()
        else:
            file.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
