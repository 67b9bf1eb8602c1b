"""Who was compared with whom: from rankings, locks and scores to pairs of lineages.

What belongs here: the evidence that rankings and strengths are made of. What does not: ranking, estimating.

In a session's cycle, stated rankings and locks are the evidence; only where there is neither, scores
are. A tie counts half for each side. A stated probability counts as that share of a win.
"""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl

ENTRY_SCHEMA: dict[str, pl.DataType] = {
    "session_id": pl.String(),
    "cycle": pl.Int64(),
    "lineage_id": pl.String(),
    "agent_id": pl.String(),
    "agent": pl.String(),
    "configuration_hash": pl.String(),
    "model": pl.String(),
    "score": pl.Float64(),
    "evaluations": pl.Int64(),
    "locked": pl.Boolean(),
    "synthetic": pl.Boolean(),
}
"""A lineage in one cycle of its session: ``score`` is the mean of its artifacts' scores (1-10), ``agent`` its
agent's name and version for people."""

COMPARISON_SCHEMA: dict[str, pl.DataType] = {
    "session_id": pl.String(),
    "cycle": pl.Int64(),
    "left": pl.String(),
    "right": pl.String(),
    "left_wins": pl.Float64(),
    "basis": pl.String(),
}
"""Two lineages compared once: ``left_wins`` is 1, 0, 0.5 for a tie, or a stated probability between;
``basis`` is ranking, lock or score."""

SAME_SCORE = 1e-9

_AGENT_NAME = pl.format("{} v{}", pl.coalesce("name", "model", pl.lit("agent")), "version")


@dataclass(frozen=True)
class Records:
    """The records that comparisons are made of, each once, over all hours wanted."""

    agents: pl.DataFrame
    rollouts: pl.DataFrame
    artifacts: pl.DataFrame
    evaluations: pl.DataFrame
    locks: pl.DataFrame


def placed_artifacts(records: Records) -> pl.DataFrame:
    """Artifacts with the rollout they come from; an artifact whose rollout is missing is left out."""
    rollouts = records.rollouts.select("rollout_id", "lineage_id", "agent_id", "cycle")
    names = ["artifact_id", "rollout_id", "session_id", "attempt_id", "source", "synthetic"]
    return records.artifacts.select(names).join(rollouts, on="rollout_id", how="inner")


def artifact_scores(evaluations: pl.DataFrame) -> pl.DataFrame:
    """Mean score and number of scores per artifact."""
    return (
        evaluations.filter(pl.col("score").is_not_null() & pl.col("artifact_id").is_not_null())
        .group_by("artifact_id", maintain_order=True)
        .agg(pl.col("score").mean(), scores=pl.len().cast(pl.Int64))
    )


def entries(records: Records) -> pl.DataFrame:
    """Each lineage in each cycle it ran in (``ENTRY_SCHEMA``), sorted."""
    agents = records.agents.select("agent_id", "configuration_hash", "model", agent=_AGENT_NAME)
    locked = _locked(records.locks, records.rollouts)
    scores = artifact_scores(records.evaluations)
    scored = (
        placed_artifacts(records)
        .join(scores, on="artifact_id", how="inner")
        .group_by("lineage_id", "cycle")
        .agg(pl.col("score").mean(), evaluations=pl.col("scores").sum())
    )
    return (
        records.rollouts.sort("happened_at", "event_id")
        .group_by("session_id", "cycle", "lineage_id")
        .agg(pl.col("agent_id").last(), pl.col("synthetic").any())
        .join(agents, on="agent_id", how="left")
        .join(scored, on=["lineage_id", "cycle"], how="left")
        .join(locked, on=["lineage_id", "cycle"], how="left")
        .with_columns(pl.col("locked").fill_null(False), pl.col("evaluations").fill_null(0))
        .select(pl.col(name).cast(dtype) for name, dtype in ENTRY_SCHEMA.items())
        .sort("session_id", "cycle", "lineage_id")
    )


