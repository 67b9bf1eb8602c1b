"""Data points: each task with all its events joined, also over the ends of hours.

What belongs here: which hour a task belongs to, and joining its events. What does not: judging the joined
point (``validating``), reading segments.

A task belongs to the hour in which it was first received; one that was never received, to the hour of its
first event. Its other events are looked for ``horizon`` hours on and back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

import polars as pl

from pipeline.capture.events import TASK_KINDS
from pipeline.hours import Hour
from pipeline.telemetry.archive import Archive
from pipeline.telemetry.event_models import RUBRIC_PARTS
from pipeline.telemetry.projecting import join_executions, projected

_OVERVIEW = """
SELECT subject, count(DISTINCT event_id) AS event_count,
       count(DISTINCT event_id) FILTER (kind = 'event_quarantined') AS quarantined_events,
       bool_or(synthetic) AS synthetic, bool_or(after_load) AS late,
       min(happened_at) AS first_at, max(happened_at) AS last_at,
       min(happened_at) FILTER (kind = 'task_received') AS received_at
FROM events WHERE kind IN (SELECT unnest($kinds)) {among} GROUP BY subject
"""

KINDS = (*TASK_KINDS, "event_quarantined")
"""Kinds of events that belong to a task; the last stands for one that privacy's door kept back."""

_COLUMNS: dict[str, tuple[str, ...]] = {
    "task_received": ("task_type", "complexity", "session_id"),
    "routing_decided": ("agent", "strategy", "confidence", "propensity", "explored", "candidate_count"),
    "executions": (
        "execution_id",
        "agent",
        "agent_version",
        "model",
        "attempt",
        "has_start",
        "has_end",
        "started_at",
        "completed_at",
        "success",
        "failure_reason",
        "latency_ms",
        "time_to_first_action_ms",
        "tokens_total",
        "tokens_input",
        "tokens_output",
        "tokens_cached",
        "tokens_reasoning",
        "tokens_tool",
        "cost_usd",
    ),
    "tool_called": ("outcome",),
    "evaluation_finished": (
        "overall_score",
        "compliant",
        *(f"rubric_{part}" for part in RUBRIC_PARTS),
        "reward_total",
        "within_budget",
    ),
    "deep_analysis": (),
}
"""Columns of each part that a data point needs, beside task_id, event_id and happened_at."""

PARTS = tuple(_COLUMNS)
ID = ("task_id", "event_id", "happened_at")
_SUMS = (*(name for name in _COLUMNS["executions"] if name.startswith("tokens_")), "cost_usd")
_LAST = ("agent_version", "model", "success", "failure_reason", "latency_ms", "time_to_first_action_ms")


def part_columns(part: str) -> tuple[str, ...]:
    """The columns of a part that joining needs."""
    return (*ID, *_COLUMNS[part])


def overview(archive: Archive, *hours: Hour, among: pl.DataFrame | None = None) -> pl.DataFrame:
    """Per task (``subject``) what the hours hold: event_count, quarantined_events, synthetic, late,
    first_at, last_at, received_at."""
    with archive.reading(*hours) as connection:
        if connection is None:
            return pl.DataFrame(schema=_OVERVIEW_SCHEMA)
        if among is not None:
            connection.register("among", among)
        clause = "" if among is None else "AND subject IN (SELECT subject FROM among)"
        found = connection.execute(_OVERVIEW.format(among=clause), {"kinds": list(KINDS)}).pl()
    return found.cast(_OVERVIEW_SCHEMA)  # type: ignore[arg-type]


_OVERVIEW_SCHEMA: dict[str, pl.DataType] = {
    "subject": pl.String(),
    "event_count": pl.Int64(),
    "quarantined_events": pl.Int64(),
    "synthetic": pl.Boolean(),
    "late": pl.Boolean(),
    "first_at": pl.Datetime("us", "UTC"),
    "last_at": pl.Datetime("us", "UTC"),
    "received_at": pl.Datetime("us", "UTC"),
}


def neighbours(hour: Hour, horizon: int) -> list[Hour]:
    """The hours around ``hour`` in which events of its tasks are looked for."""
    steps = [step for step in range(-horizon, horizon + 1) if step]
    return [Hour(hour.start + timedelta(hours=step)) for step in steps]


def members(archive: Archive, hour: Hour, horizon: int) -> tuple[pl.DataFrame, list[Hour]]:
    """The tasks that belong to ``hour``, over all their events, and the other hours that have some of
    these."""
    own = overview(archive, hour)
    if not own.height:
        return own, []
    parts, elsewhere = [own], []
    for other in neighbours(hour, horizon):
        found = overview(archive, other, among=own.select("subject"))
        if found.height:
            parts.append(found)
            elsewhere.append(other)
    whole = (
        pl.concat(parts)
        .group_by("subject")
        .agg(
            pl.col("event_count", "quarantined_events").sum(),
            pl.col("synthetic", "late").any(),
            pl.col("first_at", "received_at").min(),
            pl.col("last_at").max(),
        )
    )
    start = pl.coalesce("received_at", "first_at")
    belonging = whole.filter((start >= hour.start) & (start < hour.end)).sort("subject")
    return belonging, elsewhere


