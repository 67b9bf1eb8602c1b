"""From the bodies of events to the columns of tables, one projection per kind.

What belongs here: which part of a body fills which column, and the defaults that writers leave out. What does
not: joining several events of a task (``joining``). Bodies are valid when they come here (``lines``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from pipeline.hours import Hour
from pipeline.telemetry.archive import ORDER, Archive, select
from pipeline.telemetry.event_models import RUBRIC_PARTS
from pipeline.telemetry.tables import (
    CAWS_EVALUATIONS,
    DEEP_ANALYSES,
    RECORDER_REPORTS,
    ROUTING_DECISIONS,
    TASK_EXECUTIONS,
    TASKS,
    TOOL_CALLS,
)
from pipeline.warehouse.tables import UTC_DATETIME, Table

_EVENT = ("event_id", "process", "sequence", "happened_at", "synthetic", "host", "application", "library")
_TEXT = "VARCHAR"
_NUMBER = "DOUBLE"
_COUNT = "BIGINT"
_YES = "BOOLEAN"
_TOKEN_PARTS = ("input", "output", "cached", "reasoning", "tool")
_MINIMAL = ("files_changed", "lines_added", "lines_removed", "similarity", "scaffolding_penalty")
_BUDGET = ("files_limit", "files_used", "lines_limit", "lines_used", "tokens_limit", "tokens_used")
_HOW_MANY = "coalesce(json_array_length({}), 0)"


@dataclass(frozen=True)
class Projection:
    """How events of one kind fill columns: the body's typed parts and an SQL expression per column over
    ``b``."""

    parts: Mapping[str, object]
    columns: Mapping[str, str]


def _same(*names: str) -> dict[str, str]:
    return {name: f"b.{name}" for name in names}


def _text(*names: str) -> dict[str, str]:
    """Texts and JSON texts; empty ones are null."""
    return {
        name: f"nullif(nullif(nullif(nullif(b.{name}::VARCHAR, ''), 'null'), '{{}}'), '[]')" for name in names
    }


_EXECUTION = {
    "execution_id": _TEXT,
    "agent": _TEXT,
    "agent_version": _TEXT,
    "model": _TEXT,
    "attempt": _COUNT,
}
_EXECUTION_COLUMNS = {
    **_same("execution_id", "agent", "agent_version", "model"),
    "attempt": "coalesce(b.attempt, 1)",
}

PROJECTIONS: dict[str, Projection] = {
    "task_received": Projection(
        {
            "task_type": _TEXT,
            "complexity": _TEXT,
            "description": _TEXT,
            "requirements": ["VARCHAR"],
            "context": "JSON",
            "session_id": _TEXT,
            "parent_task_id": _TEXT,
        },
        {
            **_same("task_type", "session_id", "parent_task_id"),
            "complexity": "coalesce(b.complexity, 'standard')",
            "requirements": "coalesce(b.requirements, [])",
            **_text("description", "context"),
        },
    ),
    "routing_decided": Projection(
        {
            "selected_agent": _TEXT,
            "strategy": _TEXT,
            "confidence": _NUMBER,
            "propensity": _NUMBER,
            "explored": _YES,
            "routing_ms": _NUMBER,
            "candidates": "JSON",
            "rationale": _TEXT,
        },
        {
            "agent": "b.selected_agent",
            "strategy": "coalesce(b.strategy, 'unknown')",
            **_same("confidence", "propensity", "explored", "routing_ms"),
            "candidate_count": _HOW_MANY.format("b.candidates"),
            **_text("candidates", "rationale"),
        },
    ),
    "execution_started": Projection(_EXECUTION, _EXECUTION_COLUMNS),
    "execution_completed": Projection(
        {
            **_EXECUTION,
            "success": _YES,
            "failure_reason": _TEXT,
            "failure_message": _TEXT,
            "latency_ms": _NUMBER,
            "time_to_first_action_ms": _NUMBER,
            "tokens": dict.fromkeys(_TOKEN_PARTS, _COUNT),
            "cost_usd": _NUMBER,
            "resources": {"cpu_seconds": _NUMBER, "peak_memory_megabytes": _NUMBER, "network_bytes": _COUNT},
            "tool_call_count": _COUNT,
            "output": _TEXT,
        },
        {
            **_EXECUTION_COLUMNS,
            **_same("success", "failure_reason", "latency_ms", "time_to_first_action_ms", "cost_usd"),
            **{
                f"tokens_{part}": f"CASE WHEN b.tokens IS NOT NULL THEN coalesce(b.tokens.{part}, 0) END"
                for part in _TOKEN_PARTS
            },
            "tokens_total": "CASE WHEN b.tokens IS NOT NULL THEN coalesce(b.tokens.input, 0) "
            "+ coalesce(b.tokens.output, 0) + coalesce(b.tokens.tool, 0) END",
            "cpu_seconds": "b.resources.cpu_seconds",
            "peak_memory_megabytes": "b.resources.peak_memory_megabytes",
            "network_bytes": "b.resources.network_bytes",
            "tool_call_count": "b.tool_call_count",
            **_text("failure_message", "output"),
        },
    ),
    "tool_called": Projection(
        {
            "tool": _TEXT,
            "execution_id": _TEXT,
            "agent": _TEXT,
            "outcome": _TEXT,
            "duration_ms": _NUMBER,
            "turn": _COUNT,
            "arguments": "JSON",
            "result": _TEXT,
            "error": _TEXT,
        },
        {
            **_same("tool", "execution_id", "agent", "duration_ms", "turn"),
            "outcome": "coalesce(b.outcome, 'success')",
            **_text("arguments", "result", "error"),
        },
    ),
    "evaluation_finished": Projection(
        {
            "overall_score": _NUMBER,
            "execution_id": _TEXT,
            "agent": _TEXT,
            "evaluator": _TEXT,
            "compliant": _YES,
            "quality_gates": "JSON",
            "rubric": dict.fromkeys(RUBRIC_PARTS, _NUMBER),
            "minimal_diff": {name: _NUMBER if name[0] == "s" else _COUNT for name in _MINIMAL},
            "turn_rewards": "JSON",
            "budget": {**dict.fromkeys(_BUDGET, _COUNT), "within_budget": _YES},
            "feedback": _TEXT,
            "judge_reasoning": _TEXT,
            "evaluation_ms": _NUMBER,
        },
        {
            **_same("execution_id", "agent", "overall_score", "evaluation_ms"),
            "evaluator": "coalesce(b.evaluator, 'unknown')",
            "gate_count": _HOW_MANY.format("b.quality_gates"),
            "gates_passed": "coalesce(len(list_filter(CAST(b.quality_gates->'$[*].passed' AS BOOLEAN[]), "
            "lambda p: p)), 0)",
            "compliant": "coalesce(b.compliant, CASE WHEN json_array_length(b.quality_gates) > 0 THEN "
            "NOT list_contains(CAST(b.quality_gates->'$[*].passed' AS BOOLEAN[]), false) END)",
            **{f"rubric_{part}": f"b.rubric.{part}" for part in RUBRIC_PARTS},
            **{name: f"b.minimal_diff.{name}" for name in _MINIMAL},
            **{name: f"b.budget.{name}" for name in (*_BUDGET, "within_budget")},
            "reward_total": "list_sum(CAST(b.turn_rewards->'$[*].reward' AS DOUBLE[]))",
            "turn_count": _HOW_MANY.format("b.turn_rewards"),
            **_text("quality_gates", "turn_rewards", "feedback", "judge_reasoning"),
        },
    ),
    "deep_analysis": Projection(
        {
            "execution_id": _TEXT,
            "agent": _TEXT,
            "conversation": "JSON",
            "language": _TEXT,
            "code_before": _TEXT,
            "code_after": _TEXT,
            "ast_metrics": "JSON",
            "judge_reasoning": _TEXT,
            "self_reflection": _TEXT,
        },
        {
            **_same("execution_id", "agent", "language"),
            "message_count": _HOW_MANY.format("b.conversation"),
            **_text(
                "conversation",
                "code_before",
                "code_after",
                "ast_metrics",
                "judge_reasoning",
                "self_reflection",
            ),
        },
    ),
    "span_ended": Projection(
        {
            **dict.fromkeys(("trace_id", "span_id", "parent_span_id", "operation", "model"), _TEXT),
            "tokens": dict.fromkeys(_TOKEN_PARTS[:4], _COUNT),
            "cost_usd": _NUMBER,
        },
        {
            **_same("trace_id", "span_id", "parent_span_id", "model", "cost_usd"),
            "operation": "coalesce(b.operation, 'other')",
            **{
                f"tokens_{part}": f"CASE WHEN b.tokens IS NOT NULL THEN coalesce(b.tokens.{part}, 0) END"
                for part in _TOKEN_PARTS[:4]
            },
        },
    ),
}
"""Projections by kind of event."""

REPORT_KINDS = ("recorder_started", "recorder_report", "recorder_stopped", "event_quarantined")
"""Kinds in which a recorder speaks of itself, or of an event that it could not keep."""

ONE_KIND: dict[str, Table] = {
    "task_received": TASKS,
    "routing_decided": ROUTING_DECISIONS,
    "tool_called": TOOL_CALLS,
    "evaluation_finished": CAWS_EVALUATIONS,
    "deep_analysis": DEEP_ANALYSES,
}
"""Tables in which a row is an event of one kind."""


def projected(
    archive: Archive, kind: str, *hours: Hour, subjects: pl.DataFrame | None = None
) -> pl.DataFrame | None:
    """Events of ``kind`` with the kind's columns, in order; None where the hours have no file at all.

    Beside the kind's columns: those of ``tables.Event`` and ``late``. ``subjects`` keeps those of some tasks.
    """
    projection = PROJECTIONS[kind]
    structure = json.dumps(projection.parts).replace("'", "''")
    common = ", ".join(_EVENT)
    with archive.reading(*hours) as connection:
        if connection is None:
            return None
        own = ", ".join(f"{expression} AS {name}" for name, expression in projection.columns.items())
        connection.execute(f"CREATE MACRO typed(body) AS from_json(body, '{structure}')")
        columns = f"{common}, subject AS task_id, after_load AS late, typed(body) AS b"
        connection.execute("SET threads = 2")
        return select(connection, columns, [kind], subjects=subjects, outer=f"* EXCLUDE (b), {own}").sort(
            ORDER
        )


def table_rows(archive: Archive, kind: str, hour: Hour) -> pl.DataFrame:
    """The rows of the table of ``kind`` (``ONE_KIND``) at ``hour``."""
    return _shaped(ONE_KIND[kind], projected(archive, kind, hour), hour)


def executions(archive: Archive, hour: Hour) -> pl.DataFrame:
    """``telemetry.task_executions``: starts and ends of ``hour`` joined by task and execution, as stated."""
    started = projected(archive, "execution_started", hour)
    completed = projected(archive, "execution_completed", hour)
    if started is None or completed is None:
        return TASK_EXECUTIONS.empty()
    return _shaped(TASK_EXECUTIONS, join_executions(started, completed).sort(ORDER), hour)


def join_executions(started: pl.DataFrame, completed: pl.DataFrame) -> pl.DataFrame:
    """One row per task and execution; of several starts the first counts, of several ends the last."""
    key = ["task_id", "execution_id"]
    first = started.unique(key, keep="first", maintain_order=True).with_columns(
        has_start=True, start_event_id=pl.col("event_id"), started_at=pl.col("happened_at")
    )
    last = completed.unique(key, keep="last", maintain_order=True).with_columns(
        has_end=True, completed_at=pl.col("happened_at")
    )
    joined = last.join(first, on=key, how="full", coalesce=True, suffix="_start")
    shared = [name for name in started.columns if name not in (*key, "late")]
    elapsed = (pl.col("completed_at") - pl.col("started_at")).dt.total_microseconds() / 1000
    return joined.with_columns(
        *(pl.coalesce(name, f"{name}_start").alias(name) for name in shared),
        pl.col("has_start", "has_end").fill_null(False),
        late=pl.max_horizontal("late", "late_start"),
    ).with_columns(latency_ms=pl.coalesce("latency_ms", pl.when(elapsed >= 0).then(elapsed)))


def reports(archive: Archive, hour: Hour) -> pl.DataFrame:
    """``telemetry.recorder_reports`` of ``hour``."""
    events = archive.read_events(hour, REPORT_KINDS)
    return _shaped(RECORDER_REPORTS, events.rename({"subject": "task_id", "body": "report"}), hour)


def _shaped(table: Table, frame: pl.DataFrame | None, hour: Hour) -> pl.DataFrame:
    if frame is None:
        return table.empty()
    return frame.with_columns(hour=pl.lit(hour.start, dtype=UTC_DATETIME)).select(
        pl.col(name).cast(dtype) for name, dtype in table.polars_schema.items()
    )
