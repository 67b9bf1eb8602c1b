"""What the journal holds for an hour, as frames of the collector's tables.

What belongs here: reading the journal as of an hour, totals and scores per run, and scores as rows that the
capability graph reads. What does not: collecting; nothing here calls a model.
"""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from typing import Any

import polars as pl

from pipeline.collector.journal import Journal, RunEntry
from pipeline.collector.records import DONE, JUDGED
from pipeline.collector.scores import score_run
from pipeline.collector.tables import COLLECTED_SCORES, RAW_OUTPUTS, RECORDS, REQUEST_ATTEMPTS, RUNS
from pipeline.hours import Hour
from pipeline.sources.tables import BENCHMARK_SCORES
from pipeline.warehouse.tables import UTC_DATETIME, Table

SOURCE = "collector"
"""Name of our own runs among the sources of benchmark scores."""

_OF_RUN = {"model": "u.model", "dataset": "u.dataset", "split": "u.split", "synthetic": "r.synthetic"}


def hour_of_records(journal: Journal, hour: Hour) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """The rows of ``records``, ``raw_outputs`` and ``request_attempts`` of an hour."""
    if not journal.exists:
        return RECORDS.empty(), RAW_OUTPUTS.empty(), REQUEST_ATTEMPTS.empty()
    within = _bounds(hour)
    with journal.connection() as connection:
        joined = (
            "FROM records r JOIN runs u ON u.run_id = r.run_id "
            "WHERE r.completed_at >= ? AND r.completed_at < ?"
        )
        records = _select(connection, RECORDS, f"{joined} ORDER BY r.number", within, hour)
        outputs = _select(
            connection, RAW_OUTPUTS, f"{joined} AND r.raw_output IS NOT NULL ORDER BY r.number", within, hour
        )
        attempts = _select(
            connection,
            REQUEST_ATTEMPTS,
            "FROM attempts r JOIN runs u ON u.run_id = r.run_id WHERE r.started_at >= ? AND r.started_at < ? "
            "ORDER BY r.sequence",
            within,
            hour,
            {"synthetic": "u.synthetic"},
        )
    return records, outputs, attempts


def hour_of_runs(journal: Journal, hour: Hour) -> pl.DataFrame:
    """The rows of ``runs``: those with a record in the hour, with their totals as at its end."""
    if not journal.exists:
        return RUNS.empty()
    with journal.connection() as connection:
        active = connection.execute(
            "SELECT DISTINCT run_id FROM records WHERE completed_at >= ? AND completed_at < ?", _bounds(hour)
        ).fetchall()
    wanted = {run_id for (run_id,) in active}
    rows = [
        _run_row(entry, _standing(journal, entry, hour), hour)
        for entry in journal.runs()
        if entry.run_id in wanted
    ]
    return RUNS.frame(rows)


def hour_of_scores(journal: Journal, hour: Hour) -> pl.DataFrame:
    """The rows of ``collected_scores``: per model, configuration, dataset, split and evaluator the newest
    run that was complete by the end of the hour and has judged records.
    """
    newest: dict[tuple[Any, ...], dict[str, Any]] = {}
    for entry in journal.runs():
        if entry.started_at >= _bounds(hour)[1]:
            continue
        standing = _standing(journal, entry, hour)
        judged = standing.filter(pl.col("status").is_in(JUDGED))
        if not judged.height or standing.filter(pl.col("status").is_in(DONE)).height < entry.planned:
            continue
        row = _score_row(entry, standing, hour)
        key = (
            row["model"],
            row["configuration"],
            row["dataset"],
            row["split"],
            row["evaluator"],
            row["demo"],
        )
        newest[key] = row  # runs come in the order they began
    return COLLECTED_SCORES.frame(list(newest.values()))


def as_benchmark_scores(collected: pl.DataFrame) -> pl.DataFrame:
    """Collected scores as rows of ``sources.benchmark_scores``, of reliability own_run.

    Left out are synthetic and demo runs, and datasets that stand for no benchmark. The error is the
    clustered one.
    """
    real = collected.filter(~pl.col("synthetic") & ~pl.col("demo") & pl.col("benchmark").is_not_null())
    return (
        real.select(
            "hour",
            source=pl.lit(SOURCE),
            location=pl.format("run {}", "run_id"),
            row_number=pl.int_range(pl.len(), dtype=pl.Int64),
            source_model=pl.coalesce("api_model_name", "model"),
            configuration="configuration",
            benchmark="benchmark",
            benchmark_version="benchmark_version",
            benchmark_label=pl.format("{}/{}", "dataset", "split"),
            score="score",
            raw_value="score",
            raw_unit=pl.lit("percent"),
            evaluated_at="evaluated_at",
            url=pl.lit(None, pl.String),
            n="n",
            standard_error=pl.coalesce("clustered_standard_error", "standard_error"),
            reliability=pl.lit("own_run"),
            layer=pl.lit("benchmarks"),
            provider=pl.lit(None, pl.String),
            body_hash="data_fingerprint",
            synthetic="synthetic",
        )
        .select(list(BENCHMARK_SCORES.polars_schema))
        .cast(BENCHMARK_SCORES.polars_schema)  # type: ignore[arg-type]
    )


def _bounds(hour: Hour) -> tuple[int, int]:
    return int(hour.start.timestamp() * 1e6), int(hour.end.timestamp() * 1e6)


