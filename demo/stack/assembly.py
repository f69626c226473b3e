"""Puts a stack together: renders the charts, translates them, adds the programs around them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from stack.components import build_catalogue, find_programs
from stack.errors import StackError
from stack.ports import PortBook
from stack.specification import ProgramSpecification
from stack.state import require_writable
from stack.translate import Release, Rendered, render, translate
from stack.world import NAMESPACE, Load, build_world

_CHARTS = Path(__file__).resolve().parents[2] / "charts"
_BUNDLE = "midwatch"
_AGENTS = ("security-agent", "retail-simulation")
# Links in messages lead to boards: without a Grafana of ours, to where one of the user's would be.
_WHEN_ABSENT: Mapping[str, Mapping[str, object]] = {
    "tempo": {"enabled": False},
    "grafana": {"enabled": "external", "external": {"url": "http://127.0.0.1:3000"}},
}
_VALUES = Path(__file__).with_name("values.yaml")


@dataclass(frozen=True)
class StackOptions:
    """What the user decides.

    Attributes:
        directory: everything of the stack is below it.
        without: programs that are not run; the others still have their addresses.
        fixed_ports: by `program` or `program.port`.
        settings: `key=value` for the chart of the bundle, as helm's --set takes them.
        load: what the traffic program plays.
    """

    directory: Path
    without: frozenset[str] = frozenset()
    fixed_ports: Mapping[str, int] = field(default_factory=dict)
    settings: tuple[str, ...] = ()
    load: Load = field(default_factory=Load)


@dataclass(frozen=True)
class Assembly:
    """A stack that can be started.

    Attributes:
        specifications: its programs.
        control_port: for the control API.
    """

    specifications: tuple[ProgramSpecification, ...]
    control_port: int


def render_releases(options: StackOptions, programs: Mapping[str, Path]) -> Rendered:
    """Render the bundle and both agents with the values of the local stack.

    Raises:
        RenderFailedError: a chart or its values are refused.
    """
    present = {
        name: {"enabled": True} if name in programs else absent
        for name, absent in _WHEN_ABSENT.items()
    }
    bundle = Release(
        name=_BUNDLE,
        namespace=_BUNDLE,
        chart=_CHARTS / _BUNDLE,
        values_files=(_VALUES,),
        values=present,
        settings=options.settings,
    )
    agents = [Release(name, NAMESPACE, _CHARTS / name) for name in _AGENTS]
    target = options.directory / "rendered"
    rendered = [render(release, programs["helm"], target) for release in (bundle, *agents)]
    return rendered[0].joined(rendered[1:])


def assemble(options: StackOptions, programs: Mapping[str, Path] | None = None) -> Assembly:
    """Prepare everything that can be prepared without starting a program.

    Args:
        options: what the user decides.
        programs: as `find_programs` returns them; looked for when left out.

    Raises:
        StackError: with the reason and the remedy.
    """
    directory = options.directory
    require_writable(directory)
    found = programs if programs is not None else find_programs()
    ports = PortBook(options.fixed_ports)
    homes = directory / "programs"
    world = build_world(homes, ports, options.load)
    collector = ports.port("collector", "otlp-http")
    catalogue = build_catalogue(
        found, homes, lambda name: _instrumentation(name, collector, homes / name)
    )
    from_charts = translate(
        render_releases(options, found),
        directory=homes,
        ports=ports,
        catalogue=catalogue,
        local_services=world.services,
        local_secrets=world.secrets,
    )
    control_port = ports.port("control")
    ports.check_names()
    every = (*world.specifications, *from_charts)
    _check_names(options.without, every)
    chosen = tuple(one for one in every if one.name not in options.without)
    return Assembly(chosen, control_port)


def forget_data(directory: Path) -> None:
    """Remove what the programs of an earlier run kept; only what a stack has made."""
    for name in ("programs", "logs", "rendered"):
        shutil.rmtree(directory / name, ignore_errors=True)


def _instrumentation(name: str, collector_port: int, home: Path) -> dict[str, str]:
    """Return what the injection sets in the pods of a labelled namespace."""
    attributes = {
        "service.namespace": NAMESPACE,
        "k8s.namespace.name": NAMESPACE,
        "k8s.pod.name": f"{name}-0",
        "deployment.environment.name": "laptop",
    }
    return {
        "OTEL_SERVICE_NAME": name,
        "OTEL_RESOURCE_ATTRIBUTES": ",".join(f"{key}={value}" for key, value in attributes.items()),
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector_port}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_METRIC_EXPORT_INTERVAL": "5000",
        "MIDWATCH_SPOOL_DIR": str(home / "spool"),
    }


def _check_names(without: frozenset[str], every: tuple[ProgramSpecification, ...]) -> None:
    known = {specification.name for specification in every}
    unknown = sorted(without - known)
    if unknown:
        raise StackError(
            f"--without names {', '.join(unknown)}; the programs are {', '.join(sorted(known))}"
        )


def as_yaml(specifications: tuple[ProgramSpecification, ...]) -> str:
    """Describe programs for people, without the values of their environment: some are secret."""
    described = {
        one.name: {
            "command": list(one.command),
            "environment": sorted(one.environment),
            "directory": str(one.directory),
            "ports": dict(one.ports),
            "readiness": one.readiness.url if one.readiness else None,
            "after": list(one.after),
        }
        for one in specifications
    }
    return yaml.safe_dump(described, sort_keys=False, allow_unicode=True)
