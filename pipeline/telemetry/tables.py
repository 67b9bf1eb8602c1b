"""The tables of schema ``telemetry`` that events fill: columns, units, bounds and keys.

What belongs here: every table of the loader, and the models of those made of many events. What does not: the
models of single events (``event_models``), how rows come about, and the
tables of an hour's statistics. Bounds are those of the event types in ``pipeline.capture.events``. Nested
parts are JSON text; no column holds a clock's reading, so that a replay gives the same rows.
"""

from __future__ import annotations

import pandera.polars as pa
import polars as pl

from pipeline.telemetry.event_models import (
    COMPLEXITIES,
    CawsEvaluations,
    DeepAnalyses,
    RecorderReports,
    RoutingDecisions,
    TaskExecutions,
    Tasks,
    ToolCalls,
)
from pipeline.warehouse.tables import Table, Texts, UtcInstant

SEGMENT_STATES = ["archived", "open", "unreadable"]

_JSON = {"long_text": True, "unit": "JSON"}
_TEXT = {"long_text": True}
_MS, _SHARE, _TOKENS, _USD = {"unit": "ms"}, {"unit": "0-1"}, {"unit": "tokens"}, {"unit": "USD"}


class DataPoints(pa.DataFrameModel):
    """One task with all its events joined; in the hour in which it was received.

    A task that was never received belongs to the hour of its first event. Where it was tried more than once,
    success, times and scores are those of the last execution, tokens and cost the sum over all. ``is_complete``:
    received, routed, executed to the end and evaluated.
    """

    hour: UtcInstant = pa.Field(description="start of the hour in which the task was received, UTC")
    task_id: pl.String = pa.Field(description="the task")
    synthetic: pl.Boolean = pa.Field(description="any of its events was made by a simulator or stub")
    task_type: pl.String = pa.Field(nullable=True, description="lower case, words joined by _")
    complexity: pl.String = pa.Field(
        nullable=True, isin=COMPLEXITIES, description="trivial, standard or complex"
    )
    session_id: pl.String = pa.Field(nullable=True, description="session that the task belongs to")
    selected_agent: pl.String = pa.Field(
        nullable=True, description="the agent chosen; else the one that worked"
    )
    agent_version: pl.String = pa.Field(nullable=True, description="version of the agent that worked last")
    model: pl.String = pa.Field(nullable=True, description="model used last")
    strategy: pl.String = pa.Field(  # type: ignore[assignment]
        nullable=True, description="lower case, words joined by _; how the agent was chosen"
    )
    confidence: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, metadata=_SHARE, description="how sure the router was"
    )
    propensity: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, metadata=_SHARE, description="probability of this choice"
    )
    explored: pl.Boolean = pa.Field(nullable=True, description="chosen in order to learn")
    candidate_count: pl.Int64 = pa.Field(nullable=True, ge=0, description="agents that could have got it")
    success: pl.Boolean = pa.Field(
        nullable=True, description="the last execution ended well; null while none has ended"
    )
    failure_reason: pl.String = pa.Field(nullable=True, description="why it did not")
    attempts: pl.Int64 = pa.Field(ge=0, description="executions")
    latency_ms: pl.Float64 = pa.Field(nullable=True, ge=0, metadata=_MS, description="of the last execution")
    time_to_first_action_ms: pl.Float64 = pa.Field(
        nullable=True, ge=0, metadata=_MS, description="of the last execution"
    )
    tokens_total: pl.Int64 = pa.Field(
        nullable=True, ge=0, metadata=_TOKENS, description="over all executions"
    )
    tokens_input: pl.Int64 = pa.Field(
        nullable=True, ge=0, metadata=_TOKENS, description="over all executions"
    )
    tokens_output: pl.Int64 = pa.Field(
        nullable=True, ge=0, metadata=_TOKENS, description="over all executions"
    )
    tokens_cached: pl.Int64 = pa.Field(
        nullable=True, ge=0, metadata=_TOKENS, description="over all executions"
    )
    tokens_reasoning: pl.Int64 = pa.Field(
        nullable=True, ge=0, metadata=_TOKENS, description="over all executions"
    )
    tokens_tool: pl.Int64 = pa.Field(nullable=True, ge=0, metadata=_TOKENS, description="over all executions")
    cost_usd: pl.Float64 = pa.Field(nullable=True, ge=0, metadata=_USD, description="over all executions")
    tool_calls: pl.Int64 = pa.Field(ge=0, description="tool calls recorded")
    tool_successes: pl.Int64 = pa.Field(ge=0, description="tool calls that succeeded")
    evaluated: pl.Boolean = pa.Field(description="an evaluation was recorded")
    overall_score: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, metadata=_SHARE, description="of the last evaluation"
    )
    compliant: pl.Boolean = pa.Field(nullable=True, description="of the last evaluation")
    rubric_format: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, metadata=_SHARE, description="rubric: format"
    )
    rubric_tool: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, metadata=_SHARE, description="rubric: tool use"
    )
    rubric_task: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, metadata=_SHARE, description="rubric: the task itself"
    )
    rubric_minimal: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, metadata=_SHARE, description="rubric: minimality"
    )
    rubric_cost: pl.Float64 = pa.Field(nullable=True, ge=0, le=1, metadata=_SHARE, description="rubric: cost")
    rubric_safety: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, metadata=_SHARE, description="rubric: safety"
    )
    reward_total: pl.Float64 = pa.Field(
        nullable=True, description="sum of the rewards of the turns, last evaluation"
    )
    within_budget: pl.Boolean = pa.Field(nullable=True, description="of the last evaluation")
    deep_analyses: pl.Int64 = pa.Field(ge=0, description="deep analyses recorded")
    received_at: UtcInstant = pa.Field(nullable=True, description="when it came in")
    routed_at: UtcInstant = pa.Field(nullable=True, description="when it was last routed")
    started_at: UtcInstant = pa.Field(nullable=True, description="when the first execution began")
    completed_at: UtcInstant = pa.Field(nullable=True, description="when the last execution ended")
    evaluated_at: UtcInstant = pa.Field(nullable=True, description="when it was last evaluated")
    last_event_at: UtcInstant = pa.Field(description="its last event")
    event_count: pl.Int64 = pa.Field(ge=1, description="its events (a start and an end are two)")
    quarantined_events: pl.Int64 = pa.Field(
        ge=0, description="of these, events that privacy's door kept back: only their kind and size are known"
    )
    late: pl.Boolean = pa.Field(description="an event of it reached us after its hour had been loaded")
    is_complete: pl.Boolean = pa.Field(description="received, routed, executed to the end and evaluated")
    is_valid: pl.Boolean = pa.Field(description="validation_errors is empty")
    validation_errors: Texts = pa.Field(
        description="missing_task, missing_routing, missing_execution, score_out_of_bounds, private_data"
    )
    validation_warnings: Texts = pa.Field(
        description="success_with_low_score, failure_with_high_score, not_evaluated, unfinished, no_tokens, zero_latency, agent_mismatch, time_order, privacy"
    )

    class Config:
        strict = True


