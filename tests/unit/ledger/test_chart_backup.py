"""The chart's backup of a PostgreSQL: what its job runs is run here, against a real server."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import create_engine, text
from toolchain import program_path

CHART = Path(__file__).resolve().parents[3] / "charts" / "midwatch"
VALUES = {
    "ledger": {
        "database": {"existingSecret": "database"},
        "backup": {"enabled": True, "keep": 2},
    }
}


def job_pod() -> dict[str, Any]:
    """The pod of the CronJob, as the chart renders it."""
    command = [str(program_path("helm")), "template", "midwatch", str(CHART), "--values", "-"]
    command += ["--show-only", "templates/ledger/backup.yaml"]
    run = subprocess.run(
        command, input=yaml.safe_dump(VALUES), capture_output=True, text=True, check=True
    )
    (job,) = [one for one in yaml.safe_load_all(run.stdout) if one and one["kind"] == "CronJob"]
    pod: dict[str, Any] = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return pod


@pytest.mark.programs
def test_a_copy_by_pg_dump_is_restored_with_every_row_and_only_the_newest_copies_stay(
    postgres, tmp_path
):
    if not (postgres.programs / "pg_dump").exists():
        pytest.skip("this PostgreSQL comes without pg_dump")
    url = postgres.create_database()
    execute(url, "CREATE TABLE turns AS SELECT generate_series(1, 500) AS id")
    backups = tmp_path / "backups"
    backups.mkdir()
    for day in (1, 2, 3):
        (backups / f"ledger-2026110{day}T021700Z.dump").touch()
    run_job(job_pod(), url, tmp_path, postgres.programs)
    kept = sorted(path.name for path in backups.iterdir())
    assert len(kept) == 2
    assert kept[0] == "ledger-20261103T021700Z.dump"
    restored = postgres.create_database()
    # The server's user reads it, and that is another one than ours.
    copy = Path(shutil.copy(backups / kept[1], postgres.folder / "copy.dump"))
    copy.chmod(0o644)
    name = restored.rpartition("?")[0].rpartition("/")[2]
    postgres.run(
        "pg_restore",
        f"--host={postgres.folder}",
        "--username=postgres",
        f"--dbname={name}",
        str(copy),
    )
    assert execute(restored, "SELECT count(*), sum(id) FROM turns") == (500, 125250)


@pytest.mark.programs
def test_a_copy_that_can_not_be_made_fails_and_leaves_the_former_ones(postgres, tmp_path):
    backups = tmp_path / "backups"
    backups.mkdir()
    former = backups / "ledger-20261101T021700Z.dump"
    former.touch()
    unfinished = backups / "ledger-20261102T021700Z.dump.part"
    unfinished.touch()
    with pytest.raises(subprocess.CalledProcessError) as failed:
        run_job(job_pod(), postgres.url("no_such_database"), tmp_path, postgres.programs)
    assert b'database "no_such_database" does not exist' in failed.value.stderr
    # What an earlier copy left unfinished is gone: it would fill the volume.
    assert former.exists()
    assert not unfinished.exists()
    assert list(backups.glob("*.dump")) == [former]


def run_job(pod: dict[str, Any], url: str, folder: Path, programs: Path) -> None:
    """Run the containers one after the other, with folders of ours for their mounts."""
    (connection,), (backup,) = pod["initContainers"], pod["containers"]
    places = {
        "/opt/ledger/bin/python": sys.executable,
        "/etc/midwatch/backup": str(CHART / "files" / "backup"),
        "/backups": str(folder / "backups"),
        "/tmp": str(folder),
    }

    def here(words: str) -> str:
        return re.sub("|".join(places), lambda found: places[found[0]], words)

    environment = {"PATH": f"{programs}:{os.defpath}", "MIDWATCH_LEDGER_DATABASE_URL": url}
    environment |= {one["name"]: here(one["value"]) for one in backup["env"]}
    for container in (connection, backup):
        subprocess.run(
            [here(word) for word in container["command"]],
            env=environment,
            check=True,
            capture_output=True,
            timeout=60,
        )


def execute(url: str, statement: str) -> Any:
    """Run one statement and give its row, if it has one."""
    engine = create_engine(url)
    with engine.begin() as connection:
        result = connection.execute(text(statement))
        row = tuple(result.one()) if result.returns_rows else None
    engine.dispose()
    return row
