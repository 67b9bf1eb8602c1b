"""Which data points statistics leave out, and which are merely odd.

What belongs here: the rules, as one query over an hour's data points. What does not: statistics
(``aggregating``). Nothing is deleted: a remark is a row of ``telemetry.flagged_points``.

Invalid: a latency or token count of an ended task that is not above 0. Outlier: a value whose logarithm lies
further from the median of its agent and task type than so many robust deviations (1.4826 times the median
absolute deviation; Leys et al. 2013, "Detecting outliers"); groups below the minimum sample, and groups half
of whose values are equal, have none. A cut at the 99th percentile would drop a
hundredth of good data at each pass.
"""

from __future__ import annotations

import duckdb
import polars as pl

from pipeline.hours import Hour
from pipeline.settings.telemetry import Cleaning
from pipeline.telemetry.aggregate_tables import FLAGGED_POINTS, UNKNOWN

NORMAL_CONSISTENT = 1.4826
"""Turns a median absolute deviation into a standard deviation, for normal data."""

_POINTS = f"""
    SELECT task_id, synthetic, coalesce(selected_agent, '{UNKNOWN}') AS agent,
        coalesce(task_type, '{UNKNOWN}') AS task_type, success IS NOT NULL AS ended,
        latency_ms, tokens_total::DOUBLE AS tokens_total, validation_warnings
    FROM telemetry.data_points WHERE hour = $hour
"""

_FLAGS = f"""
    WITH points AS ({_POINTS}),
    logs AS (
        SELECT synthetic, agent, task_type, CASE WHEN latency_ms > 0 THEN ln(latency_ms) END AS latency,
            CASE WHEN tokens_total > 0 THEN ln(tokens_total) END AS tokens
        FROM points
    ),
    bounds AS (
        SELECT synthetic, agent, task_type, count(latency) AS latency_count, count(tokens) AS token_count,
            median(latency) AS latency_middle, mad(latency) AS latency_spread,
            median(tokens) AS token_middle, mad(tokens) AS token_spread
        FROM logs GROUP BY ALL
    ),
    limits AS (
        SELECT synthetic, agent, task_type,
            CASE WHEN latency_count >= $sample AND latency_spread > 0
                THEN [exp(latency_middle - $reach * latency_spread),
                      exp(latency_middle + $reach * latency_spread)] END AS latency_limits,
            CASE WHEN token_count >= $sample AND token_spread > 0
                THEN [exp(token_middle - $reach * token_spread),
                      exp(token_middle + $reach * token_spread)] END AS token_limits
        FROM bounds
    ),
    judged AS (
        SELECT task_id, synthetic, agent, task_type, ended, unnest([
            {{'field': 'latency_ms', 'value': latency_ms, 'limits': latency_limits}},
            {{'field': 'tokens_total', 'value': tokens_total, 'limits': token_limits}}
        ], recursive := true)
        FROM points JOIN limits USING (synthetic, agent, task_type)
        WHERE NOT (latency_ms > 0 AND tokens_total > 0)
            OR NOT latency_ms BETWEEN latency_limits[1] AND latency_limits[2]
            OR NOT tokens_total BETWEEN token_limits[1] AND token_limits[2]
    )
    SELECT task_id, synthetic, agent, task_type, field,
        CASE WHEN value <= 0 THEN 'not_positive' WHEN value < limits[1] THEN 'too_low' ELSE 'too_high' END
            AS reason,
        true AS left_out, value, limits[1] AS lower, limits[2] AS upper
    FROM judged
    WHERE (value <= 0 AND ended) OR (value > 0 AND NOT value BETWEEN limits[1] AND limits[2])
    UNION ALL
    SELECT task_id, synthetic, agent, task_type, 'consistency', unnest(list_distinct(validation_warnings)),
        false, NULL, NULL, NULL
    FROM points WHERE len(validation_warnings) > 0
    ORDER BY task_id, field, reason
"""


def flag_points(connection: duckdb.DuckDBPyConnection, hour: Hour, settings: Cleaning) -> pl.DataFrame:
    """The remarks on the hour's data points, as rows of ``telemetry.flagged_points``."""
    values = {
        "hour": hour.start,
        "sample": settings.minimum_sample,
        "reach": settings.outlier_deviations * NORMAL_CONSISTENT,
    }
    found = connection.execute(_FLAGS, values).pl()
    rows = found.select(pl.lit(hour.start).alias("hour"), *(pl.col(name) for name in found.columns))
    return rows.cast(FLAGGED_POINTS.polars_schema)  # type: ignore[arg-type]


def count_flags(flags: pl.DataFrame) -> pl.DataFrame:
    """Remarks by field and reason: ``field, reason, left_out, tasks, agents``, most first."""
    return (
        flags.group_by("field", "reason", "left_out")
        .agg(tasks=pl.col("task_id").n_unique(), agents=pl.col("agent").n_unique())
        .sort("tasks", "field", "reason", descending=[True, False, False])
    )
