"""The types of older Kubernetes APIs, as the official client of each has them.

`python tests/render/older_kubernetes.py` (`make kubernetes-lock`) renews their locks.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from frameworks.environments import Environment
from frameworks.locking import renew

FOLDER = Path(__file__).parent / "kubernetes"
_CHECK = """
import json, sys
from importlib.metadata import version
from manifests.objects import problems_of
problems = [problem for item in json.load(sys.stdin) for problem in problems_of(item)]
json.dump({"client": version("kubernetes"), "problems": problems}, sys.stdout)
"""


def older_versions() -> list[str]:
    """Minor versions, such as `1.29`, oldest first."""
    return sorted((path.name for path in FOLDER.iterdir()), key=lambda name: int(name[2:]))


def problems_with(version: str, objects: list[dict[str, Any]]) -> list[str]:
    """What an API server of that version would refuse in objects.

    Raises:
        EnvironmentUnavailable: the client of that version can't be installed.
    """
    environment = Environment(f"kubernetes-{version}", FOLDER / version)
    environment.make()
    (packages,) = environment.place.glob("lib/python*/site-packages")
    from tests import kept_runs  # As a program, this file knows no tests.

    root = kept_runs.ROOT
    checked = kept_runs.run(
        [sys.executable, "-c", _CHECK],
        reads=[
            FOLDER / version,
            *(root / "tools/manifests").glob("*.py"),
            root / "requirements.lock",
        ],
        text=json.dumps(objects),
        environment={"PYTHONPATH": str(packages)},
    )
    assert checked.returncode == 0, checked.stderr
    answer = json.loads(checked.stdout)
    assert answer["client"].split(".")[0] == version.removeprefix("1."), answer["client"]
    found: list[str] = answer["problems"]
    return found


if __name__ == "__main__":
    for name in older_versions():
        renew(Environment(name, FOLDER / name), [], "make kubernetes-lock", sys.argv[1:])
