"""`python -m injectable OUT [--python PYTHON ...]`: makes the folder that is injected into pods."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from injectable.errors import InjectableError
from injectable.tree import build_tree


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the folder; 1 if it can't be made, with the reason on stderr."""
    parser = argparse.ArgumentParser(prog="python -m injectable", description=__doc__)
    parser.add_argument("target", type=Path, help="a folder that is not there yet")
    parser.add_argument(
        "--python", type=Path, action="append", default=[], help="make byte code for this Python"
    )
    given = parser.parse_args(arguments)
    try:
        build_tree(Path(__file__).resolve().parents[2], given.target.resolve(), given.python)
    except InjectableError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