def _locked(locks: pl.DataFrame, rollouts: pl.DataFrame) -> pl.DataFrame:
    """Which lineages stood locked in which cycle; a lock without a cycle is of the newest one before it."""
    newest = (
        locks.filter(pl.col("cycle").is_null())
        .select("event_id", "lineage_id", "happened_at")
        .join(
            rollouts.select("lineage_id", "happened_at", newest="cycle"), on="lineage_id", suffix="_rollout"
        )
        .filter(pl.col("happened_at_rollout") <= pl.col("happened_at"))
        .group_by("event_id")
        .agg(pl.col("newest").max())
    )
    return (
        locks.join(newest, on="event_id", how="left")
        .with_columns(pl.coalesce("cycle", "newest").alias("cycle"))
        .filter(pl.col("cycle").is_not_null())
        .sort("happened_at", "event_id")
        .group_by("lineage_id", "cycle")
        .agg(pl.col("locked").last())
    )


def comparisons(records: Records, placed: pl.DataFrame) -> pl.DataFrame:
    """Every comparison of two lineages of one session and cycle (``COMPARISON_SCHEMA``).

    ``placed`` are the entries of the same records.
    """
    rows = [*_ranked_pairs(records), *_locked_pairs(placed)]
    settled = {(row["session_id"], row["cycle"]) for row in rows}
    rows += [row for row in _scored_pairs(placed) if (row["session_id"], row["cycle"]) not in settled]
    return pl.DataFrame(rows, schema=COMPARISON_SCHEMA, orient="row").sort(
        "session_id", "cycle", "basis", "left", "right", maintain_order=True
    )


def _pair(entry: dict[str, Any], left: str, right: str, left_wins: float, basis: str) -> dict[str, Any]:
    return {
        "session_id": entry["session_id"],
        "cycle": entry["cycle"],
        "left": left,
        "right": right,
        "left_wins": left_wins,
        "basis": basis,
    }


def _ranked_pairs(records: Records) -> Iterator[dict[str, Any]]:
    """The pairs that a stated ranking contains; artifacts of one lineage are not compared with each other."""
    placed = {
        row["artifact_id"]: row
        for row in placed_artifacts(records)
        .select("artifact_id", "session_id", "cycle", "lineage_id")
        .iter_rows(named=True)
    }
    ranked = records.evaluations.filter(pl.col("ranking") != "[]")
    for text, preference in ranked.select("ranking", "preference").iter_rows():
        groups = [[placed[one] for one in group if one in placed] for group in json.loads(text)]
        for group in groups:
            for one, other in itertools.combinations(group, 2):
                if one["lineage_id"] != other["lineage_id"]:
                    yield _pair(one, one["lineage_id"], other["lineage_id"], 0.5, "ranking")
        share = preference if preference is not None and len(groups) == 2 else 1.0
        for better, worse in itertools.combinations(groups, 2):
            for one, other in itertools.product(better, worse):
                if one["lineage_id"] != other["lineage_id"]:
                    yield _pair(one, one["lineage_id"], other["lineage_id"], share, "ranking")


def _by_cycle(placed: pl.DataFrame) -> dict[tuple[str, int], list[dict[str, Any]]]:
    cycles: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for entry in placed.iter_rows(named=True):
        cycles[entry["session_id"], entry["cycle"]].append(entry)
    return cycles


def _locked_pairs(placed: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """A locked lineage beats each lineage of its cycle that is not."""
    for group in _by_cycle(placed).values():
        kept = [entry for entry in group if entry["locked"]]
        for one, other in itertools.product(kept, group):
            if not other["locked"]:
                yield _pair(one, one["lineage_id"], other["lineage_id"], 1.0, "lock")


def _scored_pairs(placed: pl.DataFrame) -> Iterator[dict[str, Any]]:
    for group in _by_cycle(placed.filter(pl.col("score").is_not_null())).values():
        for one, other in itertools.combinations(group, 2):
            gap = one["score"] - other["score"]
            share = 0.5 if abs(gap) < SAME_SCORE else float(gap > 0)
            yield _pair(one, one["lineage_id"], other["lineage_id"], share, "score")
