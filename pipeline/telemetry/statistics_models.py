"""Models of an hour's statistics: flags, statistics by agent, trends, arms, code.

What belongs here: one pandera model per such table. What does not: metrics and alerts, and the ``Table`` records
(``aggregate_tables``).
"""

from __future__ import annotations

import pandera.polars as pa
import polars as pl

from pipeline.warehouse.tables import UtcInstant

GRAINS = ["agent", "agent_task_type", "agent_complexity", "agent_task_type_complexity"]
EVERY = "(all)"
"""Stands in a dimension's column where a row sums over that dimension."""

UNKNOWN = "(unknown)"
"""Stands for an agent, task type or complexity that no event named."""

FLAG_FIELDS = ["latency_ms", "tokens_total", "consistency"]
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
