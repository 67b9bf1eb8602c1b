"""The order of lineages in each cycle, with ties.

What belongs here: places within one session and cycle. What does not: strengths across cycles and sessions
(``strengths``), what counts as a comparison (``comparing``).
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import polars as pl

from pipeline.hours import Hour
from pipeline.training.derived.tables import LINEAGE_RANKINGS
from pipeline.warehouse.tables import UTC_DATETIME

DIGITS = 9
"""Points and scores that agree to this many decimals are tied."""

Standing = tuple[float, float]


def lineage_rankings(placed: pl.DataFrame, compared: pl.DataFrame, hour: Hour) -> pl.DataFrame:
    """Places per session and cycle, as ``training.lineage_rankings``.

    ``points`` is the mean share of wins over a lineage's comparisons in the cycle. Lineages are ordered
    by points, those equal in points by score; equal in both, they share the better place and the next
    place is left out (1, 1, 3). A lineage that was neither compared nor scored has no place.
    """
    points: dict[tuple[str, int, str], list[float]] = defaultdict(list)
    bases: dict[tuple[str, int], set[str]] = defaultdict(set)
    for row in compared.iter_rows(named=True):
        session, cycle = row["session_id"], row["cycle"]
        points[session, cycle, row["left"]].append(row["left_wins"])
        points[session, cycle, row["right"]].append(1 - row["left_wins"])
        bases[session, cycle].add(row["basis"])
    groups: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for entry in placed.iter_rows(named=True):
        groups[entry["session_id"], entry["cycle"]].append(entry)
    rows = []
    for key, group in groups.items():
        shares = {entry["lineage_id"]: points.get((*key, entry["lineage_id"]), []) for entry in group}
        rows += _placed(group, shares, "+".join(sorted(bases[key])) or "none")
    frame = pl.DataFrame(
        rows,
        schema={name: dtype for name, dtype in LINEAGE_RANKINGS.polars_schema.items() if name != "hour"},
        orient="row",
    )
    return frame.with_columns(hour=pl.lit(hour.start, dtype=UTC_DATETIME)).select(
        list(LINEAGE_RANKINGS.polars_schema)
    )


def _placed(group: list[dict[str, Any]], shares: dict[str, list[float]], basis: str) -> list[dict[str, Any]]:
    standings: dict[str, Standing] = {}
    for entry in group:
        won, score = shares[entry["lineage_id"]], entry["score"]
        if won or score is not None:
            mean = sum(won) / len(won) if won else -1.0
            standings[entry["lineage_id"]] = (
                round(mean, DIGITS),
                round(score if score is not None else 0.0, DIGITS),
            )
    ordered = sorted(standings.values(), reverse=True)
    return [_row(entry, shares[entry["lineage_id"]], standings, ordered, basis) for entry in group]


def _row(
    entry: dict[str, Any],
    won: list[float],
    standings: dict[str, Standing],
    ordered: list[Standing],
    basis: str,
) -> dict[str, Any]:
    standing = standings.get(entry["lineage_id"])
    names = ("session_id", "cycle", "lineage_id", "agent_id", "agent", "score", "evaluations", "locked")
    return {
        **{name: entry[name] for name in names},
        "synthetic": entry["synthetic"],
        "rank": None if standing is None else ordered.index(standing) + 1,
        "tied": standing is not None and ordered.count(standing) > 1,
        "points": sum(won) / len(won) if won else None,
        "comparisons": len(won),
        "basis": basis,
    }
