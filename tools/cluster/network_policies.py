"""What NetworkPolicies mean, as one table of nftables: from objects of the API to what `nft` reads.

The table sees what a node forwards: between its pods, after a Service's address became a pod's, and
from outside. What the node itself sends and gets, kubelet's probes for one, is always allowed, as
Kubernetes has it. Only IPv4 is known, and connections that stand are never cut.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cluster.selectors import selects

Object = Mapping[str, Any]
TABLE = "midwatch-policies"
_ENDED = ("Succeeded", "Failed")
# A program is told at once, and by another error than where nobody listens.
_REFUSED = "reject with icmp admin-prohibited"
_SIDES = {"ingress": ("from", "saddr"), "egress": ("to", "daddr")}


@dataclass(frozen=True)
class _Pod:
    namespace: str
    address: str
    labels: Mapping[str, str]
    ports: Mapping[tuple[str, str], int]


@dataclass(frozen=True)
class _World:
    pods: Sequence[_Pod]
    namespaces: Mapping[str, Mapping[str, str]]
    pod_range: str

    def chosen(self, peer: Object, namespace: str) -> list[_Pod]:
        """Return the pods that a peer of a policy in this namespace means."""
        pods = peer.get("podSelector") or {}
        namespaces = peer.get("namespaceSelector")
        if namespaces is None:
            places = {namespace}
        else:
            places = {
                name for name, labels in self.namespaces.items() if selects(namespaces, labels)
            }
        return [pod for pod in self.pods if pod.namespace in places and selects(pods, pod.labels)]


def table(
    pods: Iterable[Object], namespaces: Iterable[Object], policies: Iterable[Object], pod_range: str
) -> str:
    """Return a table that replaces the one before, in one step.

    Args:
        pods: the pods of all namespaces, as the API has them.
        namespaces: all namespaces.
        policies: the NetworkPolicies of all namespaces.
        pod_range: the network of all pods, such as 10.244.0.0/16.
    """
    world = _World(
        [pod for each in pods if (pod := _pod(each)) is not None],
        {each["metadata"]["name"]: each["metadata"].get("labels") or {} for each in namespaces},
        pod_range,
    )
    # In the order of addresses, so that the same objects always give the same text.
    isolated = sorted(world.pods, key=lambda pod: ipaddress.IPv4Address(pod.address))
    known = sorted(
        policies, key=lambda each: (each["metadata"]["namespace"], each["metadata"]["name"])
    )
    chains = {
        (direction, pod.address): _allowed(direction, pod, applying, world)
        for direction in _SIDES
        for pod in isolated
        if (applying := [each for each in known if _applies(each, direction, pod)])
    }
    return _text(chains)


def _text(chains: Mapping[tuple[str, str], Sequence[str]]) -> str:
    lines = [f"table ip {TABLE}", f"delete table ip {TABLE}", f"table ip {TABLE} {{"]
    for (direction, address), allowed in chains.items():
        rules = [*(f"{each} return".lstrip() for each in allowed), _REFUSED]
        lines += [f"  chain {direction}-{address} {{", *(f"    {rule}" for rule in rules), "  }"]
    lines += ["  chain forward {", "    type filter hook forward priority filter; policy accept;"]
    lines += ["    ct state established,related accept"]
    own = ", ".join(f"{address} . {address}" for address in dict.fromkeys(a for _, a in chains))
    if own:
        lines.append(f"    ip saddr . ip daddr {{ {own} }} accept")
    # What leaves one pod for another needs both to allow it.
    for direction, field in (("egress", "saddr"), ("ingress", "daddr")):
        jumps = [f"{at} : jump {way}-{at}" for way, at in chains if way == direction]
        if jumps:
            lines.append(f"    ip {field} vmap {{ {', '.join(jumps)} }}")
    return "\n".join([*lines, "  }", "}", ""])


def _pod(given: Object) -> _Pod | None:
    """Return what policies know of a pod, or None as long as it has no address of its own."""
    status, spec = given.get("status") or {}, given["spec"]
    address = status.get("podIP")
    if not address or spec.get("hostNetwork") or status.get("phase") in _ENDED or ":" in address:
        return None
    containers = [*(spec.get("initContainers") or ()), *spec["containers"]]
    return _Pod(
        given["metadata"]["namespace"],
        address,
        given["metadata"].get("labels") or {},
        {
            (port["name"], port.get("protocol") or "TCP"): port["containerPort"]
            for container in containers
            for port in container.get("ports") or ()
            if port.get("name")
        },
    )


def _applies(policy: Object, direction: str, pod: _Pod) -> bool:
    spec = policy["spec"]
    types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]
    return (
        policy["metadata"]["namespace"] == pod.namespace
        and direction.capitalize() in types
        and selects(spec.get("podSelector") or {}, pod.labels)
    )


def _allowed(direction: str, pod: _Pod, policies: Iterable[Object], world: _World) -> Sequence[str]:
    """Return the matches of what a pod may get, or send."""
    found: dict[str, None] = {}
    for policy in policies:
        for rule in policy["spec"].get(direction) or ():
            if direction == "ingress":
                matches = _into(pod, rule, world)
            else:
                matches = _out_of(pod, rule, world)
            found.update(dict.fromkeys(matches))
    return list(found)


def _into(pod: _Pod, rule: Object, world: _World) -> Iterator[str]:
    ports = list(_ports(rule, pod))
    for peer in _peers("ingress", pod, rule, world):
        for port in ports:
            yield f"{peer} {port}".strip()


def _out_of(pod: _Pod, rule: Object, world: _World) -> Iterator[str]:
    numbers = list(_ports(rule, None))
    for peer in _peers("egress", pod, rule, world):
        for port in numbers:
            yield f"{peer} {port}".strip()
    # A name is a port of the pod that is called, and each may have another number for it.
    named = [each for each in rule.get("ports") or () if isinstance(each.get("port"), str)]
    peers = rule.get("to") or [{"namespaceSelector": {}}]
    for peer in [each for each in peers if named and "ipBlock" not in each]:
        for called in world.chosen(peer, pod.namespace):
            for port in _ports({"ports": named}, called):
                yield f"ip daddr {called.address} {port}"


def _ports(rule: Object, called: _Pod | None) -> Iterator[str]:
    """Yield a match for each port of a rule; names are those of the pod that is called."""
    listed = rule.get("ports")
    if not listed:
        yield ""
    for each in listed or ():
        protocol = each.get("protocol") or "TCP"
        number = each.get("port")
        if isinstance(number, str):
            number = called.ports.get((number, protocol)) if called is not None else None
            if number is None:
                continue
        if number is None:
            yield f"ip protocol {protocol.lower()}"
        elif each.get("endPort"):
            yield f"{protocol.lower()} dport {number}-{each['endPort']}"
        else:
            yield f"{protocol.lower()} dport {number}"


def _peers(direction: str, pod: _Pod, rule: Object, world: _World) -> Iterator[str]:
    """Yield a match of addresses for each peer of a rule; one of any address where it has none."""
    listed, field = _SIDES[direction]
    peers = rule.get(listed)
    if not peers:
        yield ""
    for peer in peers or ():
        if "ipBlock" in peer:
            yield from _block(peer["ipBlock"], field)
        elif peer.get("namespaceSelector") == {} and not peer.get("podSelector"):
            # Every pod, one whose address the API does not tell yet as well.
            yield f"ip {field} {world.pod_range}"
        else:
            found = sorted(one.address for one in world.chosen(peer, pod.namespace))
            if found:
                yield f"ip {field} {{ {', '.join(found)} }}"


def _block(block: Object, field: str) -> Iterator[str]:
    networks = [
        ipaddress.ip_network(each, strict=False)
        for each in (block["cidr"], *(block.get("except") or ()))
    ]
    if networks[0].version == 4:
        yield " ".join(
            [f"ip {field} {networks[0]}", *(f"ip {field} != {each}" for each in networks[1:])]
        )
