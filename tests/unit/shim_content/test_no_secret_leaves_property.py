"""For any secret in any text at any place: no exporter, no file and no scraper gets it."""

from __future__ import annotations

import string
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from midwatch.config import Settings
from midwatch.instruments.recorder import Recorder
from midwatch.instruments.turns import turn
from midwatch.pipeline.event_logs import LogRecordSink
from midwatch.pipeline.events import EventSink, JsonLinesSink
from midwatch.pipeline.setup import Exporters, build_pipeline
from midwatch.registry import attributes
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Status, StatusCode

WORDS = st.text(alphabet=string.ascii_letters + string.digits, min_size=1, max_size=8)


def token(prefix: str, letters: int) -> st.SearchStrategy[str]:
    """A key of a well-known format."""
    drawn = st.text(
        alphabet=string.ascii_letters + string.digits, min_size=letters, max_size=letters
    )
    return drawn.map(lambda text: f"{prefix}{text[:-2]}Q7")


SECRETS = st.one_of(
    st.tuples(WORDS, WORDS).map(lambda two: f"{two[0]}@{two[1]}.example.com"),
    st.sampled_from(["4111 1111 1111 1111", "378282246310005", "DE89370400440532013000"]),
    st.integers(10**9, 10**11).map(lambda number: f"+49{number}"),
    token("ghp_", 36),
    token("sk-ant-api03-", 40),
    token("xoxb-1234567890-", 24),
    token("AIza", 35),
    token("npm_", 36),
    st.text(alphabet=string.ascii_uppercase + string.digits, min_size=16, max_size=16).map(
        lambda text: f"AKIA{text}"
    ),
)
# Whatever stands around a secret: text of any script, quotes, brackets, line ends, JSON's escapes.
AROUND = st.text(max_size=20).map(lambda text: f"{text} ") | st.sampled_from(
    ["", "(", '"', "\n", "\\n", '{"a": "', "key: ", "\u8bf7\u770b\uff1a", "https://x.example/?q="]
)


def at_span(recorder: Recorder, tracer: Any, text: str) -> None:
    with tracer.start_as_current_span(text, record_exception=False) as span:
        span.set_attribute("app.note", text)
        span.set_attribute("gen_ai.input.messages", text)
        span.add_event(text, {"app.note": [text]})
        span.set_status(Status(StatusCode.ERROR, text))
        span.record_exception(ValueError(text))


def at_facts(recorder: Recorder, tracer: Any, text: str) -> None:
    with tracer.start_as_current_span("work"), turn(session_id=text, recorder=recorder):
        recorder.route(text, detail=text)
        recorder.guardrail("pii", "deny", text)
        recorder.feedback("thumb", "up", comment=text)
        recorder.tool_call("writer", text, "error", 0.1, error=text)
        recorder.event(text, {"note": text, "deep": {text: [text]}}, trace_id=text)


def at_model(recorder: Recorder, tracer: Any, text: str) -> None:
    from midwatch.instruments.facts import ModelCall

    with tracer.start_as_current_span("chat") as span:
        span.set_attribute(attributes.SESSION_ID.name, text)
        recorder.model_call(
            ModelCall(
                agent=text,
                provider="openai",
                model="m",
                seconds=0.1,
                prompt_text=text,
                response_text=text,
                parameters={"stop": text},
            )
        )


@settings(max_examples=60, deadline=None)
@given(
    secret=SECRETS,
    before=AROUND,
    after=st.sampled_from(["", " ", ")", '"', "\n", "\\n", '"}', " and more", ". So"]),
    place=st.sampled_from([at_span, at_facts, at_model]),
    mode=st.sampled_from(["off", "redacted"]),
)
def test_no_secret_is_in_anything_that_leaves(tmp_path_factory, secret, before, after, place, mode):
    spans, logs = InMemorySpanExporter(), InMemoryLogRecordExporter()
    pipeline = build_pipeline(Settings(content=mode), Exporters(spans=(spans,), logs=(logs,)))
    lines = tmp_path_factory.mktemp("lines") / "events.jsonl"
    sinks: list[EventSink] = [
        LogRecordSink(pipeline.logger_provider.get_logger("test")),
        JsonLinesSink(lines),
    ]
    recorder = Recorder(pipeline.meter_provider, sinks, reader=pipeline.reader)
    recorder.content = pipeline.content
    place(recorder, pipeline.tracer_provider.get_tracer("test"), f"{before}{secret}{after}")
    pipeline.flush(5)
    left = [
        str(encode_spans(spans.get_finished_spans())),
        *(record.to_json() for record in logs.get_finished_logs()),
        "".join(family.text for family in recorder.families("", ("agent_", "midwatch_"))),
        lines.read_text(encoding="utf-8", errors="replace") if lines.exists() else "",
    ]
    pipeline.close(2)
    assert spans.get_finished_spans()
    assert not [text for text in left if secret in text]
