"""Who beats whom: pairs of artifacts by comparisons, locks and score gaps.

What belongs here: the rules, each from frames or plain rows to pairs. What does not: texts; whether two
prompts are byte-equal is decided where they are read (``preferences``).

A margin lies on 0-1: the gap of two mean scores / 9; |2p - 1| of a stated preference p; the distance in a
ranking / the longest distance there; a lock without scores has the criteria's smallest margin.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import polars as pl

from pipeline.settings.exports import Criteria

SCORE_SPAN = 9.0
"""From the worst score, 1, to the best, 10."""

SIDES_PER_PROMPT = 8
"""By score gap, only so many best and worst artifacts of one prompt are paired."""


class Pair(NamedTuple):
    """``chosen`` beats ``rejected`` (artifact ids) by ``margin``, as ``rule`` and its events say."""

    chosen: str
    rejected: str
    margin: float
    rule: str
    events: tuple[str, ...] = ()


def compared(comparisons: Sequence[dict[str, Any]], refused: Counter[str]) -> list[Pair]:
    """Pairs of ranked groups: every artifact of a better group beats every one of a worse group.

    Artifacts of one group are tied and make no pair. A stated preference of exactly 0.5 is a tie; one below
    it contradicts the ranking.
    """
    pairs = []
    for comparison in comparisons:
        groups, preference = comparison["ranking"], comparison["preference"]
        ties = sum(len(group) * (len(group) - 1) // 2 for group in groups)
        if ties:
            refused["tied"] += ties
        between = [
            (better, worse, below - above)
            for (above, upper), (below, lower) in itertools.combinations(enumerate(groups), 2)
            for better, worse in itertools.product(upper, lower)
        ]
        if preference is not None and preference <= 0.5 and between:
            refused["tied" if preference == 0.5 else "contradicted"] += len(between)
            continue
        for better, worse, distance in between:
            stated = preference is not None and distance == 1 and len(groups) == 2
            margin = 2 * preference - 1 if stated else distance / (len(groups) - 1)
            pairs.append(Pair(better, worse, margin, "comparison", (comparison["event_id"],)))
    return pairs


def locked(locks: pl.DataFrame, artifacts: pl.DataFrame, criteria: Criteria) -> list[Pair]:
    """Artifacts of lineages that the user kept beat those of lineages not kept: same session, cycle and
    question.

    The last lock or release of a lineage and cycle counts. A lock without a cycle is for the session's newest
    cycle that had begun by then.
    """
    if not locks.height or not artifacts.height:
        return []
    standing = _standing(locks, artifacts)
    kept = standing.filter("locked").select("session_id", "cycle", "lineage_id", lock_event="event_id")
    sides = artifacts.filter(pl.col("lineage_id").is_not_null()).select(
        "artifact_id", "session_id", "cycle", "lineage_id", "ask", "score"
    )
    winners = sides.join(kept, on=["session_id", "cycle", "lineage_id"])
    losers = sides.join(kept, on=["session_id", "cycle", "lineage_id"], how="anti")
    pairs = winners.join(losers, on=["session_id", "cycle", "ask"], suffix="_lost")
    return [
        Pair(chosen, rejected, _gap(won, lost, criteria.minimum_margin), "lock", (event,))
        for chosen, rejected, won, lost, event in pairs.select(
            "artifact_id", "artifact_id_lost", "score", "score_lost", "lock_event"
        ).iter_rows()
    ]


def _standing(locks: pl.DataFrame, artifacts: pl.DataFrame) -> pl.DataFrame:
    """The locks in force by lineage and cycle, each with a cycle."""
    cycles = artifacts.select("session_id", "at", newest="cycle").drop_nulls().sort("at")
    cycles = cycles.with_columns(pl.col("newest").cum_max().over("session_id"))
    placed = locks.sort("at").join_asof(cycles, on="at", by="session_id", check_sortedness=False)
    return (
        placed.with_columns(cycle=pl.coalesce("cycle", "newest"))
        .sort("at", "event_id")
        .unique(["lineage_id", "cycle"], keep="last", maintain_order=True)
    )


def _gap(won: float | None, lost: float | None, otherwise: float) -> float:
    if won is None or lost is None:
        return otherwise
    return (won - lost) / SCORE_SPAN


def scored_apart(artifacts: pl.DataFrame, criteria: Criteria) -> list[Pair]:
    """Artifacts that answer the same question and whose mean scores lie far enough apart.

    Of a question with many artifacts the eight best and eight worst are paired.
    """
    scored = artifacts.filter(pl.col("score").is_not_null(), pl.col("ask").is_not_null())
    ranked = scored.select("artifact_id", "ask", "score").sort("ask", "score", "artifact_id")
    place = pl.int_range(pl.len()).over("ask")
    worst = ranked.filter(place < SIDES_PER_PROMPT)
    best = ranked.filter(place >= pl.len().over("ask").cast(pl.Int64) - SIDES_PER_PROMPT)
    pairs = best.join(worst, on="ask", suffix="_lost").filter(
        (pl.col("score") - pl.col("score_lost")) / SCORE_SPAN >= criteria.minimum_margin
    )
    return [
        Pair(chosen, rejected, (won - lost) / SCORE_SPAN, "score_gap")
        for chosen, rejected, won, lost in pairs.select(
            "artifact_id", "artifact_id_lost", "score", "score_lost"
        ).iter_rows()
    ]


def settle(groups: Iterable[list[Pair]], criteria: Criteria, refused: Counter[str]) -> list[Pair]:
    """One verdict per two artifacts: the first group that knows it decides, and any that disagrees voids it.

    ``refused`` counts pairs of one artifact with itself, contradicted ones, and those below the smallest
    margin.
    """
    verdicts: dict[tuple[str, str], Pair] = {}
    void: set[tuple[str, str]] = set()
    for pair in itertools.chain.from_iterable(groups):
        if pair.chosen == pair.rejected:
            refused["tied"] += 1
            continue
        key = (min(pair.chosen, pair.rejected), max(pair.chosen, pair.rejected))
        standing = verdicts.setdefault(key, pair)
        if standing.chosen != pair.chosen or pair.margin < 0:
            void.add(key)
    settled = []
    for key, pair in verdicts.items():
        if key in void:
            refused["contradicted"] += 1
        elif pair.margin < criteria.minimum_margin:
            refused["small_margin"] += 1
        else:
            settled.append(pair)
    return settled


def find_pairs(
    artifacts: pl.DataFrame,
    comparisons: Sequence[dict[str, Any]],
    locks: pl.DataFrame,
    criteria: Criteria,
    refused: Counter[str],
) -> pl.DataFrame:
    """The pairs that the criteria's rules make of the selected artifacts, each side an index of
    ``artifacts``.

    Columns: chosen, rejected (row numbers), margin, rule, events, at, draw, complexity.
    """
    rules = {
        "comparison": lambda: compared(comparisons, refused),
        "lock": lambda: locked(locks, artifacts, criteria),
        "score_gap": lambda: scored_apart(artifacts, criteria),
    }
    settled = settle([rules[rule]() for rule in criteria.pair_rules], criteria, refused)
    frame = pl.DataFrame(
        settled,
        schema={
            "chosen_id": pl.String,
            "rejected_id": pl.String,
            "margin": pl.Float64,
            "rule": pl.String,
            "pair_events": pl.List(pl.String),
        },
        orient="row",
    )
    sides = artifacts.select("artifact_id", "at", "draw", "complexity").with_row_index("place")
    placed = frame.join(sides, left_on="chosen_id", right_on="artifact_id", how="inner").join(
        sides, left_on="rejected_id", right_on="artifact_id", how="inner", suffix="_rejected"
    )
    if placed.height < frame.height:
        refused["side_not_selected"] += frame.height - placed.height
    return placed.select(
        "margin",
        "rule",
        "pair_events",
        "complexity",
        chosen="place",
        rejected="place_rejected",
        at=pl.max_horizontal("at", "at_rejected"),
        draw=pl.concat_str("draw", "draw_rejected"),
    )
