"""Turns rendered pods into program specifications."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stack.errors import TranslationFailedError
from stack.ports import PortBook
from stack.specification import ProgramSpecification
from stack.translate.addresses import ServiceMap
from stack.translate.catalogue import Catalogue
from stack.translate.environment import ContainerEnvironment, expand
from stack.translate.mounts import Mounts, SecretStore
from stack.translate.objects import Rendered, Service, Workload
from stack.translate.probe import translate_probe
from stack.translate.rewriting import Rewriter


@dataclass(frozen=True)
class LocalService:
    """A Service that charts refer to and that a program outside of the charts stands for.

    Attributes:
        ports: the local port for each service port.
    """

    name: str
    namespace: str
    ports: Mapping[int, int]


def translate(
    rendered: Rendered,
    *,
    directory: Path,
    ports: PortBook,
    catalogue: Catalogue,
    local_services: Sequence[LocalService] = (),
    local_secrets: Mapping[str, Mapping[str, str]] | None = None,
) -> tuple[ProgramSpecification, ...]:
    """Return one program for each workload, after writing their files below `directory`.

    Args:
        rendered: the objects of all charts.
        directory: gets one folder for each program.
        ports: gives each containerPort a local port.
        catalogue: says which program runs for which component.
        local_services: addresses that no chart renders.
        local_secrets: values, by Secret and key, that no chart renders.

    Raises:
        TranslationFailedError: naming everything that has no local counterpart.
    """
    problems = list(rendered.problems)
    given = {
        workload.component: {name: ports.port(workload.component, name) for name in workload.ports}
        for workload in rendered.workloads
    }
    services = ServiceMap(_service_ports(rendered, given, local_services, problems))
    store = SecretStore(rendered, local_secrets or {})
    specifications = tuple(
        _Pod(workload, rendered, store, directory / workload.component, problems).translate(
            given[workload.component], services, catalogue
        )
        for workload in rendered.workloads
    )
    if problems:
        raise TranslationFailedError(list(dict.fromkeys(problems)))
    return specifications


@dataclass(frozen=True)
class _Pod:
    """One workload on its way."""

    workload: Workload
    rendered: Rendered
    store: SecretStore
    root: Path
    problems: list[str]

    def translate(
        self, ports: Mapping[str, int], services: ServiceMap, catalogue: Catalogue
    ) -> ProgramSpecification:
        workload = self.workload
        by_number = {number: ports[name] for name, number in workload.ports.items()}
        mounts = Mounts(workload, self.rendered, self.store, self.root / "files", self.problems)
        rewriter = Rewriter(
            workload.name, workload.namespace, by_number, mounts.paths, services, self.problems
        )
        mounts.write(rewriter)
        environment = ContainerEnvironment(
            workload, self.rendered, self.store, self.problems
        ).resolve(rewriter)
        arguments = [
            rewriter.text(expand(str(argument), environment), f"argument {argument!r}")
            for argument in workload.container.get("args", [])
        ]
        if "command" in workload.container:
            self.problems.append(
                f"{workload.name}: sets a command; the program is the image's entry point, set args"
            )
        specification = ProgramSpecification(
            name=workload.component,
            command=tuple(arguments),
            directory=self.root,
            environment=environment,
            ports=dict(ports),
            readiness=translate_probe(workload, "readinessProbe", by_number, self.problems),
            liveness=translate_probe(workload, "livenessProbe", by_number, self.problems),
        )
        return self._completed(specification, catalogue)

    def _completed(
        self, specification: ProgramSpecification, catalogue: Catalogue
    ) -> ProgramSpecification:
        program = catalogue.get(self.workload.component)
        if program is None:
            known = ", ".join(sorted(catalogue))
            self.problems.append(
                f"{self.workload.name}: no local program is known for component "
                f"{self.workload.component!r}; known are {known}"
            )
            return specification
        return replace(
            specification,
            command=(*program.command, *specification.command),
            environment={**program.environment, **specification.environment},
            after=program.after,
            stop_seconds=program.stop_seconds,
        )


def _service_ports(
    rendered: Rendered,
    given: Mapping[str, Mapping[str, int]],
    local_services: Sequence[LocalService],
    problems: list[str],
) -> dict[tuple[str, str], Mapping[int, int]]:
    services: dict[tuple[str, str], Mapping[int, int]] = {
        (service.namespace, service.name): service.ports for service in local_services
    }
    for service in rendered.services:
        for workload in rendered.workloads:
            if _selects(service, workload):
                targets = _targets(service, workload, given[workload.component], problems)
                services[(service.namespace, service.name)] = targets
    return services


def _selects(service: Service, workload: Workload) -> bool:
    labelled = service.selector.items() <= workload.labels.items()
    return bool(service.selector) and labelled and workload.namespace == service.namespace


def _targets(
    service: Service, workload: Workload, named: Mapping[str, int], problems: list[str]
) -> dict[int, int]:
    local_ports: dict[str | int, int] = {}
    for name, number in workload.ports.items():
        local_ports[name] = local_ports[number] = named[name]
    for port, target in service.targets.items():
        if target not in local_ports:
            problems.append(
                f"Service {service.name}: port {port} points to {target!r}, which is no "
                f"containerPort of {workload.name}"
            )
    return {
        port: local_ports[target]
        for port, target in service.targets.items()
        if target in local_ports
    }
