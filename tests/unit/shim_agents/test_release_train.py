"""Packages that must be of one release: a skew between them is told, since it shows in no span."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from importlib import metadata
from typing import Any

import pytest
from midwatch.instrumentors import release_train


@pytest.fixture(autouse=True)
def untold() -> Iterator[None]:
    release_train.tell_skew.cache_clear()
    yield
    release_train.tell_skew.cache_clear()


def test_version_skew_between_util_genai_and_its_instrumentations_is_told(
    monkeypatch: pytest.MonkeyPatch, make_shim: Any, caplog: pytest.LogCaptureFixture
) -> None:
    version = metadata.version
    monkeypatch.setattr(
        metadata, "version", lambda name: "1.2b0" if name.endswith("util-genai") else version(name)
    )
    with caplog.at_level(logging.WARNING, logger="midwatch"):
        make_shim()
    (record,) = caplog.records
    assert "opentelemetry-util-genai is 1.2b0, needed is exactly 1.3b0" in record.getMessage()


def test_a_package_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    assert "opentelemetry-util-genai is not installed" in release_train.skewed()[0]


def test_packages_of_one_release_are_not_mentioned(caplog: pytest.LogCaptureFixture) -> None:
    release_train.tell_skew()
    assert not caplog.records
