"""What an application has set, and its own hooks into Python, stay in force."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest
from midwatch.injection.variables import completed

pytestmark = pytest.mark.programs

SHOWN = "import os, opentelemetry; print(os.environ.get('OTEL_EXPORTER_OTLP_ENDPOINT'))"
ENDPOINT = "MIDWATCH_DEFAULT_OTEL_EXPORTER_OTLP_ENDPOINT"


def test_a_default_is_for_what_the_application_leaves_open(run, bare):
    assert run(bare, "-c", SHOWN, **{ENDPOINT: "http://c:4318"}).output == "http://c:4318\n"


def test_what_the_application_says_goes_before_a_default(run, bare):
    said = {ENDPOINT: "http://c:4318", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://own:4318"}
    assert run(bare, "-c", SHOWN, **said).output == "http://own:4318\n"


def test_a_service_that_is_named_among_the_attributes_keeps_that_name():
    default = {"MIDWATCH_DEFAULT_OTEL_SERVICE_NAME": "web"}
    assert completed(default)["OTEL_SERVICE_NAME"] == "web"
    named = default | {"OTEL_RESOURCE_ATTRIBUTES": "team=a,service.name=shop"}
    assert "OTEL_SERVICE_NAME" not in completed(named)


def test_an_empty_default_sets_nothing():
    assert "OTEL_SERVICE_NAME" not in completed({"MIDWATCH_DEFAULT_OTEL_SERVICE_NAME": ""})


@pytest.mark.parametrize("place", ["on the path", "in the environment"])
def test_an_own_sitecustomize_runs_as_well(run, bare, tmp_path, variables, place, new_environment):
    python, folder, path = bare, tmp_path / "own", variables["PYTHONPATH"]
    if place == "on the path":
        folder.mkdir()
        path = f"{path}:{folder}"
    else:
        python = new_environment()
        (folder,) = python.parents[1].glob("lib/python*/site-packages")
    hook = "import builtins; builtins.kept = 'kept'\n"
    (folder / "sitecustomize.py").write_text(hook)
    code = "import builtins, sitecustomize, opentelemetry\n"
    code += "print(getattr(builtins, 'kept', 'theirs'), sitecustomize.__file__)"
    ended = run(python, "-c", code, PYTHONPATH=path)
    # Debian's Python has one in its library, which comes before what an environment has.
    theirs = Path(sysconfig.get_path("stdlib")) / "sitecustomize.py"
    if place == "in the environment" and theirs.exists():
        assert ended.output == f"theirs {theirs}\n"
    else:
        assert ended.output == f"kept {folder}/sitecustomize.py\n"
    assert "midwatch: on" in ended.errors


def test_an_own_sitecustomize_that_fails_fails_as_it_always_did(run, bare, tmp_path, variables):
    (tmp_path / "sitecustomize.py").write_text("import no_such_module\n")
    alone = run(bare, "-c", "print('runs')", PYTHONPATH=str(tmp_path))
    both = run(bare, "-c", "print('runs')", PYTHONPATH=f"{variables['PYTHONPATH']}:{tmp_path}")
    assert both.output == alone.output == "runs\n"
    assert both.errors == alone.errors
    assert "no_such_module" in both.errors


def test_its_own_python_path_is_kept_and_goes_before_what_is_injected(run, bare, tmp_path, tree):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/helper.py").write_text("name = 'own'\n")
    code = "import helper, opentelemetry, sys; print(helper.name, *sys.path, sep='|')"
    path = f"{tree / 'entry'}:{tmp_path / 'lib'}"
    name, *folders = run(bare, "-c", code, PYTHONPATH=path).output.strip().split("|")
    assert name == "own"
    assert folders[-1] == str(tree / "packages")
    assert str(tree / "entry") not in folders


def test_a_separator_that_kustomize_left_adds_no_folder(run, bare, tree, tmp_path):
    (tmp_path / "helper.py").write_text("")
    command = [bare, "-P", "-c", "import helper"]
    ended = run(*command, PYTHONPATH=f"{tree / 'entry'}:")
    assert "No module named 'helper'" in ended.errors
    told = run(*command, PYTHONPATH=f"{tree / 'entry'}:{tmp_path}")
    assert (told.code, told.errors) == (0, "")


def test_python_has_a_sitecustomize_even_if_the_application_has_none(run, bare):
    ended = run(bare, "-c", "import sitecustomize; print(sitecustomize.__name__)")
    assert (ended.output, ended.errors) == ("sitecustomize\n", "")
