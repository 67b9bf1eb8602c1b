"""What a bandit may know at the end of an hour: ``telemetry.routing_arms``.

What belongs here: pooling the summaries of the window into posteriors. What does not: choosing an agent;
that is the application's, and ``policies`` judges it offline.
"""

from __future__ import annotations

from datetime import timedelta

import duckdb
import polars as pl

from pipeline.hours import Hour
from pipeline.settings.telemetry import Arms
from pipeline.telemetry.aggregate_tables import ROUTING_ARMS

_ARMS = """
    WITH arms AS (
        SELECT agent, task_type, complexity, synthetic, sum(finished)::BIGINT AS pulls,
            coalesce(sum(finished) FILTER (hour = $hour), 0)::BIGINT AS pulls_this_hour,
            sum(successes)::BIGINT AS successes, sum(evaluated)::BIGINT AS rewards,
            sum(evaluated * quality) AS total,
            sum((evaluated - 1) * coalesce(quality_deviation, 0) ** 2 + evaluated * quality ** 2)
                FILTER (evaluated > 0) AS squares
        FROM telemetry.agent_stats
        WHERE grain = 'agent_task_type_complexity' AND hour >= $start AND hour <= $hour
        GROUP BY agent, task_type, complexity, synthetic
    )
    SELECT $hour::TIMESTAMPTZ AS hour, agent, task_type, complexity, synthetic, pulls,
        pulls_this_hour, successes,
        1.0 + successes AS alpha, 1.0 + pulls - successes AS beta, rewards,
        total / nullif(rewards, 0) AS posterior_mean,
        CASE WHEN rewards > 1 THEN sqrt(greatest(0, (squares - total * total / rewards) / (rewards - 1))) END
            AS reward_deviation,
        reward_deviation / sqrt(nullif(rewards, 0)) AS posterior_deviation
    FROM arms ORDER BY agent, task_type, complexity, synthetic
"""


def pool_arms(connection: duckdb.DuckDBPyConnection, hour: Hour, settings: Arms) -> pl.DataFrame:
    """Rows of ``telemetry.routing_arms``: every arm of the window that ends with the hour."""
    start = hour.end - timedelta(days=settings.window_days)
    rows = connection.execute(_ARMS, {"hour": hour.start, "start": start}).pl()
    return rows.cast(ROUTING_ARMS.polars_schema)  # type: ignore[arg-type]
