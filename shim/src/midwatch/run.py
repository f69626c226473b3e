"""`midwatch-run COMMAND ...`: run a Python program with telemetry, without a change to it."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BOOTSTRAP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bootstrap")
"""The folder whose `sitecustomize` starts Midwatch in every Python that finds it on its path."""

_USAGE = """\
usage: midwatch-run COMMAND [ARGUMENT ...]

Runs a Python program with Midwatch, for example:
  midwatch-run python -m my_agent
  midwatch-run uvicorn my_agent.web:app

OTEL_SERVICE_NAME names the service, OTEL_EXPORTER_OTLP_ENDPOINT says where the collector is.
`midwatch doctor` shows what would be instrumented.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Replace this process by the command; exits with 2 if there is none and 127 if not found."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] in {"-h", "--help"}:
        stream = sys.stdout if arguments else sys.stderr
        stream.write(_USAGE)
        raise SystemExit(0 if arguments else 2)
    try:
        os.execvpe(arguments[0], list(arguments), environment(os.environ))  # noqa: S606 (its task)
    except OSError as error:
        sys.stderr.write(
            f"midwatch-run: no program {arguments[0]!r} on PATH ({error.strerror}); give a program "
            "that exists, for example: midwatch-run python -m my_agent\n"
        )
        raise SystemExit(127) from None


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment in which a Python program starts with Midwatch."""
    others = [
        path
        for path in environ.get("PYTHONPATH", "").split(os.pathsep)
        if path and path != BOOTSTRAP
    ]
    return {**environ, "PYTHONPATH": os.pathsep.join([BOOTSTRAP, *others])}
