"""Finds cluster addresses in text and says which local port stands for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_SCHEME_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class ServiceMap:
    """The local ports of services: by namespace and name, then by service port."""

    services: Mapping[tuple[str, str], Mapping[int, int]]

    def pattern(self) -> str:
        """Return a regular expression for every way to write one of the services.

        Its groups are `scheme`, `service`, `namespace`, `tail` and `port`. A StatefulSet's pod name
        may stand before the service.
        """
        names = sorted({name for _, name in self.services}, key=len, reverse=True)
        if not names:
            return r"(?P<service>(?!))"
        return (
            r"(?<![\w.-])(?:(?P<scheme>https?)://)?(?:[a-z0-9-]+-\d+\.)?"
            rf"(?P<service>{'|'.join(map(re.escape, names))})"
            r"(?:\.(?P<namespace>[a-z0-9-]+)(?P<tail>\.svc(?:\.cluster\.local)?)?)?"
            r"(?::(?P<port>\d+))?(?![\w-]|\.\w)"
        )

    def locate(self, found: re.Match[str], own_namespace: str) -> tuple[str | None, str | None]:
        """Return the local form of an address that was found, and what is wrong with it.

        Both are None for text that only looks like a service, such as a bare word.
        """
        scheme, name, port_text = found["scheme"], found["service"], found["port"]
        if found["namespace"] is None and scheme is None and port_text is None:
            return None, None
        targets = self.services.get((found["namespace"] or own_namespace, name))
        if targets is None:
            return None, None
        if port_text is None and scheme is None:
            return None, f"{found[0]!r} names no port"
        port = int(port_text) if port_text else _SCHEME_PORTS[scheme]
        if port not in targets:
            known = ", ".join(map(str, sorted(targets))) or "none"
            return None, f"{found[0]!r}: service {name} has no port {port}, it has {known}"
        prefix = f"{scheme}://" if scheme else ""
        return f"{prefix}127.0.0.1:{targets[port]}", None
