"""Turns the objects that helm renders into programs of this machine, like a very small kubelet.

`render` runs helm; `translate` allocates local ports, writes configuration and secrets below the
stack's directory, and gives one `ProgramSpecification` for each Deployment and StatefulSet. What
has no local counterpart is refused by name: nothing of a cluster is silently left in a command
line, an environment or a configuration file.
"""

from __future__ import annotations

from stack.translate.objects import Rendered
from stack.translate.render import Release, render
from stack.translate.translation import LocalService, translate

__all__ = ["LocalService", "Release", "Rendered", "render", "translate"]
