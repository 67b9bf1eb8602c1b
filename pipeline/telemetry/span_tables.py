"""Spans of OpenTelemetry as rows: ``telemetry.spans``.

What belongs here: the table and its rows from events of the kind ``span_ended``. What does not: the executions and
tool calls that spans become as well; those are events like any other.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pandera.polars as pa
import polars as pl

from pipeline.telemetry.statistics_models import Hourly
from pipeline.warehouse.tables import Table, UtcInstant

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TEXT, _JSON = {"long_text": True}, {"long_text": True, "unit": "JSON"}


class Spans(Hourly):
    """One span as its exporter sent it, in the hour in which it ended."""

    event_id: pl.String = pa.Field(description="ULID of the event; follows from trace and span")
    task_id: pl.String = pa.Field(description="task: as the span or an ancestor names it, else the trace")
    synthetic: pl.Boolean = pa.Field(description="made by a simulator or stub")
    trace_id: pl.String = pa.Field(description="trace, hexadecimal")
    span_id: pl.String = pa.Field(description="span, hexadecimal")
    parent_span_id: pl.String = pa.Field(nullable=True, description="span it is a part of")
    name: pl.String = pa.Field(description="name of the span")
    operation: pl.String = pa.Field(description="agent, tool, model, embedding, retrieval, step or other")
    service: pl.String = pa.Field(description="service.name of the exporter")
    scope: pl.String = pa.Field(description="instrumentation that made it")
    started_at: UtcInstant = pa.Field(description="when it began")
    ended_at: UtcInstant = pa.Field(description="when it ended")
    duration_ms: pl.Float64 = pa.Field(ge=0, metadata={"unit": "ms"}, description="how long it took")
    failed: pl.Boolean = pa.Field(description="its status is an error")
    status_message: pl.String = pa.Field(nullable=True, metadata=_TEXT, description="message of the status")
    agent: pl.String = pa.Field(nullable=True, description="agent that it names")
    model: pl.String = pa.Field(nullable=True, description="model that answered, else the one asked")
    provider: pl.String = pa.Field(nullable=True, description="provider of the model")
    tool: pl.String = pa.Field(nullable=True, description="tool that was called")
    tokens_input: pl.Int64 = pa.Field(
        nullable=True, ge=0, metadata={"unit": "tokens"}, description="input tokens"
    )
    tokens_output: pl.Int64 = pa.Field(
        nullable=True, ge=0, metadata={"unit": "tokens"}, description="output tokens"
    )
    cost_usd: pl.Float64 = pa.Field(
        nullable=True, ge=0, metadata={"unit": "USD"}, description="cost, where stated"
    )
    input: pl.String = pa.Field(
        nullable=True, metadata=_TEXT, description="messages or arguments that went in"
    )
    output: pl.String = pa.Field(
        nullable=True, metadata=_TEXT, description="messages or result that came out"
    )
    attributes: pl.String = pa.Field(metadata=_JSON, description="every attribute as it was sent")
    events: pl.String = pa.Field(metadata=_JSON, description="events within the span")

    class Config:
        strict = True


SPANS = Table("telemetry.spans", Spans, ("event_id",), "Spans of OpenTelemetry exporters, whole.")

_SAME = (
    "trace_id", "span_id", "parent_span_id", "name", "duration_ms", "status_message", "agent", "model",
    "provider", "tool", "cost_usd", "input", "output",
)  # fmt: skip


def span_rows(events: pl.DataFrame) -> pl.DataFrame:
    """Rows of ``telemetry.spans`` from events of the kind ``span_ended`` (``archive.EVENT_SCHEMA``)."""
    return SPANS.frame([_row(event, json.loads(event["body"])) for event in events.iter_rows(named=True)])


def _row(event: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    tokens = body.get("tokens")
    at = event["happened_at"]
    return {
        "hour": at.replace(minute=0, second=0, microsecond=0),
        "event_id": event["event_id"],
        "task_id": event["subject"],
        "synthetic": event["synthetic"],
        **{name: body.get(name) for name in _SAME},
        "operation": body.get("operation", "other"),
        "service": body.get("service", ""),
        "scope": body.get("scope", ""),
        "failed": body.get("failed", False),
        "started_at": EPOCH + timedelta(microseconds=body["started_at_ns"] // 1000),
        "ended_at": EPOCH + timedelta(microseconds=body["ended_at_ns"] // 1000),
        "tokens_input": None if tokens is None else tokens.get("input", 0),
        "tokens_output": None if tokens is None else tokens.get("output", 0),
        "attributes": json.dumps(body.get("attributes", {}), ensure_ascii=False),
        "events": json.dumps(body.get("events", []), ensure_ascii=False),
    }
