"""A session as a tree, and counts over all sessions.

What belongs here: joining the records of a session top down, as plain data; figures for people. What
does not: drawing (``pipeline.cli.training``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import polars as pl

from pipeline.errors import InputError
from pipeline.hours import Hour
from pipeline.training import tables
from pipeline.training.derived.computing import open_links
from pipeline.training.derived.tables import STRENGTHS
from pipeline.training.reading import read_records
from pipeline.warehouse.store import Warehouse
from pipeline.warehouse.tables import Table

Node = dict[str, Any]

_HIDDEN = ("hour", "event_id", "content_hash", "session_id")
_SHOWN_BELOW: Mapping[Table, tuple[str, ...]] = {
    tables.LINEAGES: ("session_id",),
    tables.LINEAGE_LOCKS: ("lineage_id",),
    tables.DIRECTIVES: ("evaluation_id", "lineage_id", "session_id"),
    tables.AGENT_DEFINITIONS: ("lineage_id",),
    tables.ROLLOUTS: ("agent_id", "lineage_id"),
    tables.ATTEMPTS: ("rollout_id",),
    tables.EXECUTION_SPANS: ("parent_span_id", "attempt_id"),
    tables.ARTIFACTS: ("rollout_id",),
    tables.EVALUATIONS: ("artifact_id", "session_id"),
    tables.EVOLUTION_RECORDS: ("lineage_id",),
    tables.EVOLUTION_OUTCOMES: ("evolution_id",),
    tables.LEARNING_INSIGHTS: ("session_id",),
    tables.SESSION_ENDINGS: ("session_id",),
}
"""Table to the columns that may name what a row hangs below, the nearest first."""


def session_tree(warehouse: Warehouse, session_id: str) -> Node:
    """The session with all below it: ``{record, id, fields, children}``.

    What hangs below a record that has not arrived stands in the list ``orphans`` of the root. Raises
    ``InputError`` where no record names the session.
    """
    rows = {table: _rows(warehouse, table, session_id) for table in (tables.SESSIONS, *_SHOWN_BELOW)}
    if not any(rows.values()):
        raise InputError(
            f"Showing the session {session_id[:80]!r}: no record names it; see `pipeline training stats` and "
            "training.sessions, and materialise the hour that it happened in."
        )
    nodes = {table: {row[table.key[0]]: _node(table, row) for row in found} for table, found in rows.items()}
    root = nodes[tables.SESSIONS].get(session_id) or {
        "record": "session",
        "id": session_id,
        "fields": {},
        "children": [],
    }
    by_id: dict[str, Node] = {session_id: root}
    for found in nodes.values():
        by_id.update(found)
    by_id[session_id] = root
    lost: list[Node] = []
    for table, columns in _SHOWN_BELOW.items():
        for row in rows[table]:
            node = nodes[table][row[table.key[0]]]
            wanted = [session_id if name == "session_id" else row[name] for name in columns]
            above = next((by_id[one] for one in wanted if one is not None and one in by_id), None)
            (lost if above is None or above is node else above["children"]).append(node)
    _sort(root)
    return {**root, "orphans": lost}


def _rows(warehouse: Warehouse, table: Table, session_id: str) -> list[dict[str, Any]]:
    return read_records(warehouse, table, session_id=session_id).to_dicts()


def _node(table: Table, row: dict[str, Any]) -> Node:
    return {
        "record": table.table_name.removesuffix("s"),
        "id": row[table.key[0]],
        "fields": {name: value for name, value in row.items() if name not in _HIDDEN and value is not None},
        "children": [],
    }


def _sort(root: Node) -> None:
    """Children by position, cycle, version, number, then time; without recursion, since spans may be deep."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        node["children"].sort(
            key=lambda child: (
                tuple(child["fields"].get(name) or 0 for name in ("cycle", "version", "number", "position")),
                child["fields"]["happened_at"],
                child["id"],
            )
        )
        waiting += node["children"]


def statistics(warehouse: Warehouse) -> dict[str, Any]:
    """Counts per table, scores, sources, open links and strengths, each record once; synthetic ones apart."""
    counts, sources = {}, defaultdict[str, int](int)
    for table in tables.RECORDS:
        rows = read_records(warehouse, table, columns=["source", "synthetic"])
        counts[table.table_name] = {
            "records": rows.filter(~pl.col("synthetic")).height,
            "synthetic": rows.filter(pl.col("synthetic")).height,
        }
        for source, number in rows.group_by("source").len().iter_rows():
            sources[source] += number
    still_open = open_links(warehouse, Hour.current())
    return {
        "records": counts,
        "sources": dict(sorted(sources.items())),
        "scores": _scores(warehouse),
        "orphans": {
            "open": still_open.height,
            "by_link": [
                {"record": record, "link": link, "open": number}
                for record, link, number in still_open.group_by("record", "link", maintain_order=True)
                .len()
                .iter_rows()
            ],
            "ids": still_open["record_id"].unique(maintain_order=True).head(20).to_list(),
        },
        "strengths": _newest_strengths(warehouse),
    }


def _scores(warehouse: Warehouse) -> dict[str, Any]:
    columns = ["score", "ranking", "comment", "directives", "synthetic"]
    rows = read_records(warehouse, tables.EVALUATIONS, columns=columns).filter(~pl.col("synthetic"))
    scored = rows["score"].drop_nulls()
    counts = scored.round(0).cast(pl.Int64).value_counts().sort("score").iter_rows()
    return {
        "scored": len(scored),
        "mean": scored.mean(),
        "distribution": {str(score): number for score, number in counts},
        "compared": rows.filter(pl.col("ranking") != "[]").height,
        "commented": rows.filter(pl.col("comment") != "").height,
        "with_directives": rows.filter(pl.col("directives") != "[]").height,
    }


def _newest_strengths(warehouse: Warehouse) -> list[dict[str, Any]]:
    hour = warehouse.newest_hour(STRENGTHS)
    if hour is None:
        return []
    columns = ["scope", "competitor", "name", "pool", "strength", "low", "high", "comparisons", "synthetic"]
    return warehouse.read_hour(STRENGTHS, hour).select(columns).to_dicts()
