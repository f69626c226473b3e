"""The scripts of `kind/` with a Docker and a kind that only write down how they are called.

What they show is the order of commands and that files, targets and values exist; that the cluster
then works is shown on the node without Docker (`make test-cluster`), which gets the same charts.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from manifests.plan import repository_root
from toolchain import program_path

from tests import kept_runs

ROOT = repository_root()
FAKE = """#!/bin/bash
# One write for a line: programs of a pipe tell at the same time.
call=$(printf '%q ' "$(basename "$0")" "$@"); printf '%s\\n' "$call" >>"$CALLS"
case "$(basename "$0") $*" in
  "docker info"*) exit "${DOCKER_ANSWERS:-0}" ;;
  "kind get clusters") cat "$CLUSTERS" ;;
  "kind create cluster"*) echo midwatch >"$CLUSTERS" ;;
  *"get pods"*) echo "$POD" ;;
  *) cat >/dev/null </dev/stdin ;;
esac
"""
Scripts = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    """Where the calls are written down, one a line."""
    (tmp_path / "calls").touch()
    (tmp_path / "clusters").touch()
    return tmp_path / "calls"


@pytest.fixture
def run(tmp_path: Path, calls: Path) -> Scripts:
    """Runs a script between programs that do nothing."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("docker", "kind", "kubectl", "helm"):
        (folder / name).write_text(FAKE, encoding="utf-8")
        (folder / name).chmod(0o755)

    def started(script: str, **settings: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if "MIDWATCH" not in name}
        environment = {
            **kept,
            "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
            "CALLS": str(calls),
            "CLUSTERS": str(tmp_path / "clusters"),
            "POD": "midwatch-ledger-0 1/1 Running 0 1m",
            **settings,
        }
        return subprocess.run(
            [ROOT / "kind" / script],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    return started


def made(calls: Path) -> list[list[str]]:
    return [shlex.split(line) for line in calls.read_text(encoding="utf-8").splitlines()]


def order(calls: Path, *beginnings: str) -> list[str]:
    """Return the given beginnings of commands in the order in which the commands came."""
    lines = [" ".join(call) for call in made(calls)]
    found = [(line, each) for line in lines for each in beginnings if line.startswith(each)]
    return [each for _, each in found]


def test_up_makes_the_cluster_then_images_then_what_is_around_then_midwatch_then_agents(run, calls):
    done = run("kind_demo_up.sh")
    assert done.returncode == 0, done.stderr
    steps = (
        "kind create cluster",
        "docker build",
        "kind load docker-image",
        "kubectl --context kind-midwatch apply --filename " + str(ROOT / "kind/dependencies.yaml"),
        "helm upgrade --install midwatch",
        "helm upgrade --install security-agent",
        "helm upgrade --install retail-simulation",
    )
    images = ["docker build", "kind load docker-image"] * 5
    assert order(calls, *steps) == ["kind create cluster", *images, *steps[3:]]
    assert "Everything is up." in done.stdout


def test_every_image_is_built_of_what_is_there_and_loaded_under_the_name_that_charts_ask_for(
    run, calls
):
    run("kind_demo_deploy.sh")
    built = [call for call in made(calls) if call[:2] == ["docker", "build"]]
    loaded = [call[3] for call in made(calls) if call[:3] == ["kind", "load", "docker-image"]]
    assert loaded == [call[call.index("--tag") + 1] for call in built]
    for call in built:
        file = Path(call[call.index("--file") + 1])
        targets = re.findall(r"^FROM \S+ AS (\S+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
        assert "--target" not in call or call[call.index("--target") + 1] in targets
    asked = {image for _, text in rendered(calls) for image in re.findall(r"image: (\S+)", text)}
    asked |= set(
        re.findall(r"image: (\S+)", (ROOT / "kind/dependencies.yaml").read_text(encoding="utf-8"))
    )
    own = {image.strip('"') for image in asked if "midwatch-" in image}
    # Which way pods are injected, the cluster says.
    assert own == set(loaded) - {"midwatch-injection:kind"}


def test_every_install_is_of_values_that_its_chart_takes(run, calls):
    run("kind_demo_deploy.sh")
    assert [name for name, _ in rendered(calls)] == [
        "midwatch",
        "security-agent",
        "retail-simulation",
    ]


def test_a_cluster_that_is_there_is_used_as_it_is(run, calls, tmp_path):
    (tmp_path / "clusters").write_text("other\nmidwatch\n", encoding="utf-8")
    assert run("kind_demo_up.sh").returncode == 0
    assert order(calls, "kind create") == []


def test_another_name_of_the_cluster_is_meant_everywhere(run, calls):
    run("kind_demo_up.sh", MIDWATCH_KIND_CLUSTER="second")
    create = next(call for call in made(calls) if call[:2] == ["kind", "create"])
    assert create[create.index("--name") + 1] == "second"
    assert Path(create[create.index("--config") + 1]).is_file()
    for call in made(calls):
        if call[0] == "kubectl":
            assert call[1:3] == ["--context", "kind-second"]
        if call[0] == "helm":
            assert call[call.index("--kube-context") + 1] == "kind-second"
        if call[:2] == ["kind", "load"]:
            assert call[call.index("--name") + 1] == "second"


def test_a_pod_that_is_not_ready_is_told_and_fails(run):
    done = run(
        "kind_demo_status.sh", MIDWATCH_CLUSTER="kind", POD="midwatch-ledger-0 0/1 Error 3 1m"
    )
    assert done.returncode == 1
    assert re.search(r"midwatch-ledger-0 +0/1 +Error +3 restarts", done.stdout)
    assert "not everything is up" in done.stderr


def test_down_removes_the_cluster_and_nothing_else(run, calls):
    assert run("kind_demo_down.sh").returncode == 0
    assert order(calls, "kind", "helm", "kubectl") == ["kind"]
    assert made(calls)[-1] == ["kind", "delete", "cluster", "--name", "midwatch"]


def test_a_cluster_of_yours_gets_the_charts_and_no_images(run, calls):
    done = run("kind_demo_deploy.sh", MIDWATCH_KUBE_CONTEXT="mine")
    assert done.returncode == 0, done.stderr
    assert order(calls, "docker", "kind") == []
    assert {
        call[call.index("--kube-context") + 1] for call in made(calls) if call[0] == "helm"
    } == {"mine"}
    refused = run("kind_demo_down.sh", MIDWATCH_KUBE_CONTEXT="mine")
    assert refused.returncode == 1
    assert "is yours" in refused.stderr


def test_where_docker_does_not_answer_and_kind_is_wanted_the_reason_is_told(run):
    done = run("kind_demo_up.sh", MIDWATCH_CLUSTER="kind", DOCKER_ANSWERS="1")
    assert done.returncode == 1
    assert "Docker does not answer" in done.stderr


def rendered(calls: Path) -> list[tuple[str, str]]:
    """What each install becomes, by the real helm."""
    found = []
    for call in made(calls):
        if call[:3] != ["helm", "upgrade", "--install"]:
            continue
        name, chart, *options = call[3:]
        chosen = [
            word
            for option, value in pairwise(options)
            if option in ("--values", "--set", "--set-string", "--namespace")
            for word in (option, value)
        ]
        done = kept_runs.run([str(program_path("helm")), "template", name, chart, *chosen])
        assert done.returncode == 0, done.stderr
        found.append((name, done.stdout))
    return found
