"""The tables of an hour's statistics: flags, statistics, trends, arms, metrics, alerts, code metrics.

What belongs here: one pandera model per table, in schema ``telemetry``. What does not: tables that events
fill (``tables``), how rows come about. Synthetic rows stand apart everywhere, by the column ``synthetic``.
"""

from __future__ import annotations

import pandera.polars as pa
import polars as pl

from pipeline.warehouse.tables import Table, UtcInstant

GRAINS = ["agent", "agent_task_type", "agent_complexity", "agent_task_type_complexity"]
EVERY = "(all)"
"""Stands in a dimension's column where a row sums over that dimension."""

UNKNOWN = "(unknown)"
"""Stands for an agent, task type or complexity that no event named."""

FLAG_FIELDS = ["latency_ms", "tokens_total", "consistency"]
SEVERITIES = ["info", "warning", "error", "critical"]
EFFECTS = ["none", "halt"]
ALERT_STATES = ["fired", "cooling_down"]
BASELINES = ["previous_day", "previous_week"]
TREND_METRICS = ["success_rate", "quality", "latency"]
CODE_STATES = ["measured", "unknown_language", "no_code", "too_large"]

_MS, _SHARE, _TOKENS, _USD = {"unit": "ms"}, {"unit": "0-1"}, {"unit": "tokens"}, {"unit": "USD"}


class Hourly(pa.DataFrameModel):
    """What every row of an hour has."""

    hour: UtcInstant = pa.Field(description="start of the hour, UTC")


class FlaggedPoints(Hourly):
    """One remark on a task's data point: invalid, an outlier, or inconsistent. Nothing is deleted.

    Where ``left_out``, statistics leave the task out; consistency is a warning only.
    """

    task_id: pl.String = pa.Field(description="the task")
    synthetic: pl.Boolean = pa.Field(description="made by a simulator or stub")
    agent: pl.String = pa.Field(description="agent of the task, or (unknown)")
    task_type: pl.String = pa.Field(description="kind of task, or (unknown)")
    field: pl.String = pa.Field(isin=FLAG_FIELDS, description="what was looked at")
    reason: pl.String = pa.Field(
        description="not_positive, too_low, too_high, or the name of the consistency rule"
    )
    left_out: pl.Boolean = pa.Field(description="statistics leave the task out")
    value: pl.Float64 = pa.Field(nullable=True, metadata={"unit": "of the field"}, description="the value")
    lower: pl.Float64 = pa.Field(
        nullable=True,
        metadata={"unit": "of the field"},
        description="lowest value of this agent and task type that is no outlier",
    )
    upper: pl.Float64 = pa.Field(
        nullable=True, metadata={"unit": "of the field"}, description="highest value that is no outlier"
    )

    class Config:
        strict = True


