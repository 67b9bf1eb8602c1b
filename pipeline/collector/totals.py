"""Totals of cost over runs, models and datasets."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from pipeline.collector.journal import Journal

_GROUPS = {
    "run": "u.run_id, u.model, u.dataset, u.split, u.demo, u.synthetic",
    "model": "u.model, u.synthetic",
    "dataset": "u.dataset, u.split, u.synthetic",
}
_SUMS = {
    "records": pl.Int64, "answered": pl.Int64, "cache_hits": pl.Int64, "prompt_tokens": pl.Int64,
    "completion_tokens": pl.Int64, "billed": pl.Float64, "replayed": pl.Float64, "avoided": pl.Float64,
    "without_price": pl.Int64,
}  # fmt: skip


def cost_totals(journal: Journal, by: str, since: datetime | None = None) -> pl.DataFrame:
    """Rows per run, model or dataset: records, tokens and the three figures in USD.

    A figure is None where it is not known for one answer; ``without_price`` counts those. A record that was
    asked twice counts twice: both were paid. Synthetic runs stand apart.
    """
    names = [name.strip().removeprefix("u.") for name in _GROUPS[by].split(",")]
    flags = {"demo", "synthetic"}
    schema = {**{name: pl.Int64 if name in flags else pl.String for name in names}, **_SUMS}
    rows = []
    if journal.exists:
        figures = ", ".join(
            f"CASE WHEN sum(r.error_class IS NULL AND r.{name} IS NULL) > 0 "
            f"THEN NULL ELSE total(r.{name}) END"
            for name in ("billed", "replayed", "avoided")
        )
        begun = int(since.timestamp() * 1e6) if since else 0
        with journal.connection() as connection:
            rows = connection.execute(
                f"SELECT {_GROUPS[by]}, count(*), sum(r.error_class IS NULL), sum(r.cache_hit), "
                f"coalesce(sum(r.prompt_tokens), 0), coalesce(sum(r.completion_tokens), 0), {figures}, "
                "sum(r.error_class IS NULL AND r.billed IS NULL) "
                "FROM records r JOIN runs u ON u.run_id = r.run_id "
                f"WHERE r.completed_at >= ? GROUP BY {_GROUPS[by]} ORDER BY {_GROUPS[by]}",
                (begun,),
            ).fetchall()
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame.with_columns(pl.col(name).cast(pl.Boolean) for name in names if name in flags)
