"""A past for a stack that has none: what it plays now, as if it had played it before.

Rules that compare with earlier hours and days are silent in a stack of minutes. What Prometheus
has recorded in the last minutes is written once more for earlier times, as blocks of its own store:
an hour that ended a while ago, and this hour of earlier days. Nothing of now is touched, and
nothing is made up: it is the stack's own traffic, at other times.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
from toolchain import ProgramsUnavailable, program_path

from incidents.model import IncidentError, Stack

_RECORDED_SECONDS = 900.0
# Of what rules have computed over a quarter of an hour: the last values, of windows that were full.
_SIGNAL_SECONDS = 180.0
NEEDED_SECONDS = _RECORDED_SECONDS + _SIGNAL_SECONDS
"""So long must a stack have played, in seconds."""

_STEP_SECONDS = 15
_DAY_SECONDS = 86_400.0
_DAYS = (1, 2, 3)
_TIMEOUT_SECONDS = 60.0
# What the rules compare with earlier times: counters, and what they recorded themselves.
_COUNTERS = '{__name__=~"agent_(turns|invocations|outcomes|route|handoff|llm_cost_usd)_total"}'
_SIGNALS = '{__name__="signal:midwatch_anomaly:value"}'
_STORE = "files/var/lib/midwatch/prometheus"
_WAIT_SECONDS = 150.0
_WITNESS = "agent_turns_total"

Sample = tuple[float, float]


@dataclass(frozen=True)
class Series:
    """One series as Prometheus recorded it.

    Attributes:
        labels: its labels, the name among them.
        samples: seconds since the recording began, and values; counters without resets, from zero.
        seconds: how long the recording is.
    """

    labels: dict[str, str]
    samples: tuple[Sample, ...]
    seconds: float

    @property
    def growth(self) -> float:
        """By how much a counter grows in the recording; zero of anything else."""
        return self.samples[-1][1] if self.labels["__name__"].endswith("_total") else 0.0


@dataclass(frozen=True)
class Span:
    """A time to be filled, in seconds since 1970."""

    begin: float
    end: float


def spans_before(now: float) -> tuple[Span, ...]:
    """The times that the past consists of.

    This hour of earlier days lasts into what is still to come, so that incidents have it beside
    them. The hour of today ends before the last half an hour: rules that look at no more of the
    present find in it only what was really played.
    """
    days = (now - day * _DAY_SECONDS for day in _DAYS)
    return (
        *(Span(then - 2400, then + 10_800) for then in days),
        Span(now - 6000, now - 2400),
    )


def repeated(series: Series, span: Span) -> Iterator[Sample]:
    """The recording again and again until the span is full; counters go on growing."""
    begin, base = span.begin, 0.0
    while begin < span.end:
        for offset, value in series.samples:
            if begin + offset < span.end:
                yield begin + offset, base + value
        begin, base = begin + series.seconds, base + series.growth


def give_past(stack: Stack, now: float | None = None) -> None:
    """Give the stack's Prometheus a past; returns when it can be asked for it.

    Raises:
        IncidentError: the stack is too young, or a program is missing.
    """
    url, now = stack.url("prometheus"), time.time() if now is None else now
    recorded = _recorded(url, now)
    store = Path(stack.record.directory) / "programs" / "prometheus" / _STORE
    with tempfile.TemporaryDirectory(dir=store.parent) as folder:
        text = Path(folder) / "past.txt"
        with text.open("w", encoding="utf-8") as stream:
            for line in exposition(recorded, spans_before(now)):
                stream.write(line)
        for block in _blocks(text, Path(folder) / "blocks"):
            shutil.move(block, store / block.name)
    _wait_until_known(url, now)


def exposition(recorded: Sequence[Series], spans: Sequence[Span]) -> Iterator[str]:
    """The lines of the past, in OpenMetrics; one metric's lines stand together."""
    for series in sorted(recorded, key=lambda one: sorted(one.labels.items())):
        named = dict(series.labels)
        name = named.pop("__name__")
        labels = ",".join(f'{key}="{_escaped(value)}"' for key, value in sorted(named.items()))
        for span in sorted(spans, key=lambda one: one.begin):
            for at, value in repeated(series, span):
                yield f"{name}{{{labels}}} {value!r} {at:.3f}\n"
    yield "# EOF\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _recorded(url: str, now: float) -> list[Series]:
    """What was recorded in the last quarter of an hour, thinned out."""
    played = [samples for _, samples in _ask(url, _WITNESS, NEEDED_SECONDS, now)]
    longest = max((samples[-1][0] - samples[0][0] for samples in played), default=0.0)
    if longest < NEEDED_SECONDS * 0.95:
        raise IncidentError(
            f"a past is made of what a stack has played for {NEEDED_SECONDS / 60:g} minutes, and"
            f" this one has played for {longest / 60:.0f}; let it play for some minutes more"
        )
    counters = [
        Series(labels, from_zero(samples), _RECORDED_SECONDS)
        for labels, samples in _ask(url, _COUNTERS, _RECORDED_SECONDS, now)
    ]
    signals = [
        Series(labels, tuple(samples), _SIGNAL_SECONDS)
        for labels, samples in _ask(url, _SIGNALS, _SIGNAL_SECONDS, now)
    ]
    return counters + signals


def from_zero(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """A counter's samples as those of one that began at zero and was never reset."""
    total, before, grown = 0.0, samples[0][1], []
    for at, value in samples:
        total += value - before if value >= before else value
        before = value
        grown.append((at, total))
    return tuple(grown)


def _ask(
    url: str, selector: str, seconds: float, now: float
) -> list[tuple[dict[str, str], list[Sample]]]:
    """The labels of each series, and its samples by the seconds since so many seconds ago."""
    query = f"{selector}[{seconds:.0f}s:{_STEP_SECONDS}s]"
    try:
        answer = httpx.get(
            f"{url}/api/v1/query",
            params={"query": query, "time": now},
            timeout=_TIMEOUT_SECONDS,
            trust_env=False,
        )
        answer.raise_for_status()
    except httpx.HTTPError as error:
        raise IncidentError(
            f"Prometheus does not answer at {url} ({type(error).__name__}); start it again if it is"
            " stopped"
        ) from error
    begin = now - seconds
    return [
        (one["metric"], [(at - begin, float(value)) for at, value in one["values"]])
        for one in answer.json()["data"]["result"]
    ]


def _blocks(text: Path, into: Path) -> list[Path]:
    try:
        promtool = str(program_path("promtool"))
    except ProgramsUnavailable as problem:
        raise IncidentError(str(problem)) from None
    made = subprocess.run(
        [promtool, "tsdb", "create-blocks-from", "openmetrics", "--quiet", str(text), str(into)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        raise IncidentError(f"promtool makes no blocks of the past: {made.stderr.strip()[:300]}")
    return sorted(path for path in into.iterdir() if path.is_dir())


def _wait_until_known(url: str, now: float) -> None:
    """Prometheus looks for new blocks each minute."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while not _ask(url, _WITNESS, _SIGNAL_SECONDS, now - _DAY_SECONDS):
        if time.monotonic() > deadline:
            raise IncidentError(
                f"Prometheus has not taken its past within {_WAIT_SECONDS:g} s; see its log"
            )
        time.sleep(1)
