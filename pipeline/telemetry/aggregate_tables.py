"""The tables of an hour: statistics, metrics, alerts, retention, in schema ``telemetry``.

What belongs here: models of metrics, alerts and retention, and every table's record. What does not: models of
statistics (``statistics_models``), tables that events fill (``tables``), how rows come about. Synthetic rows stand apart everywhere, by the column ``synthetic``.
"""

from __future__ import annotations

import pandera.polars as pa
import polars as pl

from pipeline.telemetry.statistics_models import (
    EVERY,
    UNKNOWN,
    AgentStats,
    AgentTrends,
    CodeMetrics,
    FlaggedPoints,
    Hourly,
    RoutingArms,
)
from pipeline.warehouse.tables import Table, UtcInstant

__all__ = ["EVERY", "UNKNOWN"]

SEVERITIES = ["info", "warning", "error", "critical"]
EFFECTS = ["none", "halt"]
ALERT_STATES = ["fired", "cooling_down"]

_MS, _SHARE = {"unit": "ms"}, {"unit": "0-1"}


class CollectionMetrics(Hourly):
    """How well the hour was collected (document 002), real and synthetic apart.

    Shares are null where nothing stands below the line. Events of rejected lines carry no reliable origin and count
    as real.
    """

    synthetic: pl.Boolean = pa.Field(description="made by a simulator or stub")
    tasks_this_hour: pl.Int64 = pa.Field(ge=0, description="data points of the hour")
    tasks_today: pl.Int64 = pa.Field(ge=0, description="data points of the day up to the hour's end")
    tasks_total: pl.Int64 = pa.Field(
        ge=0, description="data points up to the hour's end, those already moved to archives included"
    )
    events_this_hour: pl.Int64 = pa.Field(ge=0, description="events loaded")
    rejected_events: pl.Int64 = pa.Field(ge=0, description="lines that became no event")
    invalid_tasks: pl.Int64 = pa.Field(ge=0, description="data points with validation errors")
    validation_failures: pl.Int64 = pa.Field(
        ge=0, description="events refused by recorders, rejected lines and invalid data points"
    )
    validation_failure_rate: pl.Float64 = pa.Field(
        nullable=True,
        ge=0,
        le=1,
        metadata=_SHARE,
        description="the larger of refused or rejected events / events offered, invalid tasks / tasks",
    )
    inconsistent_tasks: pl.Int64 = pa.Field(ge=0, description="data points with a consistency warning")
    left_out_tasks: pl.Int64 = pa.Field(ge=0, description="data points left out of statistics")
    privacy_violations: pl.Int64 = pa.Field(
        ge=0, description="private values or secrets found behind the door"
    )
    privacy_scanned: pl.Int64 = pa.Field(ge=0, description="texts that were looked at")
    privacy_unscanned: pl.Int64 = pa.Field(ge=0, description="texts that were not, by share or size")
    duplicate_events: pl.Int64 = pa.Field(ge=0, description="further copies of events")
    duplicate_rate: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, metadata=_SHARE, description="copies / (events + copies)"
    )
    agents_expected: pl.Int64 = pa.Field(
        ge=0, description="agents of the registry; without one, of the last seven days"
    )
    agents_covered: pl.Int64 = pa.Field(ge=0, description="those of them seen in the hour")
    agents_missing: pl.String = pa.Field(nullable=True, description="those not seen, comma-separated")
    agents_unregistered: pl.String = pa.Field(nullable=True, description="seen, but not in the registry")
    agent_coverage: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, metadata=_SHARE, description="agents_covered / agents_expected"
    )
    task_types: pl.Int64 = pa.Field(ge=0, description="kinds of tasks seen")
    trivial: pl.Int64 = pa.Field(ge=0, description="trivial tasks")
    standard: pl.Int64 = pa.Field(ge=0, description="standard tasks")
    complex: pl.Int64 = pa.Field(ge=0, description="complex tasks")
    tasks_expected: pl.Float64 = pa.Field(
        nullable=True, ge=0, description="tasks by the registry's tasks_per_hour, where every agent has one"
    )
    tasks_counted: pl.Int64 = pa.Field(
        nullable=True, ge=0, description="tasks by the application's own counter, from recorder reports"
    )
    task_coverage: pl.Float64 = pa.Field(
        nullable=True,
        ge=0,
        metadata={"unit": "share"},
        description="tasks received / tasks counted, else / tasks expected; above 1 where more came",
    )
    routing_coverage: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, metadata=_SHARE, description="tasks with a routing decision / tasks"
    )
    execution_coverage: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, metadata=_SHARE, description="tasks with an execution / tasks"
    )
    evaluation_coverage: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, metadata=_SHARE, description="evaluated tasks / finished tasks"
    )
    processes: pl.Int64 = pa.Field(ge=0, description="recording processes")
    events_emitted: pl.Int64 = pa.Field(ge=0, description="lines written, by sequence numbers")
    events_missing: pl.Int64 = pa.Field(ge=0, description="sequence numbers that no line has")
    event_coverage: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, metadata=_SHARE, description="1 - events_missing / events_emitted"
    )
    events_failed: pl.Int64 = pa.Field(
        ge=0, description="events that recorders could not write, by their reports"
    )
    collection_latency_ms: pl.Float64 = pa.Field(
        nullable=True,
        ge=0,
        metadata=_MS,
        description="mean time in the recorder per event, as recorders measured it",
    )
    collection_ms_per_task: pl.Float64 = pa.Field(
        nullable=True, ge=0, metadata=_MS, description="the same per task: mean x events per task"
    )
    collection_latency_max_ms: pl.Float64 = pa.Field(
        nullable=True, ge=0, metadata=_MS, description="longest time in the recorder for one event"
    )
    flushes_per_minute: pl.Float64 = pa.Field(
        ge=0, metadata={"unit": "per minute"}, description="appends to segments; every event is one"
    )
    storage_bytes: pl.Int64 = pa.Field(
        ge=0, metadata={"unit": "bytes"}, description="length of the hour's lines, copies included"
    )
    storage_megabytes_per_day: pl.Float64 = pa.Field(
        ge=0, metadata={"unit": "MB per day"}, description="the hour's lines x 24"
    )

    class Config:
        strict = True


