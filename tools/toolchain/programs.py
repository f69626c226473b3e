"""Where a program is: on PATH, in the cache, or built now."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import platformdirs

from toolchain.build import Builder, place
from toolchain.detect import fitting_on_path, unfit_on_path
from toolchain.errors import BuildFailed, ProgramsUnavailable
from toolchain.go import go_command
from toolchain.pins import Pin, Pins, load_pins
from toolchain.progress import Progress

_GENERATOR = "ocb"


def cache_folder() -> Path:
    """Return the folder that keeps built programs: MIDWATCH_CACHE_DIR, else the user's cache."""
    chosen = os.environ.get("MIDWATCH_CACHE_DIR")
    return Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("midwatch")


def find_program(name: str) -> Path | None:
    """Return a program that can be started at once, or None. Builds nothing."""
    pin = load_pins()[name]
    on_path = fitting_on_path(pin)
    if on_path is not None:
        return on_path
    built = place(pin, cache_folder()) if pin.module is not None else None
    return built if built is not None and built.exists() else None


def program_path(name: str) -> Path:
    """Return a program that can be started, building it first when need be.

    Raises:
        ProgramsUnavailable: it is neither on PATH in a version that fits nor can be built.
    """
    return ensure_programs([name])[name]


def ensure_programs(names: Iterable[str]) -> dict[str, Path]:
    """Return every named program, building what is missing in parallel and showing progress.

    Raises:
        ProgramsUnavailable: with a reason and a remedy for each one that can't be had.
    """
    pins = load_pins()
    wanted = [pins[name] for name in dict.fromkeys(names)]
    found = {pin.name: path for pin in wanted if (path := find_program(pin.name)) is not None}
    missing = [pin for pin in wanted if pin.name not in found]
    hopeless = {pin.name: _why_not(pin) for pin in missing if pin.module is None}
    if hopeless:
        raise ProgramsUnavailable(hopeless)
    if missing:
        found.update(_build_all(pins, missing))
    return {pin.name: found[pin.name] for pin in wanted}


def _build_all(pins: Pins, missing: list[Pin]) -> dict[str, Path]:
    cores = os.cpu_count() or 1
    at_once = min(len(missing), max(2, cores // 2))
    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
        go = go_command(pins, cache_folder())
    except (BuildFailed, OSError) as problem:
        failed = BuildFailed("preparing the build", str(problem))
        reason = str(problem) if isinstance(problem, BuildFailed) else str(failed)
        raise ProgramsUnavailable(
            {pin.name: _with_path_hint(pin, reason) for pin in missing}
        ) from None
    builder = Builder(go, cache_folder(), compilers=max(1, cores // at_once))
    built: dict[str, Path] = {}
    failures: dict[str, str] = {}
    with Progress([pin.name for pin in missing]) as progress, ThreadPoolExecutor(at_once) as pool:
        running = {
            pin.name: pool.submit(_build_one, pins, pin, builder, progress) for pin in missing
        }
        for pin in missing:
            try:
                built[pin.name] = running[pin.name].result()
            except (BuildFailed, OSError) as problem:
                failures[pin.name] = _with_path_hint(pin, str(problem))
    if failures:
        raise ProgramsUnavailable(failures)
    return built


def _build_one(pins: Pins, pin: Pin, builder: Builder, progress: Progress) -> Path:
    progress.started(pin.name)
    try:
        generator = None
        if pin.manifest is not None:
            needed = pins[_GENERATOR]
            generator = fitting_on_path(needed) or builder.build(
                needed, None, lambda said: progress.says(pin.name, f"its builder: {said}")
            )
        path = builder.build(pin, generator, lambda said: progress.says(pin.name, said))
    except BaseException:
        progress.ended(pin.name, "failed")
        raise
    progress.ended(pin.name, "built")
    return path


def _why_not(pin: Pin) -> str:
    unfit = unfit_on_path(pin) or "it is not on PATH"
    return f"{unfit}. It can't be built here: install a version {pin.accepts} and put it on PATH."


def _with_path_hint(pin: Pin, reason: str) -> str:
    if pin.accepts is None:
        return reason
    unfit = unfit_on_path(pin)
    known = f"\n    Note: {unfit}." if unfit else ""
    return f"{reason}{known}\n    Or install {pin.name} {pin.accepts} and put it on PATH."
