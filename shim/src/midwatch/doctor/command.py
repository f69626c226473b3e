"""The command `midwatch doctor`."""

from __future__ import annotations

import json
from itertools import groupby
from typing import Annotated

import typer

from midwatch.doctor import diagnose
from midwatch.doctor.cluster import diagnose_cluster
from midwatch.doctor.report import Finding, Report

_MARKS = {"ok": " ", "note": "i", "problem": "!"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Make no connection.")] = False,
    self_test: Annotated[
        bool,
        typer.Option(help="Start a process under midwatch-run to see what is instrumented."),
    ] = True,
    process: Annotated[
        str,
        typer.Option(
            metavar="URL",
            help="Look at a running application too, by the URL of its metrics.",
        ),
    ] = "",
    timeout: Annotated[
        float, typer.Option(min=0.1, max=60, help="Seconds to wait for each answer.")
    ] = 5.0,
    cluster: Annotated[
        bool, typer.Option("--cluster", help="Look at a Kubernetes cluster's setup instead.")
    ] = False,
    context: Annotated[
        str, typer.Option(metavar="NAME", help="With --cluster: a context of the kubeconfig.")
    ] = "",
    namespace: Annotated[
        str, typer.Option(metavar="NAME", help="With --cluster: where Midwatch is or will be.")
    ] = "midwatch",
    prometheus: Annotated[
        str, typer.Option(metavar="URL", help="With --cluster: a Prometheus that is not found.")
    ] = "",
) -> None:
    """Look at all that telemetry needs here; exit 0 for no problem, 1 for some, 2 for misuse."""
    if cluster:
        report = diagnose_cluster(
            context=context, namespace=namespace, prometheus=prometheus, timeout_seconds=timeout
        )
    else:
        report = diagnose(
            offline=offline, self_test=self_test, process=process, timeout_seconds=timeout
        )
    if as_json:
        typer.echo(json.dumps(report.as_dict(), indent=2, ensure_ascii=False))
    else:
        typer.echo(rendered(report))
    raise typer.Exit(report.exit_code)


def rendered(report: Report) -> str:
    """The report for people: sections with aligned names, the problems last with their remedies."""
    lines: list[str] = []
    for section, group in groupby(report.findings, key=lambda finding: finding.section):
        lines += [section[:1].upper() + section[1:], *_rows(list(group)), ""]
    if not report.problems:
        return "\n".join([*lines, "No problems found."])
    lines.append(f"Problems: {len(report.problems)}")
    for remedy, group in groupby(report.problems, key=lambda finding: finding.remedy):
        lines += [f"  ! {one.section}, {one.name}: {one.detail}" for one in group]
        if remedy:
            lines.append(f"    -> {remedy}")
    return "\n".join(lines)


def _rows(findings: list[Finding]) -> list[str]:
    absent = [one.name for one in findings if one.data.get("state") == "absent"]
    shown = [one for one in findings if one.name not in absent]
    width = max((len(one.name) for one in shown), default=0)
    rows = [f"  {_MARKS[one.status]} {one.name:<{width}}  {one.detail}" for one in shown]
    return [*rows, f"    not installed: {', '.join(absent)}"] if absent else rows
