"""The injected folder: pure Python, complete, and the same prices as everywhere else."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from injectable.distributions import described, locked
from injectable.errors import InjectableError
from injectable.standing_in import stand_in
from injectable.tree import native_files

pytestmark = pytest.mark.programs


def test_it_has_no_native_module(tree):
    assert native_files(tree) == []
    assert (tree / "packages/opentelemetry/sdk").is_dir()


def test_a_native_module_would_be_found(tmp_path):
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "_fast.cpython-311-x86_64-linux-gnu.so").touch()
    assert native_files(tmp_path) == ["packages/_fast.cpython-311-x86_64-linux-gnu.so"]


def test_only_one_file_is_on_a_containers_path(tree):
    found = [path.name for path in (tree / "entry").iterdir() if path.name != "__pycache__"]
    assert found == ["sitecustomize.py"]


def test_protobuf_grpc_and_the_command_lines_libraries_are_not_in_it(tree):
    bundle = json.loads((tree / "packages/bundle.json").read_text())
    absent = {"protobuf", "grpcio", "pydantic", "pydantic-core", "httpx2", "typer", "rich"}
    assert not absent & bundle["distributions"].keys()
    assert {"midwatch", "opentelemetry-sdk", "wrapt"} <= bundle["distributions"].keys()
    assert bundle["distributions"]["opentelemetry-sdk"]["accepts"] == "==1.45.1"


def test_every_user_reads_it_and_none_writes(tree):
    assert {path.stat().st_mode & 0o777 for path in tree.rglob("*")} == {0o755, 0o644}


def test_byte_code_is_valid_whatever_the_times_of_the_files(tree, run, tmp_path):
    code = "import opentelemetry.sdk.trace as t; print(t.__cached__)"
    cached = run(sys.executable, "-c", code, PYTHONPATH=str(tree / "packages")).output.strip()
    with open(cached, "rb") as file:
        flags = int.from_bytes(file.read(8)[4:], "little")
    assert flags == 0b01, "made by hash, and unchecked"


def test_it_prices_calls_as_the_installed_package_does_and_loads_neither_library(tree):
    code = (
        "import sys; from midwatch.instruments.prices import PriceTable\n"
        "from midwatch.instruments.tokens import TokenUsage\n"
        "for provider, model in (('openai', 'gpt-4o'), ('anthropic', 'claude-sonnet-4-5')):\n"
        "    usage = TokenUsage(input=300_000, output=10, cache_read=500)\n"
        "    print(PriceTable().cost(provider, model, usage))\n"
        "print({'pydantic', 'httpx2'} & set(sys.modules))"
    )
    injected, installed = (
        subprocess.run(
            [sys.executable, *options, code], capture_output=True, text=True, check=True, env=env
        ).stdout
        for options, env in (
            (["-S", "-c"], {"PYTHONPATH": str(tree / "packages")}),
            (["-c"], {"PATH": ""}),
        )
    )
    told, _, loaded = injected.rstrip().rpartition("\n")
    assert loaded == "set()"
    assert told.count("Cost(usd=Decimal") == 2
    assert told == installed.rstrip().rpartition("\n")[0]


def test_a_need_that_is_not_in_the_folder_is_told(tmp_path):
    (tmp_path / "a-1.dist-info").mkdir()
    (tmp_path / "a-1.dist-info/METADATA").write_text("Name: a\nVersion: 1\nRequires-Dist: b>=2\n")
    with pytest.raises(InjectableError, match="a needs b"):
        described(tmp_path)


def test_a_name_that_is_not_locked_is_told():
    lock = "# made\nwrapt==2.5.2 \\\n    --hash=sha256:1 \\\n    --hash=sha256:2\nyaml==1\n"
    assert locked(lock, ["wrapt"]).splitlines()[1:] == [
        "    --hash=sha256:1 \\",
        "    --hash=sha256:2",
    ]
    with pytest.raises(InjectableError, match="has no asgiref"):
        locked(lock, ["wrapt", "asgiref"])


def test_a_table_of_prices_that_imports_in_another_way_stops_the_making(tmp_path):
    (tmp_path / "genai_prices").mkdir()
    (tmp_path / "genai_prices/types.py").write_text("import os\nfrom pydantic import Tag\n")
    with pytest.raises(InjectableError, match="import pydantic"):
        stand_in(tmp_path)