class AgentStats(Hourly):
    """One agent's hour, over all its tasks (grain agent) or by task type, complexity or both.

    A dimension that a row sums over holds ``(all)``. Tasks flagged as invalid or outliers are counted in
    ``tasks`` and ``left_out`` and used nowhere else. Intervals are 95 %: Wilson's for shares, Student's for
    means; log moments are of the natural logarithm of latency in ms and serve later comparisons.
    """

    grain: pl.String = pa.Field(isin=GRAINS, description="which dimensions the row is split by")
    agent: pl.String = pa.Field(description="the agent, or (unknown)")
    task_type: pl.String = pa.Field(description="kind of task, or (all)")
    complexity: pl.String = pa.Field(description="trivial, standard, complex, (unknown) or (all)")
    synthetic: pl.Boolean = pa.Field(description="made by a simulator or stub")
    tasks: pl.Int64 = pa.Field(ge=1, description="tasks received in the hour")
    left_out: pl.Int64 = pa.Field(ge=0, description="tasks left out as invalid or outliers")
    finished: pl.Int64 = pa.Field(ge=0, description="tasks that ended")
    successes: pl.Int64 = pa.Field(ge=0, description="tasks that ended well")
    success_rate: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, metadata=_SHARE, description="successes / finished"
    )
    success_lower: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, metadata=_SHARE, description="lower end of its interval"
    )
    success_upper: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, metadata=_SHARE, description="upper end of its interval"
    )
    evaluated: pl.Int64 = pa.Field(ge=0, description="tasks with an overall score")
    quality: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, metadata=_SHARE, description="mean overall score"
    )
    quality_deviation: pl.Float64 = pa.Field(
        nullable=True, ge=0, metadata=_SHARE, description="standard deviation of scores"
    )
    quality_lower: pl.Float64 = pa.Field(
        nullable=True, metadata=_SHARE, description="lower end of the mean's interval"
    )
    quality_upper: pl.Float64 = pa.Field(
        nullable=True, metadata=_SHARE, description="upper end of the mean's interval"
    )
    timed: pl.Int64 = pa.Field(ge=0, description="tasks with a latency")
    latency_mean: pl.Float64 = pa.Field(nullable=True, ge=0, metadata=_MS, description="mean latency")
    latency_p50: pl.Float64 = pa.Field(nullable=True, ge=0, metadata=_MS, description="median latency")
    latency_p95: pl.Float64 = pa.Field(
        nullable=True, ge=0, metadata=_MS, description="95th percentile of latency"
    )
    latency_p99: pl.Float64 = pa.Field(
        nullable=True, ge=0, metadata=_MS, description="99th percentile of latency"
    )
    log_latency_mean: pl.Float64 = pa.Field(
        nullable=True, metadata={"unit": "ln ms"}, description="mean of log latency"
    )
    log_latency_deviation: pl.Float64 = pa.Field(
        nullable=True, ge=0, metadata={"unit": "ln ms"}, description="standard deviation of log latency"
    )
    tokens: pl.Int64 = pa.Field(ge=0, metadata=_TOKENS, description="tokens used")
    tokens_mean: pl.Float64 = pa.Field(
        nullable=True, ge=0, metadata=_TOKENS, description="mean tokens of a task"
    )
    cost_usd: pl.Float64 = pa.Field(ge=0, metadata=_USD, description="cost")
    cost_per_success_usd: pl.Float64 = pa.Field(
        nullable=True, ge=0, metadata=_USD, description="cost / successes"
    )
    tool_calls: pl.Int64 = pa.Field(ge=0, description="tool calls")
    tool_successes: pl.Int64 = pa.Field(ge=0, description="tool calls that succeeded")
    tool_success_rate: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, metadata=_SHARE, description="tool_successes / tool_calls"
    )
    tool_success_lower: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, metadata=_SHARE, description="lower end of its interval"
    )
    tool_success_upper: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, metadata=_SHARE, description="upper end of its interval"
    )

    class Config:
        strict = True


class AgentTrends(Hourly):
    """One comparison of an agent's hour with the 24 hours, or the 7 days, before it.

    Success by the two-proportion test, quality and log latency by Welch's; latency is compared by geometric means.
    """

    agent: pl.String = pa.Field(description="the agent")
    synthetic: pl.Boolean = pa.Field(description="made by a simulator or stub")
    metric: pl.String = pa.Field(isin=TREND_METRICS, description="what is compared")
    baseline: pl.String = pa.Field(
        isin=BASELINES, description="compared with the 24 hours, or the 7 days, before the hour"
    )
    tasks: pl.Int64 = pa.Field(ge=0, description="tasks of the hour")
    baseline_tasks: pl.Int64 = pa.Field(ge=0, description="tasks of the baseline")
    value: pl.Float64 = pa.Field(metadata={"unit": "0-1, latency ms"}, description="the hour's value")
    baseline_value: pl.Float64 = pa.Field(
        metadata={"unit": "0-1, latency ms"}, description="the baseline's value"
    )
    change: pl.Float64 = pa.Field(metadata={"unit": "0-1, latency ms"}, description="value - baseline_value")
    test: pl.String = pa.Field(isin=["two_proportions", "welch"], description="the test")
    statistic: pl.Float64 = pa.Field(
        nullable=True, description="z or t; null where there is no variation at all"
    )
    p_value: pl.Float64 = pa.Field(ge=0, le=1, description="two-sided")
    p_adjusted: pl.Float64 = pa.Field(
        ge=0, le=1, description="adjusted for the hour's comparisons (Benjamini-Hochberg)"
    )
    significant: pl.Boolean = pa.Field(description="p_adjusted is below the rate in telemetry.yaml")

    class Config:
        strict = True


