"""Plots of the hour: volume, success and latency per agent, cost, rejected and missed targets.

What belongs here: which columns are drawn. What does not: drawing (``pipeline.plots``).
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from pipeline.plots import bars

MOST_AGENTS = 20


def agent_stats(frame: pl.DataFrame) -> Mapping[str, str]:
    """Volume, success, latency and cost per agent, busiest first."""
    agents = frame.filter(pl.col("grain") == "agent").sort("tasks", descending=True).head(MOST_AGENTS)
    mark = pl.when(pl.col("synthetic")).then(pl.lit(" (synthetic)")).otherwise(pl.lit(""))
    names = agents.select(pl.col("agent") + mark).to_series().to_list()
    drawn = {
        "volume": ("Tasks per agent", "tasks", "tasks"),
        "success": ("Success rate per agent", "success_rate", "0-1"),
        "latency": ("Latency per agent, 95th percentile", "latency_p95", "ms"),
        "cost": ("Cost per agent", "cost_usd", "USD"),
    }
    return {
        key: bars(title, names, agents[column].to_list(), unit=unit)
        for key, (title, column, unit) in drawn.items()
    }


def collection_metrics(frame: pl.DataFrame) -> Mapping[str, str]:
    """What became of the hour's events, real and synthetic together."""
    names = ["events_this_hour", "rejected_events", "duplicate_events", "events_missing", "events_failed"]
    totals = [int(frame[name].sum()) for name in names]
    return {"events and rejected": bars("Events of the hour", names, totals, unit="events")}


def routing_arms(frame: pl.DataFrame) -> Mapping[str, str]:
    """The arms with the most pulls and their mean rewards."""
    arms = frame.sort("pulls", descending=True).head(MOST_AGENTS)
    names = [" · ".join(row) for row in arms.select("agent", "task_type", "complexity").iter_rows()]
    return {"mean reward per arm": bars("Mean reward per arm", names, arms["posterior_mean"].to_list())}