def _select(  # noqa: PLR0917
    connection: sqlite3.Connection,
    table: Table,
    rest: str,
    values: tuple[int, int],
    hour: Hour,
    further: dict[str, str] | None = None,
) -> pl.DataFrame:
    places = {**_OF_RUN, **(further or {})}
    names = [column.name for column in table.columns if column.name != "hour"]
    selected = ", ".join(f"{places.get(name, f'r.{name}')} AS {name}" for name in names)
    schema = {name: _stored(table.polars_schema[name]) for name in names}
    rows = connection.execute(f"SELECT {selected} {rest}", values).fetchall()
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    casts = [_as_column(name, table.polars_schema[name]) for name in names]
    return frame.select(pl.lit(hour.start, dtype=UTC_DATETIME).alias("hour"), *casts)


def _stored(dtype: pl.DataType) -> pl.DataType:
    """SQLite keeps instants and flags as whole numbers."""
    return pl.Int64() if dtype in {UTC_DATETIME, pl.Boolean} else dtype


def _as_column(name: str, dtype: pl.DataType) -> pl.Expr:
    if dtype == UTC_DATETIME:
        return pl.from_epoch(name, time_unit="us").dt.replace_time_zone("UTC").alias(name)
    return pl.col(name).cast(dtype)


_STANDING = {
    "position": pl.Int64,
    "repetition": pl.Int64, "number": pl.Int64, "status": pl.String, "cluster": pl.String,
    "score": pl.Float64, "completed_at": pl.Int64, "cache_hit": pl.Int64, "prompt_tokens": pl.Int64,
    "completion_tokens": pl.Int64, "billed": pl.Float64, "replayed": pl.Float64, "avoided": pl.Float64,
    "latency_ms": pl.Float64,
}  # fmt: skip


def _standing(journal: Journal, entry: RunEntry, hour: Hour) -> pl.DataFrame:
    """The records of a run as they stood when the hour ended."""
    with journal.connection() as connection:
        rows = connection.execute(
            f"SELECT {', '.join(_STANDING)} FROM records WHERE run_id = ? AND completed_at < ?",
            (entry.run_id, _bounds(hour)[1]),
        ).fetchall()
    frame = pl.DataFrame(rows, schema=_STANDING, orient="row")
    return frame.sort("number").unique(["position", "repetition"], keep="last").sort("position", "repetition")


def _run_row(entry: RunEntry, standing: pl.DataFrame, hour: Hour) -> dict[str, Any]:
    counts = dict(standing.group_by("status").len().iter_rows())
    answered = standing.filter(pl.col("status").is_in(DONE))
    judged = answered.filter(pl.col("score").is_not_null())
    right = judged.filter(pl.col("score") >= 1).height
    return {
        "hour": hour.start,
        **_identity(entry),
        "run_key": entry.run_key,
        "generation": entry.generation,
        "status": "complete" if answered.height >= entry.planned else "incomplete",
        "started_at": datetime.fromtimestamp(entry.started_at / 1e6, UTC),
        "planned": entry.planned,
        **{status: counts.get(status, 0) for status in ("scored", "unparseable", "unscored")},
        **{status: counts.get(status, 0) for status in ("failed_infrastructure", "failed_permanent")},
        "correct": right,
        "wrong": judged.height - right,
        "cache_hits": standing["cache_hit"].sum(),
        "performance": judged["score"].mean(),
        "prompt_tokens": answered["prompt_tokens"].sum(),
        "completion_tokens": answered["completion_tokens"].sum(),
        **{name: total(answered[name]) for name in ("billed", "replayed", "avoided")},
        "mean_latency_ms": answered["latency_ms"].mean(),
    }


def _score_row(entry: RunEntry, standing: pl.DataFrame, hour: Hour) -> dict[str, Any]:
    figures = score_run(standing, binary=bool(entry.description.get("binary", True)))
    answered = standing.filter(pl.col("status").is_in(DONE))
    billed, replayed = total(answered["billed"]), total(answered["replayed"])
    points = {
        name: None if figures[name] is None else 100.0 * float(figures[name] or 0)
        for name in ("score", "standard_error", "clustered_standard_error")
    }
    last = max(standing["completed_at"].to_list())
    return {
        **figures,
        **points,
        "hour": hour.start,
        **{name: value for name, value in _identity(entry).items() if name != "planned"},
        "benchmark_version": entry.description.get("benchmark_version"),
        "data_fingerprint": entry.description["data_fingerprint"],
        "unparseable": standing.filter(pl.col("status") == "unparseable").height,
        "cost": None if billed is None or replayed is None else billed + replayed,
        "mean_latency_ms": answered["latency_ms"].mean(),
        "evaluated_at": datetime.fromtimestamp(last / 1e6, UTC).date(),
    }


def _identity(entry: RunEntry) -> dict[str, Any]:
    return {
        "run_id": entry.run_id,
        "model": entry.model,
        "api_model_name": entry.description.get("api_model_name"),
        "configuration": entry.description.get("configuration") or "",
        "dataset": entry.dataset,
        "split": entry.split,
        "evaluator": entry.description["evaluator"],
        "benchmark": entry.description.get("benchmark"),
        "demo": entry.demo,
        "synthetic": entry.synthetic,
    }


def total(figures: pl.Series) -> float | None:
    """The sum, None where one figure is not known or there is none."""
    return None if figures.is_empty() or figures.null_count() else float(figures.sum())
