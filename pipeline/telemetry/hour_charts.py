"""Plots of the hour: volume, success and latency per agent, cost, rejected and missed targets.

What belongs here: which columns are drawn. What does not: drawing (``pipeline.plots``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import polars as pl

from pipeline.plots import bars

MOST_AGENTS = 20


def agent_stats(frame: pl.DataFrame) -> Mapping[str, str]:
    """Volume, success, latency and cost per agent, busiest first; synthetic rows in pictures of their own."""
    return _apart(frame.filter(pl.col("grain") == "agent"), _per_agent)


def _per_agent(frame: pl.DataFrame, mark: str) -> Mapping[str, str]:
    agents = frame.sort("tasks", descending=True).head(MOST_AGENTS)
    drawn = {
        "volume": ("Tasks per agent", "tasks", "tasks"),
        "success": ("Success rate per agent", "success_rate", "share from 0 to 1"),
        "latency": ("Latency per agent, 95th percentile", "latency_p95", "ms"),
        "cost": ("Cost per agent", "cost_usd", "USD"),
    }
    return {
        key: bars(f"{title}{mark}", agents["agent"].to_list(), agents[column].to_list(), unit=unit)
        for key, (title, column, unit) in drawn.items()
    }


def collection_metrics(frame: pl.DataFrame) -> Mapping[str, str]:
    """Volume of the hour, and what of it was rejected, doubled, missing or not written."""
    return _apart(frame, _volume)


def _volume(frame: pl.DataFrame, mark: str) -> Mapping[str, str]:
    row = frame.row(0, named=True)
    # Apart, since a hundred rejected events are not seen beside a million good ones.
    wrong = ["rejected_events", "duplicate_events", "events_missing", "events_failed"]
    volume = ["tasks_this_hour", "events_this_hour"]
    return {
        "volume": bars(f"Volume of the hour{mark}", *_drawn(row, volume), unit="tasks, events"),
        "rejected": bars(
            f"What went wrong with {row['events_this_hour']:,} events{mark}",
            *_drawn(row, wrong),
            unit="events",
        ),
    }


def _drawn(row: Mapping[str, Any], names: list[str]) -> tuple[list[str], list[int]]:
    return [name.replace("_", " ") for name in names], [row[name] for name in names]


def routing_arms(frame: pl.DataFrame) -> Mapping[str, str]:
    """The arms with the most pulls and their mean rewards."""
    return _apart(frame, _arms)


def _arms(frame: pl.DataFrame, mark: str) -> Mapping[str, str]:
    arms = frame.sort("pulls", descending=True).head(MOST_AGENTS)
    names = [" · ".join(row) for row in arms.select("agent", "task_type", "complexity").iter_rows()]
    return {
        "mean reward per arm": bars(
            f"Mean reward per arm{mark}", names, arms["posterior_mean"].to_list(), unit="reward from 0 to 1"
        )
    }


def _apart(frame: pl.DataFrame, draw: Callable[[pl.DataFrame, str], Mapping[str, str]]) -> dict[str, str]:
    """The pictures of real rows, then those of synthetic ones; none of what has no rows."""
    pictures: dict[str, str] = {}
    for synthetic, mark in ((False, ""), (True, " (synthetic)")):
        rows = frame.filter(pl.col("synthetic") == synthetic)
        if rows.height:
            pictures |= {f"{key}{mark}": picture for key, picture in draw(rows, mark).items()}
    return pictures
