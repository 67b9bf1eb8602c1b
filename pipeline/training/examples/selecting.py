"""Which artifacts may become examples, and in which order they are taken.

What belongs here: filters by criteria with a count for each reason, the order, quotas. What does not: pairs
(``pairing``) and rows.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import polars as pl

from pipeline.settings.exports import Criteria


def select(artifacts: pl.DataFrame, criteria: Criteria, refused: Counter[str]) -> pl.DataFrame:
    """The artifacts that satisfy the criteria but for their score; ``refused`` counts the others by
    reason.
    """
    during = criteria.time_range
    steps: list[tuple[str, pl.Expr | None]] = [
        ("synthetic", None if criteria.include_synthetic else ~pl.col("synthetic")),
        ("attempt_missing", pl.col("attempt_id").is_not_null()),
        ("before_time_range", None if during.start is None else pl.col("at") >= during.start),
        ("after_time_range", None if during.end is None else pl.col("at") < during.end),
        (
            "other_source",
            None if criteria.sources is None else pl.col("source").is_in(list(criteria.sources)),
        ),
        (
            "other_task_type",
            None if criteria.task_types is None else _among("task_type", criteria.task_types),
        ),
        ("not_compliant", pl.col("compliant").fill_null(False) if criteria.compliant_only else None),
        (
            "other_complexity",
            None
            if criteria.complexity_distribution is None
            else _among("complexity", tuple(criteria.complexity_distribution)),
        ),
    ]
    for reason, condition in steps:
        if condition is not None:
            artifacts = _keep(artifacts, condition, reason, refused)
    return artifacts


def scored_at_least(artifacts: pl.DataFrame, criteria: Criteria, refused: Counter[str]) -> pl.DataFrame:
    """The artifacts whose mean score reaches ``minimum_score``; all of them where none is asked for."""
    if criteria.minimum_score is None:
        return artifacts
    scored = _keep(artifacts, pl.col("score").is_not_null(), "no_score", refused)
    return _keep(scored, pl.col("score") >= criteria.minimum_score, "low_score", refused)


def in_order(artifacts: pl.DataFrame, criteria: Criteria) -> pl.DataFrame:
    """Newest first, or as the seed draws; ties by the draw, then by id, so that the order repeats."""
    if criteria.prefer_recent:
        return artifacts.sort("at", "draw", "artifact_id", descending=[True, False, False])
    return artifacts.sort("draw", "artifact_id")


def quotas(criteria: Criteria) -> dict[str, int]:
    """Most rows by complexity; one entry ``*`` where no distribution is asked for."""
    if criteria.complexity_distribution is None:
        return {"*": criteria.maximum_rows}
    return {
        complexity: share_of(criteria.maximum_rows, share)
        for complexity, share in criteria.complexity_distribution.items()
    }


def share_of(whole: float, share: float) -> int:
    """Whole rows in a share; .29 of 100 are 29, although their product is 28.999…"""
    return int(share * whole + 1e-6)


def _among(column: str, allowed: tuple[Any, ...]) -> pl.Expr:
    return pl.col(column).is_in(list(allowed)).fill_null(False)


def _keep(frame: pl.DataFrame, condition: pl.Expr, reason: str, refused: Counter[str]) -> pl.DataFrame:
    kept = frame.filter(condition)
    if kept.height < frame.height:
        refused[reason] += frame.height - kept.height
    return kept
