"""Telemetry as agents send it to the ledger: spans and events of one trace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

TRACE = "0123456789abcdef0123456789abcdef"
START = 1_795_000_000_000_000_000
SECOND = 1_000_000_000


def _any(value: object) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=[_any(item) for item in value]))
    return AnyValue(string_value=str(value))


def _pairs(attributes: dict[str, object]) -> list[KeyValue]:
    return [KeyValue(key=name, value=_any(value)) for name, value in attributes.items()]


@dataclass(frozen=True)
class Otlp:
    """Builds OTLP: spans and events by number, times in seconds after a fixed start."""

    trace_id: str = TRACE
    start: int = START

    def span(
        self,
        number: int,
        parent: int | None = None,
        *,
        at: float = 0.0,
        seconds: float = 1.0,
        error: str | None = None,
        **attributes: object,
    ) -> Span:
        """Give a span; attribute names are written with `__` for the dot."""
        begin = self.start + int(at * SECOND)
        named = {name.replace("__", "."): value for name, value in attributes.items()}
        if error is not None:
            named["error.type"] = error
        return Span(
            trace_id=bytes.fromhex(self.trace_id),
            span_id=number.to_bytes(8, "big"),
            parent_span_id=b"" if parent is None else parent.to_bytes(8, "big"),
            name=str(named.pop("name", f"span {number}")),
            kind=Span.SPAN_KIND_INTERNAL,
            start_time_unix_nano=begin,
            end_time_unix_nano=begin + int(seconds * SECOND),
            attributes=_pairs(named),
            status=Status(
                code=Status.STATUS_CODE_UNSET if error is None else Status.STATUS_CODE_ERROR,
                message=error or "",
            ),
        )

    def chat(self, number: int, parent: int | None = None, **attributes: object) -> Span:
        """Give a model call."""
        return self.span(
            number,
            parent,
            **{  # type: ignore[arg-type]
                "gen_ai__operation__name": "chat",
                "gen_ai__provider__name": "openai",
                "gen_ai__request__model": "gpt-small",
                "gen_ai__usage__input_tokens": 100,
                "gen_ai__usage__output_tokens": 20,
                "midwatch__llm__cost_usd": 0.0003,
                **attributes,
            },
        )

    def agent(self, number: int, parent: int | None, name: str, **attributes: object) -> Span:
        """Give an agent's run."""
        return self.span(
            number,
            parent,
            **{  # type: ignore[arg-type]
                "gen_ai__operation__name": "invoke_agent",
                "gen_ai__agent__name": name,
                **attributes,
            },
        )

    def tool(self, number: int, parent: int | None, name: str, **attributes: object) -> Span:
        """Give a tool call."""
        return self.span(
            number,
            parent,
            **{  # type: ignore[arg-type]
                "gen_ai__operation__name": "execute_tool",
                "gen_ai__tool__name": name,
                **attributes,
            },
        )

    def turn(self) -> list[Span]:
        """Give a whole turn: supervisor, monitor with a tool and a model call."""
        return [
            self.span(
                1,
                name="POST /chat",
                seconds=4,
                session__id="session-7",
                midwatch__turn__entry_agent="supervisor",
                midwatch__turn__outcome="ok",
            ),
            self.agent(2, 1, "supervisor", at=0.1, seconds=0.5),
            self.chat(3, 2, at=0.2, seconds=0.3),
            self.agent(4, 1, "monitor", at=1.0, seconds=2.5),
            self.tool(5, 4, "read_metrics", at=1.1, seconds=0.2),
            self.span(6, 4, name="HTTP POST", at=1.5),
            self.chat(7, 6, at=1.5, seconds=1.0, midwatch__llm__cost_usd=0.0009),
        ]

    def traces(self, *spans: Span, service: str = "security-agent") -> ExportTraceServiceRequest:
        """Give a request with the spans."""
        request = ExportTraceServiceRequest()
        group = request.resource_spans.add()
        group.resource.attributes.extend(_pairs({"service.name": service}))
        group.scope_spans.add().spans.extend(spans)
        return request

    def event(self, name: str, *, span: int | None = 1, at: float = 0.5, **metadata: object) -> Any:
        """Give a log record with an event name."""
        return LogRecord(
            time_unix_nano=self.start + int(at * SECOND),
            event_name=name,
            trace_id=bytes.fromhex(self.trace_id),
            span_id=b"" if span is None else span.to_bytes(8, "big"),
            attributes=_pairs({"session.id": "session-7", **metadata}),
        )

    def logs(self, *records: LogRecord) -> ExportLogsServiceRequest:
        """Give a request with the log records."""
        request = ExportLogsServiceRequest()
        group = request.resource_logs.add()
        group.resource.attributes.extend(_pairs({"service.name": "security-agent"}))
        group.scope_logs.add().log_records.extend(records)
        return request
