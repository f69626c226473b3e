"""The folder of prompts, if there is one."""

from __future__ import annotations

from collections.abc import Iterator

from midwatch.doctor.report import Finding, Patient
from midwatch.prompts.checking import check_folder
from midwatch.prompts.files import folder_of


def check_prompts(patient: Patient) -> Iterator[Finding]:
    """What is wrong with the files of prompts."""
    path = patient.settings.prompts_dir
    folder = folder_of(path) if path is not None else None
    if folder is None:
        return
    found = check_folder(folder.path)
    for file, problem in found.problems:
        yield Finding("prompts", file, "problem", problem, f"edit it in {folder.path}")
    data = {"prompts": found.prompts, "versions": found.versions}
    told = f"{found.prompts} prompts in {found.versions} versions"
    yield Finding("prompts", "files", "ok", told, data=data)
