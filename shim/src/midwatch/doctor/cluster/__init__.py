"""What `midwatch doctor --cluster` finds out of an existing setup; nothing in it is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from midwatch.doctor.cluster.access import Cluster, ClusterProblem
from midwatch.doctor.cluster.operator import check_operator
from midwatch.doctor.cluster.platform import check_platform, check_receivers, check_stores
from midwatch.doctor.cluster.prometheus import check_prometheus
from midwatch.doctor.cluster.visit import Visit, problem
from midwatch.doctor.report import Finding, Report

__all__ = ["diagnose_cluster"]

CHECKS: tuple[Callable[[Visit], Iterable[Finding]], ...] = (
    check_platform,
    check_receivers,
    check_prometheus,
    check_operator,
    check_stores,
)


def diagnose_cluster(
    *,
    context: str = "",
    namespace: str = "midwatch",
    prometheus: str = "",
    timeout_seconds: float = 5.0,
) -> Report:
    """Look at a cluster's existing setup with the eyes of Midwatch.

    Args:
        context: a context of the kubeconfig; empty for its current one.
        namespace: where Midwatch is, or will be.
        prometheus: the URL of a Prometheus, when it is not found by the labels of its Service.
        timeout_seconds: how long to wait for each answer.
    """
    try:
        visit = Visit(Cluster(context, timeout_seconds), namespace, prometheus)
    except ClusterProblem as none:
        return Report((problem("cluster", "access", str(none), none.remedy),))
    return Report(tuple(finding for check in CHECKS for finding in _safely(check, visit)))


def _safely(check: Callable[[Visit], Iterable[Finding]], visit: Visit) -> Iterator[Finding]:
    name = check.__name__.removeprefix("check_")
    try:
        yield from check(visit)
    except ClusterProblem as error:
        yield problem(name, name, str(error), error.remedy)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        told = f"answered what could not be read ({type(error).__name__}: {error})"
        yield problem(name, name, told, "report this as a defect of Midwatch")
