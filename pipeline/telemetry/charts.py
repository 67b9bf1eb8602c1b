"""Plots of what was loaded.

What belongs here: which columns are drawn. What does not: drawing (``pipeline.plots``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from pipeline.plots import bars, histogram, lines


def event_counts(frame: pl.DataFrame) -> Mapping[str, str]:
    """Events by kind, and by minute."""
    kinds = frame.group_by("kind").agg(pl.col("loaded").sum()).sort("loaded", descending=True)
    minutes = frame.pivot(on="kind", index="minute", values="loaded", aggregate_function="sum").sort("minute")
    series: dict[str, Sequence[float | None]] = {
        name: minutes[name].to_list() for name in minutes.columns if name != "minute"
    }
    return {
        "events by kind": bars(
            "Events by kind", kinds["kind"].to_list(), kinds["loaded"].to_list(), unit="events"
        ),
        "events by minute": lines(
            "Events by minute", [f":{minute:02d}" for minute in minutes["minute"]], series, unit="events"
        ),
    }


def recorder_processes(frame: pl.DataFrame) -> Mapping[str, str]:
    """What became of the lines: loaded, duplicates, rejected, waiting, missing."""
    names = ["loaded", "duplicates", "rejected", "waiting", "gap"]
    totals = [int(frame[name].sum()) for name in names]
    return {"what became of the events": bars("What became of the events", names, totals, unit="events")}


def rejected_events(frame: pl.DataFrame) -> Mapping[str, str]:
    """Rejected lines by reason."""
    reasons = frame["reason"].value_counts(sort=True)
    return {
        "rejected by reason": bars(
            "Rejected by reason", reasons["reason"].to_list(), reasons["count"].to_list(), unit="lines"
        )
    }


def data_points(frame: pl.DataFrame) -> Mapping[str, str]:
    """Tasks per agent, and the scores of those that were evaluated."""
    agents = frame["selected_agent"].fill_null("none").value_counts(sort=True).head(20)
    scores = frame["overall_score"].drop_nulls().to_list()
    return {
        "tasks per agent": bars(
            "Tasks per agent", agents["selected_agent"].to_list(), agents["count"].to_list(), unit="tasks"
        ),
        **({"overall scores": histogram("Overall scores", scores, low=0, high=1)} if scores else {}),
    }
