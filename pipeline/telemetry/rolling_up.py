"""What the spans below an execution add up to: its tokens, cost, tools and model.

What belongs here: adding up spans by their nearest execution. What does not: what a span means
(``pipeline.capture.otel``). An exporter sends spans in any number of batches and children before their
parents, so that nothing can be added up where spans arrive; it is done when an hour is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from pipeline.capture.otel.spans import SPAN_KIND
from pipeline.hours import Hour
from pipeline.telemetry.archive import Archive
from pipeline.telemetry.projecting import projected

DEEPEST = 200
"""Spans between a call and its execution; a parent that is its own ancestor ends here too."""

_TOKENS = ("input", "output", "cached", "reasoning")
_SUMMED = (*(f"tokens_{part}" for part in _TOKENS), "cost_usd")
_FILLED = ("model", *_SUMMED, "tokens_total", "tokens_tool", "tool_call_count")


def span_parts(archive: Archive, hours: Sequence[Hour], tasks: pl.Series) -> pl.DataFrame | None:
    """Spans of ``tasks`` in the hours (``task_id, happened_at, trace_id, span_id, parent_span_id,
    operation, model``, tokens and cost); none where there are none."""
    found = projected(archive, SPAN_KIND, *hours, subjects=pl.DataFrame({"subject": tasks.unique()}))
    return None if found is None or found.is_empty() else found


def roll_up(executions: pl.DataFrame, spans: pl.DataFrame | None) -> pl.DataFrame:
    """``executions`` that ended, with what they do not state themselves added up from the spans below.

    A span counts for the nearest execution above it (or itself). Of model calls within model calls, as where
    a framework and its client are both instrumented, the outermost that states tokens counts. Columns that
    ``executions`` lack are left out; stated values stay.
    """
    columns = [name for name in _FILLED if name in executions.columns]
    ended = executions.filter("has_end").select("task_id", "execution_id").unique()
    if spans is None or ended.is_empty():
        return executions
    below = _nearest(spans, ended)
    models = below.filter(operation="model")
    added = ended.join(
        models.group_by("task_id", "execution_id").agg(
            pl.col("model").drop_nulls().first().cast(pl.String),
            *(pl.when(pl.col(name).count() > 0).then(pl.col(name).sum()) for name in _SUMMED),
        ),
        on=["task_id", "execution_id"],
        how="left",
    ).join(
        below.group_by("task_id", "execution_id").agg(
            tool_call_count=(pl.col("operation") == "tool").sum().cast(pl.Int64)
        ),
        on=["task_id", "execution_id"],
        how="left",
    )
    stated = pl.col("tokens_input").is_not_null()
    added = added.with_columns(
        tokens_total=pl.when(stated).then(pl.col("tokens_input") + pl.col("tokens_output")),
        tokens_tool=pl.when(stated).then(pl.lit(0, dtype=pl.Int64)),
    )
    joined = executions.join(
        added.select("task_id", "execution_id", *(pl.col(name).alias(f"{name}_below") for name in columns)),
        on=["task_id", "execution_id"],
        how="left",
        maintain_order="left",
    )
    return joined.with_columns(
        pl.when("has_end").then(pl.coalesce(name, f"{name}_below")).otherwise(pl.col(name)).alias(name)
        for name in columns
    ).select(executions.columns)


def _nearest(spans: pl.DataFrame, executions: pl.DataFrame) -> pl.DataFrame:
    """Model and tool spans with the ``execution_id`` of the nearest execution upwards."""
    known = spans.unique(["trace_id", "span_id"], keep="first", maintain_order=True)
    above = known.select(
        "trace_id",
        at="span_id",
        next_up="parent_span_id",
        counts_already=(pl.col("operation") == "model") & pl.col("tokens_input").is_not_null(),
    )
    targets = executions.select("task_id", at="execution_id", execution_id="execution_id")
    waiting = known.filter(pl.col("operation").is_in(["model", "tool"])).with_columns(at="span_id")
    found = []
    for _ in range(DEEPEST):
        placed = waiting.join(targets, on=["task_id", "at"], how="inner", maintain_order="left")
        found.append(placed)
        waiting = (
            waiting.join(targets, on=["task_id", "at"], how="anti", maintain_order="left")
            .join(above, on=["trace_id", "at"], how="inner", maintain_order="left")
            # A step up from a call that states tokens, seen from a call within it, ends that one's count.
            .filter(
                (pl.col("at") == pl.col("span_id"))
                | (pl.col("operation") != "model")
                | ~pl.col("counts_already")
            )
            .with_columns(at=pl.col("next_up"))
            .drop("next_up", "counts_already")
            .filter(pl.col("at").is_not_null())
        )
        if waiting.is_empty():
            break
    return pl.concat(found).drop("at")