class MetricTargets(Hourly):
    """One metric of the hour against its target."""

    synthetic: pl.Boolean = pa.Field(description="made by a simulator or stub")
    metric: pl.String = pa.Field(description="column of collection_metrics")
    value: pl.Float64 = pa.Field(
        nullable=True, description="the hour's value; null where nothing stands below the line"
    )
    comparison: pl.String = pa.Field(isin=["at least", "at most"], description="what the target is")
    target: pl.Float64 = pa.Field(description="the target of telemetry.yaml")
    met: pl.Boolean = pa.Field(nullable=True, description="whether it is met; null where there is no value")

    class Config:
        strict = True


class Alerts(Hourly):
    """One alert that fired in the hour, or would have within its cool-down."""

    alert_id: pl.String = pa.Field(
        description="identifies the alert: the same hour, name and subject give the same id"
    )
    name: pl.String = pa.Field(description="name in alerts.yaml")
    subject: pl.String = pa.Field(description="agent it is about; empty for the hour as a whole")
    synthetic: pl.Boolean = pa.Field(description="it is about synthetic rows")
    severity: pl.String = pa.Field(isin=SEVERITIES, description="how bad it is")
    action: pl.String = pa.Field(description="what to do")
    effect: pl.String = pa.Field(isin=EFFECTS, description="what the pipeline does by itself")
    state: pl.String = pa.Field(
        isin=ALERT_STATES, description="fired, or silent because it fired within its cool-down"
    )
    condition: pl.String = pa.Field(description="condition in alerts.yaml")
    facts: pl.String = pa.Field(
        metadata={"unit": "JSON"}, description="the columns that the condition names, with their values"
    )

    class Config:
        strict = True


