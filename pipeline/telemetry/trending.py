"""An agent's hour against the day and the week before it: ``telemetry.agent_trends``.

What belongs here: pooling earlier hours' summaries and choosing the test. What does not: the tests' formulas
(``statistics``). Only ``telemetry.agent_stats`` is read, so that comparisons outlive the events.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import duckdb
import polars as pl

from pipeline.hours import Hour
from pipeline.settings.telemetry import Trends
from pipeline.telemetry.aggregate_tables import AGENT_TRENDS
from pipeline.telemetry.statistics import Sample, Tested, false_discovery_adjusted, two_proportions, welch

BASELINE_HOURS = {"previous_day": 24, "previous_week": 24 * 7}

# Pooled variance of several hours: what varies within hours and between their means.
_POOLED = """
    WITH hours AS (
        SELECT agent, synthetic, finished, successes, evaluated AS n, quality AS m,
            coalesce(quality_deviation, 0) AS d,
            timed AS ln, log_latency_mean AS lm, coalesce(log_latency_deviation, 0) AS ld
        FROM telemetry.agent_stats WHERE grain = 'agent' AND hour >= $start AND hour < $end
    ),
    sums AS (
        SELECT agent, synthetic, sum(finished)::BIGINT AS finished, sum(successes)::BIGINT AS successes,
            sum(n)::BIGINT AS n, sum(n * m) AS s, sum((n - 1) * d * d + n * m * m) FILTER (n > 0) AS q,
            sum(ln)::BIGINT AS ln, sum(ln * lm) AS ls,
            sum((ln - 1) * ld * ld + ln * lm * lm) FILTER (ln > 0) AS lq
        FROM hours GROUP BY ALL
    )
    SELECT agent, synthetic, finished, successes, n, s / nullif(n, 0) AS mean,
        CASE WHEN n > 1 THEN sqrt(greatest(0, (q - s * s / n) / (n - 1))) END AS deviation,
        ln AS timed, ls / nullif(ln, 0) AS log_mean,
        CASE WHEN ln > 1 THEN sqrt(greatest(0, (lq - ls * ls / ln) / (ln - 1))) END AS log_deviation
    FROM sums ORDER BY agent, synthetic
"""


def compare_agents(connection: duckdb.DuckDBPyConnection, hour: Hour, settings: Trends) -> pl.DataFrame:
    """Rows of ``telemetry.agent_trends``: each agent, metric and baseline with enough tasks."""
    present = _pooled(connection, hour, 0)
    rows = [
        {"hour": hour.start, "agent": agent, "synthetic": synthetic, "baseline": baseline, **comparison}
        for baseline, hours in BASELINE_HOURS.items()
        for (agent, synthetic), before in _pooled(connection, hour, hours).items()
        if (agent, synthetic) in present
        for comparison in _comparisons(present[agent, synthetic], before, settings.minimum_tasks)
    ]
    adjusted = false_discovery_adjusted([row["p_value"] for row in rows])
    for row, value in zip(rows, adjusted, strict=True):
        row.update(p_adjusted=value, significant=value < settings.false_discovery_rate)
    return AGENT_TRENDS.frame(rows).sort("agent", "synthetic", "metric", "baseline")


def _pooled(
    connection: duckdb.DuckDBPyConnection, hour: Hour, hours: int
) -> dict[tuple[str, bool], dict[str, Any]]:
    """Summaries per agent of the ``hours`` before ``hour``; with 0, of the hour itself."""
    start, end = (hour.start - timedelta(hours=hours), hour.start) if hours else (hour.start, hour.end)
    frame = connection.execute(_POOLED, {"start": start, "end": end}).pl()
    return {(row["agent"], row["synthetic"]): row for row in frame.iter_rows(named=True)}


def _comparisons(now: dict[str, Any], before: dict[str, Any], minimum: int) -> list[dict[str, Any]]:
    found = []
    if min(now["finished"], before["finished"]) >= minimum:
        tested = two_proportions(now["successes"], now["finished"], before["successes"], before["finished"])
        values = (now["successes"] / now["finished"], before["successes"] / before["finished"])
        found.append(
            _row("success_rate", "two_proportions", tested, values, (now["finished"], before["finished"]))
        )
    for metric, count, mean, deviation in (
        ("quality", "n", "mean", "deviation"),
        ("latency", "timed", "log_mean", "log_deviation"),
    ):
        if min(now[count], before[count]) < minimum:
            continue
        tested = welch(
            Sample(now[count], now[mean], now[deviation]),
            Sample(before[count], before[mean], before[deviation]),
        )
        values = (now[mean], before[mean])
        if metric == "latency":
            values = (math.exp(values[0]), math.exp(values[1]))
        found.append(_row(metric, "welch", tested, values, (now[count], before[count])))
    return found


def _row(
    metric: str, test: str, tested: Tested, values: tuple[float, float], counts: tuple[int, int]
) -> dict[str, Any]:
    return {
        "metric": metric,
        "test": test,
        "tasks": counts[0],
        "baseline_tasks": counts[1],
        "value": values[0],
        "baseline_value": values[1],
        "change": values[0] - values[1],
        "statistic": tested.statistic if math.isfinite(tested.statistic) else None,
        "p_value": min(1.0, max(0.0, tested.p_value)),
    }
