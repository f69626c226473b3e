"""Refuses a Python that Midwatch can't run on, and says what to install instead.

Runs before anything is installed, on any Python 3, so it uses nothing but the standard library.
"""

import sys

OLDEST = (3, 11)


def problems():
    """Return what is wrong with this interpreter, one sentence each."""
    found = []
    if sys.version_info < OLDEST:
        found.append(
            "Python %d.%d or newer is needed; %s is %d.%d. Install it, then run make again with PYTHON=python3.11."
            % (OLDEST + (sys.executable,) + sys.version_info[:2])
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        found.append(
            "%s lacks the venv module. On Debian or Ubuntu: apt-get install python3-venv." % sys.executable
        )
    return found


if __name__ == "__main__":
    for problem in problems():
        sys.stderr.write("midwatch: %s\n" % problem)
    sys.exit(1 if problems() else 0)
