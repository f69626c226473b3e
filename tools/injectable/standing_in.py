"""The table of prices without the libraries that it imports and, for its table, does not use.

`genai-prices` describes its types to pydantic (native) and fetches newer tables by httpx2. Midwatch
asks it for neither: it reads the table that the package brings.
"""

from __future__ import annotations

from pathlib import Path

from injectable.errors import InjectableError

_STANDING_IN = '''"""Stands in for a library that is not injected; made by Midwatch."""


def _described(*_args, **_options):
    return None


Tag = Discriminator = Field = ConfigDict = TypeAdapter = Timeout = _described
'''
_IMPORTS = {"types.py": "import pydantic\n", "update_prices.py": "import httpx2\n"}


def stand_in(packages: Path) -> None:
    """Have the injected `genai-prices` import nothing that is not injected.

    Raises:
        InjectableError: the package imports its libraries in another way than is known.
    """
    folder = packages / "genai_prices"
    for name, line in _IMPORTS.items():
        file = folder / name
        text = file.read_text(encoding="utf-8")
        if text.count(f"\n{line}") != 1:
            raise InjectableError(
                f"genai_prices/{name} has no line {line.strip()!r} any more: look at what it "
                "imports now, and change tools/injectable/standing_in.py"
            )
        library = line.split()[1]
        replaced = f"from genai_prices import _standing_in as {library}\n"
        file.write_text(text.replace(f"\n{line}", f"\n{replaced}"), encoding="utf-8")
    (folder / "_standing_in.py").write_text(_STANDING_IN, encoding="utf-8")
