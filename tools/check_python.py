"""Refuses a Python that Midwatch can't run on, and says what to install instead.

Runs before anything is installed, on any Python 3, so it uses nothing but the standard library.
"""

import sys

OLDEST = (3, 11)


def problems():  # type: () -> list[str]
    """Return what is wrong with this interpreter, one sentence each."""
    found = []
    if sys.version_info < OLDEST:
        found.append(
            f"Python {OLDEST[0]}.{OLDEST[1]} or newer is needed; "
            f"{sys.executable} is {sys.version_info[0]}.{sys.version_info[1]}. "
            "Install it, then run make again with PYTHON=python3.11."
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        found.append(
            f"{sys.executable} lacks the venv module. "
            "On Debian or Ubuntu: apt-get install python3-venv."
        )
    return found


if __name__ == "__main__":
    for problem in problems():
        sys.stderr.write(f"midwatch: {problem}\n")
    sys.exit(1 if problems() else 0)
