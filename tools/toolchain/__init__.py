"""Finds the pinned programs that Midwatch runs, or builds them once into a cache.

`program_path("promtool")` gives a path that can be started at once or raises `ProgramsUnavailable`,
whose text names every program that is missing and what to do about it. What is pinned stands in
`tools/programs/programs.toml`.
"""

from __future__ import annotations

from toolchain.errors import ProgramsUnavailable
from toolchain.programs import ensure_programs, find_program, program_path

__all__ = ["ProgramsUnavailable", "ensure_programs", "find_program", "program_path"]
