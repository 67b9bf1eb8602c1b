"""An hour's data points by agent: ``telemetry.agent_stats``.

What belongs here: one group-by over four grains, and intervals. What does not: comparing hours
(``trending``), arms (``arms``). Percentiles interpolate between neighbours, as ``quantile_cont`` does.
"""

from __future__ import annotations

import functools

import duckdb
import polars as pl

from pipeline.hours import Hour
from pipeline.telemetry.aggregate_tables import AGENT_STATS, EVERY, UNKNOWN
from pipeline.telemetry.statistics import Z95, student_quantile

LARGEST_TABULATED = 200
"""Above so many degrees of freedom, Student's quantile is its normal limit plus the first correction."""

_STATISTICS = f"""
    WITH points AS (
        SELECT coalesce(selected_agent, '{UNKNOWN}') AS agent, coalesce(task_type, '{UNKNOWN}') AS task_type,
            coalesce(complexity, '{UNKNOWN}') AS complexity, synthetic,
            flagged.task_id IS NOT NULL AS left_out,
            CASE WHEN flagged.task_id IS NULL THEN success END AS success,
            CASE WHEN flagged.task_id IS NULL THEN overall_score END AS score,
            CASE WHEN flagged.task_id IS NULL AND latency_ms > 0 THEN latency_ms END AS latency,
            CASE WHEN flagged.task_id IS NULL THEN tokens_total END AS tokens,
            CASE WHEN flagged.task_id IS NULL THEN cost_usd END AS cost,
            CASE WHEN flagged.task_id IS NULL THEN tool_calls ELSE 0 END AS tool_calls,
            CASE WHEN flagged.task_id IS NULL THEN tool_successes ELSE 0 END AS tool_successes
        FROM telemetry.data_points
        LEFT JOIN (
            SELECT DISTINCT task_id FROM telemetry.flagged_points WHERE hour = $hour AND left_out
        ) AS flagged USING (task_id)
        WHERE hour = $hour
    )
    SELECT concat_ws('_', 'agent', CASE WHEN grouping(task_type) = 0 THEN 'task_type' END,
            CASE WHEN grouping(complexity) = 0 THEN 'complexity' END) AS grain,
        agent, CASE WHEN grouping(task_type) = 1 THEN '{EVERY}' ELSE task_type END AS task_type,
        CASE WHEN grouping(complexity) = 1 THEN '{EVERY}' ELSE complexity END AS complexity, synthetic,
        count(*) AS tasks, count(*) FILTER (left_out) AS left_out,
        count(success) AS finished, count(*) FILTER (success) AS successes,
        count(score) AS evaluated, avg(score) AS quality, stddev_samp(score) AS quality_deviation,
        count(latency) AS timed, avg(latency) AS latency_mean,
        quantile_cont(latency, [0.5, 0.95, 0.99]) AS latencies,
        avg(ln(latency)) AS log_latency_mean, stddev_samp(ln(latency)) AS log_latency_deviation,
        coalesce(sum(tokens), 0)::BIGINT AS tokens, avg(tokens) AS tokens_mean,
        coalesce(sum(cost), 0) AS cost_usd, sum(tool_calls)::BIGINT AS tool_calls,
        sum(tool_successes)::BIGINT AS tool_successes
    FROM points
    GROUP BY GROUPING SETS (
        (agent, synthetic), (agent, synthetic, task_type), (agent, synthetic, complexity),
        (agent, synthetic, task_type, complexity)
    )
    ORDER BY grain, agent, task_type, complexity, synthetic
"""


def summarise_agents(connection: duckdb.DuckDBPyConnection, hour: Hour) -> pl.DataFrame:
    """Rows of ``telemetry.agent_stats`` from the hour's data points and flags."""
    grouped = connection.execute(_STATISTICS, {"hour": hour.start}).pl()
    percentiles = {
        name: pl.col("latencies").list.get(place, null_on_oob=True)
        for place, name in enumerate(("latency_p50", "latency_p95", "latency_p99"))
    }
    rows = with_intervals(grouped.with_columns(hour=pl.lit(hour.start), **percentiles))
    return rows.select(list(AGENT_STATS.polars_schema)).cast(AGENT_STATS.polars_schema)  # type: ignore[arg-type]


def with_intervals(grouped: pl.DataFrame) -> pl.DataFrame:
    """Adds shares with Wilson intervals, the mean's Student interval and the cost of a success."""
    half = pl.col("evaluated").map_elements(_mean_reach, return_dtype=pl.Float64) * pl.col(
        "quality_deviation"
    )
    return grouped.with_columns(
        **_share("success", "successes", "finished"),
        **_share("tool_success", "tool_successes", "tool_calls"),
        success_rate=_divided("successes", "finished"),
        tool_success_rate=_divided("tool_successes", "tool_calls"),
        quality_lower=pl.col("quality") - half,
        quality_upper=pl.col("quality") + half,
        cost_per_success_usd=_divided("cost_usd", "successes"),
    )


def _divided(above: str, below: str) -> pl.Expr:
    return pl.when(pl.col(below) > 0).then(pl.col(above) / pl.col(below))


def _share(name: str, above: str, below: str) -> dict[str, pl.Expr]:
    """Wilson's interval (``statistics.wilson_interval``) as expressions, null where nothing was counted."""
    count, share, square = pl.col(below).cast(pl.Float64), _divided(above, below), Z95 * Z95
    centre = (share + square / (2 * count)) / (1 + square / count)
    half = Z95 * (share * (1 - share) / count + square / (4 * count * count)).sqrt() / (1 + square / count)
    return {
        f"{name}_lower": (centre - half).clip(0, 1),
        f"{name}_upper": (centre + half).clip(0, 1),
    }


@functools.cache
def _mean_reach(count: int) -> float | None:
    """Half the 95 % interval of a mean, in standard deviations; none for fewer than two values."""
    if count < 2:
        return None
    degrees = count - 1
    quantile = (
        student_quantile(degrees) if degrees <= LARGEST_TABULATED else Z95 + (Z95**3 + Z95) / (4 * degrees)
    )
    return float(quantile / count**0.5)