def following(archive: Archive, hours: Sequence[Hour], tasks: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """The parts (``PARTS``) that other hours hold of ``tasks`` (column ``subject``)."""
    parts: dict[str, pl.DataFrame] = {}
    for part in PARTS if hours else ():
        if part == "executions":
            started = projected(archive, "execution_started", *hours, subjects=tasks)
            completed = projected(archive, "execution_completed", *hours, subjects=tasks)
            if started is not None and completed is not None:
                parts[part] = join_executions(started, completed).select(part_columns(part))
        else:
            found = projected(archive, part, *hours, subjects=tasks)
            if found is not None:
                parts[part] = found.select(part_columns(part))
    return parts


def join_points(tasks: pl.DataFrame, parts: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """One row per task of ``tasks`` (as ``members`` gives them) with the columns of a data point joined.

    ``parts`` are frames by ``PARTS``; events of other tasks in them are left alone. Of several routings,
    evaluations and executions the last counts (of direct routings, in which nobody chose, the first, and
    only where there is no other); tokens and cost are sums over all executions.
    """
    key = tasks.select(task_id="subject")
    of_tasks = {
        part: frame.join(key, on="task_id", how="semi").sort("happened_at", "event_id")
        for part, frame in parts.items()
    }
    received = of_tasks["task_received"].group_by("task_id").agg(pl.col(*_COLUMNS["task_received"]).first())
    routed = (
        _by_weight(of_tasks["routing_decided"])
        .group_by("task_id")
        .agg(pl.col(*_COLUMNS["routing_decided"]).last(), routed_at=pl.col("happened_at").last())
        .rename({"agent": "routed_agent"})
    )
    evaluated = (
        of_tasks["evaluation_finished"]
        .group_by("task_id")
        .agg(pl.col(*_COLUMNS["evaluation_finished"]).last(), evaluated_at=pl.col("happened_at").last())
    )
    called = (
        of_tasks["tool_called"]
        .group_by("task_id")
        .agg(
            tool_calls=pl.len().cast(pl.Int64),
            tool_successes=(pl.col("outcome") == "success").sum().cast(pl.Int64),
        )
    )
    analysed = of_tasks["deep_analysis"].group_by("task_id").agg(deep_analyses=pl.len().cast(pl.Int64))
    joined = tasks.rename({"subject": "task_id", "last_at": "last_event_at"})
    for frame in (received, routed, _executed(of_tasks["executions"]), evaluated, called, analysed):
        joined = joined.join(frame, on="task_id", how="left")
    return joined.with_columns(
        pl.col("attempts", "tool_calls", "tool_successes", "deep_analyses").fill_null(0),
        selected_agent=pl.coalesce("routed_agent", "worked_agent"),
        evaluated=pl.col("evaluated_at").is_not_null(),
    )


def _by_weight(routings: pl.DataFrame) -> pl.DataFrame:
    """Routings with the one that counts last in each task."""
    direct = pl.col("strategy") == "direct"
    return pl.concat([routings.filter(direct).reverse(), routings.filter(~direct)])


def _executed(executions: pl.DataFrame) -> pl.DataFrame:
    """Per task what its executions come to; a start and an end in different hours are one execution."""
    shared = [name for name in _COLUMNS["executions"] if name not in ("execution_id", "has_start", "has_end")]
    whole = executions.group_by("task_id", "execution_id", maintain_order=True).agg(
        # ends come after starts, and a start knows less: of each column the last value that is known
        *(pl.col(name).drop_nulls().last() for name in shared if name != "started_at"),
        pl.col("started_at").min(),
        pl.col("has_end").any(),
        pl.col("happened_at").max(),
    )
    elapsed = (pl.col("completed_at") - pl.col("started_at")).dt.total_microseconds() / 1000
    timed = whole.with_columns(latency_ms=pl.coalesce("latency_ms", pl.when(elapsed >= 0).then(elapsed)))
    ordered = timed.sort("attempt", "happened_at", "execution_id")
    ended = (
        ordered.filter("has_end")
        .group_by("task_id")
        .agg(pl.col(*_LAST).last(), pl.col("completed_at").last())
    )
    started = ordered.group_by("task_id").agg(
        attempts=pl.len().cast(pl.Int64),
        unfinished=(~pl.col("has_end")).sum().cast(pl.Int64),
        worked_agent=pl.col("agent").last(),
        last_ended=pl.col("has_end").last(),
        started_at=pl.col("started_at").min(),
        **{name: pl.when(pl.col(name).count() > 0).then(pl.col(name).sum()) for name in _SUMS},
    )
    return started.join(ended, on="task_id", how="left")
