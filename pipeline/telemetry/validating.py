"""A joined data point judged and normalised, as the project's data collection strategy lists it.

What belongs here: required sections, bounds, consistency, private data found behind the door, one spelling
for labels. What does not: joining (``joining``), statistical outliers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import polars as pl

from pipeline.hours import Hour
from pipeline.privacy.detect import Detector, ScanError
from pipeline.settings.telemetry import Loading
from pipeline.telemetry.tables import DATA_POINTS
from pipeline.warehouse.tables import UTC_DATETIME


def validate_points(
    points: pl.DataFrame, hour: Hour, settings: Loading, private: frozenset[str] = frozenset()
) -> pl.DataFrame:
    """``telemetry.data_points`` from joined points: normalised fields, errors and warnings.

    Errors make a point invalid; warnings do not. ``private`` are the tasks in whose events something was
    found that privacy's door should have kept back.
    """
    normal = points.with_columns(
        task_type=_label("task_type"),
        strategy=_label("strategy"),
        hour=pl.lit(hour.start, dtype=UTC_DATETIME),
    )
    judged = normal.with_columns(
        validation_errors=_labels(_errors(private)), validation_warnings=_labels(_warnings(settings))
    ).with_columns(
        is_valid=pl.col("validation_errors").list.len() == 0,
        is_complete=pl.col("received_at").is_not_null()
        & pl.col("routed_at").is_not_null()
        & pl.col("last_ended").fill_null(False)
        & pl.col("evaluated"),
    )
    return judged.sort("task_id").select(
        pl.col(name).cast(dtype) for name, dtype in DATA_POINTS.polars_schema.items()
    )


def private_tasks(texts: Iterable[tuple[str, str]], detector: Detector) -> frozenset[str]:
    """Tasks among ``texts`` (task, body as JSON) in whose body the detector finds something.

    A body that cannot be scanned to its end counts as found: nobody can say that it is clean.
    """
    found = set()
    for task, body in texts:
        try:
            if task not in found and detector.scan_json(body):
                found.add(task)
        except ScanError:
            found.add(task)
    return frozenset(found)


def is_audited(task: str, share: float) -> bool:
    """Whether a task is in the share whose events are scanned again; the same at every run."""
    return int.from_bytes(hashlib.blake2b(task.encode(), digest_size=8).digest()) < share * 2**64


def _errors(private: frozenset[str]) -> dict[str, pl.Expr]:
    score = pl.col("overall_score")
    return {
        "missing_task": pl.col("received_at").is_null(),
        "missing_routing": pl.col("routed_at").is_null(),
        "missing_execution": pl.col("attempts") == 0,
        "score_out_of_bounds": (score < 0) | (score > 1) | score.is_nan(),
        "private_data": pl.col("task_id").is_in(sorted(private)),
    }


def _warnings(settings: Loading) -> dict[str, pl.Expr]:
    score, success = pl.col("overall_score"), pl.col("success")
    return {
        "success_with_low_score": success & (score < settings.low_score),
        "failure_with_high_score": ~success & (score > settings.high_score),
        "not_evaluated": ~pl.col("evaluated"),
        "unfinished": pl.col("unfinished").fill_null(0) > 0,
        "no_tokens": success.is_not_null() & (pl.col("tokens_total").fill_null(0) == 0),
        "zero_latency": pl.col("latency_ms") == 0,
        "agent_mismatch": pl.col("routed_agent") != pl.col("worked_agent"),
        "time_order": (pl.col("completed_at") < pl.col("started_at"))
        | (pl.col("started_at") < pl.col("received_at"))
        | (pl.col("evaluated_at") < pl.col("started_at")),
        "privacy": pl.col("quarantined_events") > 0,
    }


def _labels(rules: dict[str, pl.Expr]) -> pl.Expr:
    return pl.concat_list(
        pl.when(rule.fill_null(False)).then(pl.lit(name)) for name, rule in rules.items()
    ).list.drop_nulls()


def _label(name: str) -> pl.Expr:
    """Lower case, words joined by one underscore: "Bug-fix " and "bug fix" are one label."""
    return (
        pl.col(name)
        .str.to_lowercase()
        .str.replace_all(r"[^\p{L}\p{N}]+", "_")
        .str.strip_chars("_")
        .replace("", "unknown")
    )