class RoutingArms(Hourly):
    """What a bandit may know of an agent, task type and complexity at the end of the hour.

    Over the days of ``arms.window_days`` in telemetry.yaml. Beta(1 + successes, 1 + failures) is the posterior of
    the success rate under a flat prior; the reward is the overall score, its posterior under a flat prior on the mean
    is normal with ``posterior_mean`` and ``posterior_deviation`` (null with fewer than two rewards).
    """

    agent: pl.String = pa.Field(description="the agent")
    task_type: pl.String = pa.Field(description="kind of task")
    complexity: pl.String = pa.Field(description="trivial, standard, complex or (unknown)")
    synthetic: pl.Boolean = pa.Field(description="made by a simulator or stub")
    pulls: pl.Int64 = pa.Field(ge=0, description="finished tasks in the window")
    pulls_this_hour: pl.Int64 = pa.Field(ge=0, description="finished tasks in the hour")
    successes: pl.Int64 = pa.Field(ge=0, description="tasks that ended well")
    alpha: pl.Float64 = pa.Field(gt=0, description="first parameter of the Beta posterior")
    beta: pl.Float64 = pa.Field(gt=0, description="second parameter of the Beta posterior")
    rewards: pl.Int64 = pa.Field(ge=0, description="tasks with a reward")
    posterior_mean: pl.Float64 = pa.Field(nullable=True, metadata=_SHARE, description="mean reward")
    reward_deviation: pl.Float64 = pa.Field(
        nullable=True, ge=0, metadata=_SHARE, description="standard deviation of rewards"
    )
    posterior_deviation: pl.Float64 = pa.Field(
        nullable=True, ge=0, metadata=_SHARE, description="standard deviation of the mean's posterior"
    )

    class Config:
        strict = True


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


class CodeMetrics(Hourly):
    """Syntax trees of the code before and after, of one deep analysis (tree-sitter)."""

    event_id: pl.String = pa.Field(description="the deep analysis")
    task_id: pl.String = pa.Field(description="the task")
    agent: pl.String = pa.Field(nullable=True, description="whose work it is")
    synthetic: pl.Boolean = pa.Field(description="made by a simulator or stub")
    language: pl.String = pa.Field(nullable=True, description="language as parsed")
    state: pl.String = pa.Field(isin=CODE_STATES, description="whether there was something to measure")
    nodes_before: pl.Int64 = pa.Field(
        nullable=True, ge=0, description="named nodes of the syntax tree before"
    )
    nodes_after: pl.Int64 = pa.Field(nullable=True, ge=0, description="and after")
    depth_before: pl.Int64 = pa.Field(nullable=True, ge=0, description="depth of the tree before")
    depth_after: pl.Int64 = pa.Field(nullable=True, ge=0, description="and after")
    complexity_before: pl.Int64 = pa.Field(
        nullable=True, ge=0, description="decisions + functions (McCabe's number summed), at least 1, before"
    )
    complexity_after: pl.Int64 = pa.Field(nullable=True, ge=0, description="and after")
    functions_before: pl.Int64 = pa.Field(nullable=True, ge=0, description="functions before")
    functions_after: pl.Int64 = pa.Field(nullable=True, ge=0, description="and after")
    errors_before: pl.Int64 = pa.Field(nullable=True, ge=0, description="places that do not parse before")
    errors_after: pl.Int64 = pa.Field(nullable=True, ge=0, description="and after")
    similarity: pl.Float64 = pa.Field(
        nullable=True,
        ge=0,
        le=1,
        metadata=_SHARE,
        description="likeness of the two trees: Dice's coefficient of their parent-child paths, with texts of the leaves",
    )

    class Config:
        strict = True


class RetentionSteps(Hourly):
    """One hour of one table that retention moves or removes: shown first, done where ``applied``."""

    table_name: pl.String = pa.Field(description="the table")
    kept_hour: UtcInstant = pa.Field(description="the hour of rows concerned")
    step: pl.String = pa.Field(
        isin=["move_to_parquet", "remove_parquet", "remove_rows"], description="what is due"
    )
    rows: pl.Int64 = pa.Field(nullable=True, ge=0, description="rows concerned")
    file: pl.String = pa.Field(nullable=True, description="Parquet file, within the data folder")
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
