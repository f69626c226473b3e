"""What the appliance guards: its mode, its block list, and the alerts of a believable day."""

from __future__ import annotations

import ipaddress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Literal

Mode = Literal["monitor", "balanced", "strict"]
_BLOCK_LIMIT = 1000

_RULES = (
    ("high", "sql_injection", "SQL injection pattern in a login form"),
    ("high", "credential_stuffing", "Many failed logins from one network"),
    ("medium", "port_scan", "Scan of more than 200 ports within a minute"),
    ("medium", "path_traversal", "Path traversal attempt on the file service"),
    ("low", "tor_exit", "Request from a known Tor exit node"),
    ("low", "outdated_tls", "Client offers TLS 1.0 only"),
)


@dataclass(frozen=True)
class Alert:
    """Something that the appliance noticed."""

    id: str
    severity: str
    rule: str
    summary: str
    source: str
    seen_at: str


@dataclass(frozen=True)
class Block:
    """A blocked address or network."""

    address: str
    reason: str
    since: str


@dataclass
class World:
    """The appliance's state; lives as long as the process."""

    seed: int = 7
    mode: Mode = "balanced"
    blocks: dict[str, Block] = field(default_factory=dict)
    alerts: list[Alert] = field(default_factory=list)

    def __post_init__(self) -> None:
        # Not for secrets: the same seed must give the same day.
        random = Random(self.seed)  # noqa: S311
        now = datetime.now(UTC).replace(microsecond=0)
        self.alerts = [_alert(number, random, now) for number in range(1, 13)]

    def status(self) -> dict[str, object]:
        """A summary of the protection."""
        high = sum(alert.severity == "high" for alert in self.alerts)
        return {
            "mode": self.mode,
            "health": "degraded" if high > 6 else "ok",
            "open_alerts": len(self.alerts),
            "high_alerts": high,
            "blocked": len(self.blocks),
            "requests_per_minute": {"monitor": 1290, "balanced": 1240, "strict": 1105}[self.mode],
        }

    def open_alerts(self, severity: str | None) -> list[dict[str, str]]:
        """The open alerts, newest first, of one severity or all."""
        return [asdict(a) for a in self.alerts if severity in {None, a.severity}]

    def block(self, address: str, reason: str) -> Block:
        """Block an address or network.

        Raises:
            ValueError: no address, one that must stay reachable, or a full list.
        """
        network = ipaddress.ip_network(address.strip(), strict=False)
        if network.is_loopback or network.num_addresses > 2**16:
            raise ValueError(
                f"{address!r} can't be blocked: loopback and networks larger than a /16 are refused"
            )
        if len(self.blocks) >= _BLOCK_LIMIT:
            raise ValueError(f"the block list is full ({_BLOCK_LIMIT}); remove entries first")
        key = str(network.network_address) if network.num_addresses == 1 else str(network)
        since = datetime.now(UTC).isoformat(timespec="seconds")
        return self.blocks.setdefault(key, Block(key, reason or "no reason given", since))

    def unblock(self, address: str) -> bool:
        """Remove a block; says whether there was one."""
        return self.blocks.pop(address, None) is not None

    def report(self, period: str) -> dict[str, object]:
        """Totals for a day or a week."""
        days = {"day": 1, "week": 7}[period]
        rules: dict[str, int] = {}
        for alert in self.alerts:
            rules[alert.rule] = rules.get(alert.rule, 0) + days
        return {
            "period": period,
            "mode": self.mode,
            "alerts_by_rule": dict(sorted(rules.items(), key=lambda item: -item[1])),
            "blocked_requests": 318 * days,
            "top_source": self.alerts[0].source,
        }


def _alert(number: int, random: Random, now: datetime) -> Alert:
    severity, rule, summary = random.choice(_RULES)
    source = f"{random.choice(('203.0.113', '198.51.100', '192.0.2'))}.{random.randint(2, 250)}"
    seen = now - timedelta(minutes=number * random.randint(3, 20))
    return Alert(f"AL-{number:04d}", severity, rule, summary, source, seen.isoformat())
