"""`python -m cluster`: the node without Docker and the images, from the command line."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from toolchain import ProgramsUnavailable

from cluster import host
from cluster.demo_images import demo_images, injection_image, program_images
from cluster.errors import ClusterUnavailable
from cluster.images import write_archive
from cluster.node import Node

application = typer.Typer(
    help="Run a real Kubernetes of one node without Docker, and make images for it.",
    no_args_is_help=True,
    add_completion=False,
)


@application.command("up")
def up() -> None:
    """Start this machine's node, unless it runs."""
    with _told():
        node = Node.here()
        if node.running:
            _say(f"the node runs already: KUBECONFIG={node.kubeconfig}")
            return
        begun = time.monotonic()
        node.start()
        _say(f"the node is ready after {time.monotonic() - begun:.1f} s")
        _say(f"KUBECONFIG={node.kubeconfig} {node.kubectl} get pods --all-namespaces")


@application.command("down")
def down() -> None:
    """End this machine's node, and remove everything that it left."""
    with _told():
        Node.here().stop()
        _say("the node is gone")


@application.command("check")
def check() -> None:
    """Say whether this machine can run a node; exits with 1 when it can't."""
    reason = host.why_not()
    if reason is not None:
        _say(f"no: {reason}")
        raise typer.Exit(1)
    _say("yes")


@application.command("images")
def images(
    archive: Annotated[Path, typer.Argument(help="The OCI archive to write.")],
    programs: Annotated[
        bool, typer.Option(help="Also collector, Prometheus and Alertmanager, as built here.")
    ] = False,
) -> None:
    """Write the demo's images into one archive, which `ctr` and `docker load` take."""
    with _told():
        own = [*demo_images(), injection_image()]
        write_archive(archive, [*own, *(program_images() if programs else [])])


@application.command("load")
def load(
    archives: Annotated[
        list[Path] | None, typer.Argument(help="OCI archives; the demo's images if none.")
    ] = None,
) -> None:
    """Import images into this machine's node."""
    with _told():
        if archives:
            Node.here().load(archives)
            return
        with tempfile.TemporaryDirectory() as work:
            made = Path(work) / "images.tar"
            write_archive(made, [*demo_images(), injection_image(), *program_images()])
            Node.here().load([made])


@application.command("environment")
def environment() -> None:
    """Print the shell's lines that point kubectl and helm at this machine's node."""
    node = Node.here()
    if not node.running:
        _say("the node does not run: python -m cluster up")
        raise typer.Exit(1)
    typer.echo(f"export KUBECONFIG={node.kubeconfig}")
    typer.echo(f"export PATH={node.folder / 'bin'}{os.pathsep}$PATH")


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (ClusterUnavailable, ProgramsUnavailable) as problem:
        _say(str(problem))
        raise typer.Exit(1) from None


def _say(words: str) -> None:
    typer.echo(f"[cluster] {words}", err=True)


def main() -> None:
    """Run the command line."""
    application()