class RejectedEvents(pa.DataFrameModel):
    """One line that did not become an event, or an event that came too late: kept, with reason and place."""

    hour: UtcInstant = pa.Field(description="start of the hour, UTC, in whose folder the line lies")
    segment: pl.String = pa.Field(description="segment the line stands in")
    segment_hash: pl.String = pa.Field(
        description="SHA-256 of the segment; of what was read of it while it is open"
    )
    byte_offset: pl.Int64 = pa.Field(ge=0, metadata={"unit": "bytes"}, description="where the line begins")
    reason: pl.String = pa.Field(
        description="broken_line, torn_line, bad_envelope, unknown_kind, bad_body, bad_time, late or bad_row"
    )
    message: pl.String = pa.Field(metadata=_TEXT, description="what was found, in one sentence")
    kind: pl.String = pa.Field(nullable=True, description="kind of event, where it can be read")
    event_id: pl.String = pa.Field(nullable=True, description="its ULID, where it can be read")
    process: pl.String = pa.Field(
        nullable=True, description="process, by its line or by the name of its segment"
    )
    sequence: pl.Int64 = pa.Field(
        nullable=True, description="number within its process, where it can be read"
    )
    task_id: pl.String = pa.Field(nullable=True, description="its subject, where it can be read")
    happened_at: UtcInstant = pa.Field(nullable=True, description="its time, where it can be read")
    length: pl.Int64 = pa.Field(
        ge=0, metadata={"unit": "bytes"}, description="length of the line, which stands in the archive"
    )

    class Config:
        strict = True


