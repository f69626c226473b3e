"""Settings that came with the injection, for what the application leaves open.

A pod that gets Midwatch gets its settings as `MIDWATCH_DEFAULT_<NAME>`. Whatever says `<NAME>` in
the pod, in a ConfigMap or in the image itself goes first, and only here all of that is known.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

PREFIX = "MIDWATCH_DEFAULT_"
_SERVICE_NAME = "OTEL_SERVICE_NAME"
_RESOURCE = "OTEL_RESOURCE_ATTRIBUTES"


def set_defaults(environ: MutableMapping[str, str]) -> None:
    """Set each variable for which there is a default and no value."""
    environ.update(completed(environ))


def completed(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables, defaults included."""
    defaults = {
        name[len(PREFIX) :]: value
        for name, value in environ.items()
        if name.startswith(PREFIX) and value
    }
    if "service.name=" in environ.get(_RESOURCE, ""):
        # The variable would go before what the attributes say.
        defaults.pop(_SERVICE_NAME, None)
    return {**defaults, **environ}