class AlertAnswers(pa.DataFrameModel):
    """What became of an alert: one line per delivery that was tried, and per acknowledgement."""

    number: pl.Int64 = pa.Field(ge=0, description="position in the order in which they came, from 0")
    alert_id: pl.String = pa.Field(description="the alert")
    what: pl.String = pa.Field(isin=["delivered", "failed", "acknowledged"], description="what happened")
    channel: pl.String = pa.Field(description="webhook, or the person who acknowledged")
    happened_at: UtcInstant = pa.Field(description="when")
    detail: pl.String = pa.Field(description="answer of the channel, or the person's remark")

    class Config:
        strict = True


class RetentionSteps(Hourly):
    """One hour of one table that retention moves or removes: shown first, done where ``applied``."""

    table_name: pl.String = pa.Field(description="the table")
    kept_hour: UtcInstant = pa.Field(description="the hour of rows concerned")
    step: pl.String = pa.Field(
        isin=["move_to_parquet", "remove_parquet", "remove_rows", "remove_raw"], description="what is due"
    )
    rows: pl.Int64 = pa.Field(nullable=True, ge=0, description="rows concerned")
    file: pl.String = pa.Field(
        nullable=True, description="Parquet file or raw folder, within the data folder"
    )
    applied: pl.Boolean = pa.Field(description="it was done")

    class Config:
        strict = True


FLAGGED_POINTS = Table(
    "telemetry.flagged_points",
    FlaggedPoints,
    ("task_id", "field", "reason"),
    "Remarks on data points: invalid, outliers, inconsistent.",
)
AGENT_STATS = Table(
    "telemetry.agent_stats",
    AgentStats,
    ("grain", "agent", "task_type", "complexity", "synthetic"),
    "Agents by the hour: success, quality, latency, tokens, cost, tools.",
)
AGENT_TRENDS = Table(
    "telemetry.agent_trends",
    AgentTrends,
    ("agent", "synthetic", "metric", "baseline"),
    "Agents against the previous day and week.",
)
ROUTING_ARMS = Table(
    "telemetry.routing_arms",
    RoutingArms,
    ("agent", "task_type", "complexity", "synthetic"),
    "Pulls, rewards and posteriors for a bandit.",
)
COLLECTION_METRICS = Table(
    "telemetry.collection_metrics", CollectionMetrics, ("synthetic",), "How well the hour was collected."
)
METRIC_TARGETS = Table(
    "telemetry.metric_targets",
    MetricTargets,
    ("synthetic", "metric"),
    "The hour's metrics against their targets.",
)
ALERTS = Table("telemetry.alerts", Alerts, ("alert_id",), "What somebody should look at.")
ALERT_ANSWERS = Table(
    "telemetry.alert_answers",
    AlertAnswers,
    ("number",),
    "Deliveries and acknowledgements of alerts.",
    hourly=False,
)
CODE_METRICS = Table(
    "telemetry.code_metrics", CodeMetrics, ("event_id",), "Syntax trees before and after, of sampled tasks."
)
RETENTION_STEPS = Table(
    "telemetry.retention_steps",
    RetentionSteps,
    ("table_name", "kept_hour", "step"),
    "What retention removes, before it does.",
)

HOUR_TABLES: tuple[Table, ...] = (
    FLAGGED_POINTS,
    AGENT_STATS,
    AGENT_TRENDS,
    ROUTING_ARMS,
    CODE_METRICS,
    COLLECTION_METRICS,
    METRIC_TARGETS,
    ALERTS,
    RETENTION_STEPS,
)
"""Tables with an hour, in the order in which they are computed."""

TABLES: tuple[Table, ...] = (*HOUR_TABLES, ALERT_ANSWERS)