class RecorderProcesses(pa.DataFrameModel):
    """The conservation law of one recording process in one hour: emitted = loaded + duplicates + rejected + waiting.

    ``emitted`` counts lines: the sequence numbers that fall to this hour (from where the process's earlier
    events ended to its highest one here) and every further copy of an event. ``gap`` is what is missing.
    """

    hour: UtcInstant = pa.Field(description="start of the hour, UTC")
    process: pl.String = pa.Field(description="ULID of the recording process")
    host: pl.String = pa.Field(nullable=True, description="its machine")
    application: pl.String = pa.Field(nullable=True, description="its application")
    synthetic: pl.Boolean = pa.Field(description="a simulator or stub")
    first_sequence: pl.Int64 = pa.Field(nullable=True, description="lowest number read in this hour")
    last_sequence: pl.Int64 = pa.Field(nullable=True, description="highest number read in this hour")
    emitted: pl.Int64 = pa.Field(ge=0, description="lines it wrote for this hour")
    loaded: pl.Int64 = pa.Field(ge=0, description="events in effect, of any kind")
    duplicates: pl.Int64 = pa.Field(ge=0, description="further copies of an event")
    rejected: pl.Int64 = pa.Field(
        ge=0, description="events whose line was rejected, and missing numbers that were on broken lines"
    )
    waiting: pl.Int64 = pa.Field(ge=0, description="kept but not loaded: too late")
    gap: pl.Int64 = pa.Field(ge=0, description="missing numbers beyond the broken lines: lost")
    gap_ranges: pl.String = pa.Field(
        nullable=True,
        description="numbers that no line of any hour has or can have had, for example 5-8, 12; those of broken_some too",
    )
    broken_ranges: pl.String = pa.Field(
        nullable=True, description="missing numbers that broken lines had, by the lines before and after them"
    )
    broken_some: pl.Int64 = pa.Field(
        ge=0, description="how many of gap_ranges were on broken lines too, nobody can say which"
    )
    clashes: pl.Int64 = pa.Field(ge=0, description="numbers that two different events have")
    broken_lines: pl.Int64 = pa.Field(ge=0, description="lines of its segments that cannot be read as events")
    started_at: UtcInstant = pa.Field(nullable=True, description="when it began recording, by its ULID")
    stopped: pl.Boolean = pa.Field(description="it said in this hour that it stops")

    class Config:
        strict = True


class EventCounts(pa.DataFrameModel):
    """Events of one kind in one minute."""

    hour: UtcInstant = pa.Field(description="start of the hour, UTC")
    minute: pl.Int64 = pa.Field(ge=0, le=59, description="minute of the hour")
    kind: pl.String = pa.Field(description="kind of event")
    synthetic: pl.Boolean = pa.Field(description="made by a simulator or stub")
    loaded: pl.Int64 = pa.Field(ge=0, description="events in effect")
    duplicates: pl.Int64 = pa.Field(ge=0, description="further copies")
    line_bytes: pl.Int64 = pa.Field(ge=0, metadata={"unit": "bytes"}, description="length of their lines")

    class Config:
        strict = True


