"""Pictures of the collector's tables for the Dagster UI.

What belongs here: which figures of a table are worth a look. What does not: drawing (``pipeline.plots``).
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from pipeline.plots import bars, histogram

SHOWN = 25


def runs(frame: pl.DataFrame) -> Mapping[str, str]:
    """Money and mean latency per model."""
    models = (
        frame.group_by("model")
        .agg(billed=pl.col("billed").sum(), latency=pl.col("mean_latency_ms").mean())
        .sort("billed", "model", descending=[True, False])
        .head(SHOWN)
    )
    names = models["model"].to_list()
    return {
        "billed by model": bars("Billed by model", names, models["billed"].to_list(), unit="USD"),
        "latency by model": bars("Mean latency by model", names, models["latency"].to_list(), unit="ms"),
    }


def records(frame: pl.DataFrame) -> Mapping[str, str]:
    """Records by outcome and how long answers took."""
    statuses = frame.group_by("status").len().sort("len", descending=True)
    drawn = {
        "records by outcome": bars(
            "Records by outcome", statuses["status"].to_list(), statuses["len"].to_list()
        )
    }
    latencies = frame["latency_ms"].drop_nulls().to_list()
    if latencies:
        drawn["latency"] = histogram("Latency of records (ms)", latencies, high=max(1.0, *latencies))
    return drawn


def request_attempts(frame: pl.DataFrame) -> Mapping[str, str]:
    """Attempts by what came of them."""
    kinds = (
        frame.with_columns(kind=pl.coalesce("error_class", pl.lit("answered")))
        .group_by("kind").len().sort("len", descending=True)
    )  # fmt: skip
    return {"attempts": bars("Attempts by outcome", kinds["kind"].to_list(), kinds["len"].to_list())}


def collected_scores(frame: pl.DataFrame) -> Mapping[str, str]:
    """Accuracy by model and dataset, and what it cost."""
    shown = frame.sort("dataset", "score", descending=[False, True]).head(SHOWN)
    names = [f"{model} · {dataset}" for model, dataset in shown.select("model", "dataset").iter_rows()]
    return {
        "accuracy by model": bars("Score by model and dataset", names, shown["score"].to_list(),
        unit="points"),
        "cost by model": bars("Cost by model and dataset", names, shown["cost"].to_list(), unit="USD"),
        "latency by model": bars("Latency by model and dataset", names, shown["mean_latency_ms"].to_list(),
        unit="ms"),
    }  # fmt: skip
