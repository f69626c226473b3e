"""Copies of rules, message templates and boards that the chart needs inside itself."""

from __future__ import annotations

from pathlib import Path

from manifests.errors import ManifestsError
from manifests.outputs import Output

# Folder of the source, pattern, folder below charts/midwatch/files.
SOURCES = (
    ("prometheus-rules/rules", "*.yaml", "rules"),
    ("prometheus-rules/alertmanager", "*.tmpl", "alertmanager"),
    ("grafana-dashboards/generated", "*.json", "dashboards"),
)


def copies(root: Path) -> Output:
    """Exact copies, because a chart's templates can read no file outside the chart.

    Raises:
        ManifestsError: A source folder holds no file of its kind.
    """
    files: dict[Path, str] = {}
    owned: dict[Path, str] = {}
    for source, pattern, target in SOURCES:
        found = sorted((root / source).glob(pattern))
        if not found:
            raise ManifestsError(
                f"{source} holds no {pattern}: the chart would be installed without its {target}; "
                "restore that folder, or build it with `make dashboards` when it is the boards"
            )
        folder = root / "charts" / "midwatch" / "files" / target
        owned[folder] = pattern
        files |= {folder / path.name: path.read_text(encoding="utf-8") for path in found}
    return Output(files=files, owned=owned)