class EventSegments(pa.DataFrameModel):
    """One segment that the hour was loaded from."""

    hour: UtcInstant = pa.Field(description="start of the hour, UTC")
    file: pl.String = pa.Field(
        description="name of the Parquet file in the hour's archive; of the segment, while it is open"
    )
    segment: pl.String = pa.Field(description="name of the segment")
    state: pl.String = pa.Field(
        isin=SEGMENT_STATES, description="archived, still open (read to its last whole line), or unreadable"
    )
    segment_hash: pl.String = pa.Field(
        description="SHA-256 of the segment; of what was read of it while it is open"
    )
    segment_bytes: pl.Int64 = pa.Field(
        ge=0, metadata={"unit": "bytes"}, description="size of the segment; of what was read of it"
    )
    lines: pl.Int64 = pa.Field(ge=0, description="lines of this hour")
    rejected: pl.Int64 = pa.Field(ge=0, description="lines that are no events")
    after_load: pl.Boolean = pa.Field(description="it came after the hour had been loaded")
    problem: pl.String = pa.Field(nullable=True, description="why it could not be read")

    class Config:
        strict = True


TASKS = Table("telemetry.tasks", Tasks, ("event_id",), "Tasks that came in.")
ROUTING_DECISIONS = Table(
    "telemetry.routing_decisions", RoutingDecisions, ("event_id",), "Who got each task, and why."
)
TASK_EXECUTIONS = Table(
    "telemetry.task_executions",
    TaskExecutions,
    ("task_id", "execution_id"),
    "Every execution: outcome, latency, tokens, cost.",
)
TOOL_CALLS = Table("telemetry.tool_calls", ToolCalls, ("event_id",), "Every call of a tool.")
CAWS_EVALUATIONS = Table(
    "telemetry.caws_evaluations",
    CawsEvaluations,
    ("event_id",),
    "Every evaluation: gates, rubric, rewards, budget.",
)
DEEP_ANALYSES = Table("telemetry.deep_analyses", DeepAnalyses, ("event_id",), "Deep looks at sampled tasks.")
DATA_POINTS = Table(
    "telemetry.data_points", DataPoints, ("task_id",), "Each task with all its events joined."
)
REJECTED_EVENTS = Table(
    "telemetry.rejected_events",
    RejectedEvents,
    ("segment", "segment_hash", "byte_offset"),
    "Lines that are no events, with reason.",
)
RECORDER_PROCESSES = Table(
    "telemetry.recorder_processes",
    RecorderProcesses,
    ("process",),
    "Emitted = loaded + duplicates + rejected + waiting, per process.",
)
RECORDER_REPORTS = Table(
    "telemetry.recorder_reports", RecorderReports, ("event_id",), "What recorders say of themselves."
)
EVENT_COUNTS = Table(
    "telemetry.event_counts", EventCounts, ("minute", "kind", "synthetic"), "Events by kind and minute."
)
EVENT_SEGMENTS = Table(
    "telemetry.event_segments", EventSegments, ("file",), "Segments that the hour was loaded from."
)

EVENT_TABLES: tuple[Table, ...] = (
    TASKS,
    ROUTING_DECISIONS,
    TASK_EXECUTIONS,
    TOOL_CALLS,
    CAWS_EVALUATIONS,
    DEEP_ANALYSES,
    RECORDER_REPORTS,
)
"""Tables that events of given kinds fill."""

LOADED_TABLES: tuple[Table, ...] = (
    EVENT_SEGMENTS,
    *EVENT_TABLES,
    EVENT_COUNTS,
    RECORDER_PROCESSES,
    REJECTED_EVENTS,
    DATA_POINTS,
)
"""Every table of the loader, in the order in which an hour is loaded."""

TABLES = LOADED_TABLES
