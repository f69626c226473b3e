"""The images of the demo, and of Midwatch's own programs as far as this machine has them."""

from __future__ import annotations

from pathlib import Path

from injectable.cache import kept_tree
from toolchain import find_program, program_path

from cluster import python_layers as python
from cluster.images import Image, Layer

_REPOSITORY = Path(__file__).resolve().parents[2]
_DEMO = _REPOSITORY / "demo"
_SHIM = _REPOSITORY / "shim" / "src"
_LEDGER = _REPOSITORY / "ledger" / "src"
_SHOP = ("fastapi", "uvicorn", "langgraph", "langchain-core", "langchain-openai", "httpx", "typer")
_AGENT = (
    *_SHOP,
    "flask",
    "waitress",
    "structlog",
    "prometheus-client",
    "tenacity",
    "pyyaml",
    "psutil",
)
_WORKSPACE = ("midwatch", "midwatch-ledger", "midwatch-demo", "midwatch-tools")
TAG = "kind"
"""The tag of every image that is made here, as the values files of `kind/` name it."""
# Where each program of Midwatch lies in its published image, which the chart's arguments follow.
_PROGRAMS = {
    "collector": ("otelcol", "/otelcol-k8s"),
    "prometheus": ("prometheus", "/bin/prometheus"),
    "alertmanager": ("alertmanager", "/bin/alertmanager"),
}
_IF_FOUND = {"tempo": ("tempo", "/tempo")}


def demo_images() -> list[Image]:
    """Return the images that `kind/` names: the ledger, the agents and what is around them."""
    base = python.interpreter()
    midwatch = python.source(python.packages(["midwatch"], _is_workspace), _SHIM, "midwatch")
    python.metadata(midwatch, "midwatch")
    _program(midwatch, "midwatch-run", "midwatch.run")
    _program(midwatch, "midwatch", "midwatch.cli")
    around = python.packages(_SHOP, _is_workspace)
    return [
        _image("ledger", ("midwatch-ledger",), base, midwatch, _ledger()),
        _image(
            "security-agent",
            ("midwatch-run", "python", "-m", "security_agent"),
            base,
            midwatch,
            _sources(python.packages(_AGENT, _is_workspace), "security_agent", "fault_control"),
        ),
        # It has never heard of Midwatch; of OpenTelemetry it has the interface, for FastAPI.
        _image(
            "retail-simulation",
            ("python", "-m", "retail_simulation"),
            base,
            around,
            _sources(Layer(), "retail_simulation", "fault_control"),
        ),
        _image(
            "dependencies",
            ("python", "-m"),
            base,
            around,
            _sources(Layer(), "model_server", "appliance", "fault_control"),
        ),
    ]


def program_images() -> list[Image]:
    """Return images of the bundle's programs; Tempo's only when this machine has the program."""
    programs = {name: (program_path(found), at) for name, (found, at) in _PROGRAMS.items()}
    for name, (found, at) in _IF_FOUND.items():
        path = find_program(found)
        if path is not None:
            programs[name] = (path, at)
    return [
        Image(f"midwatch-{name}:{TAG}", entrypoint=(at,)).file(path, at)
        for name, (path, at) in programs.items()
    ]


def injection_image() -> Image:
    """Return the image from which pods get the shim, as a volume or copied by a container of it."""
    shim = Layer().tree(kept_tree(_REPOSITORY), "/python")
    image = Image(f"midwatch-injection:{TAG}", (shim,))
    return image.file(program_path("copy"), "/bin/cp")


def _ledger() -> Layer:
    layer = python.source(
        python.packages(["midwatch-ledger"], _is_workspace), _LEDGER, "midwatch_ledger"
    )
    python.metadata(layer, "midwatch-ledger")
    _program(layer, "midwatch-ledger", "midwatch_ledger.cli")
    # Where the published image has its Python, with which `helm test` runs.
    return layer.link("/opt/ledger/bin/python", "/usr/local/bin/python3")


def _program(layer: Layer, name: str, module: str) -> Layer:
    text = f"#!/usr/local/bin/python3\nfrom {module} import main\n\nmain()\n"
    return layer.text(f"/usr/local/bin/{name}", text, 0o755)


def _sources(layer: Layer, *names: str) -> Layer:
    for name in names:
        python.source(layer, _DEMO, name)
    return layer


def _image(name: str, entrypoint: tuple[str, ...], *layers: Layer) -> Image:
    return Image(f"midwatch-{name}:{TAG}", layers, entrypoint, environment=python.environment())


def _is_workspace(name: str) -> bool:
    return name in _WORKSPACE
