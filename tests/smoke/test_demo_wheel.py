"""The demo's wheel holds all that the demo is made of."""

from __future__ import annotations

import tomllib

from manifests.plan import repository_root

DEMO = repository_root() / "demo"


def test_the_wheel_lists_every_package_of_the_demo():
    project = tomllib.loads((DEMO / "pyproject.toml").read_text(encoding="utf-8"))
    listed = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    packages = {folder.name for folder in DEMO.iterdir() if any(folder.glob("*.py"))}
    assert {"model_server", "fault_control"} <= packages
    assert sorted(listed) == sorted(packages)
