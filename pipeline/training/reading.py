"""Reading training records over all hours, each record once.

What belongs here: what examples, exports, rankings and the command line read records by. What does not:
making them (``projecting``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import duckdb
import polars as pl

from pipeline.hours import Hour
from pipeline.training.tables import CONTENTS
from pipeline.warehouse.statements import existing_columns
from pipeline.warehouse.store import Warehouse
from pipeline.warehouse.tables import Table

Message = dict[str, Any]


def read_records(
    warehouse: Warehouse,
    table: Table,
    *,
    until: Hour | None = None,
    columns: Sequence[str] | None = None,
    session_id: str | None = None,
) -> pl.DataFrame:
    """The rows of ``table`` in all hours up to and including ``until``, each key once: the first recorded.

    Sorted by time and event. ``columns`` names those wanted (all by default), ``session_id`` one session.
    Empty where the table was never written.
    """
    wanted = list(columns or table.polars_schema)
    empty = table.empty().select(wanted)
    if not warehouse.path.exists():
        return empty
    with warehouse.reading() as connection:
        if not existing_columns(connection, table):
            return empty
        rows = _select(connection, table, wanted, until, session_id)
    return rows.cast(dict(empty.schema))  # type: ignore[arg-type]


def _select(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    columns: Sequence[str],
    until: Hour | None,
    session_id: str | None,
) -> pl.DataFrame:
    conditions, values = [], list[Any]()
    if until is not None:
        conditions.append("hour <= ?")
        values.append(until.start)
    if session_id is not None:
        conditions.append("session_id = ?")
        values.append(session_id)
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    key = ", ".join(table.key)
    return connection.execute(
        f"SELECT {', '.join(columns)} FROM {table.name} {where} "
        f"QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY happened_at, event_id) = 1 "
        "ORDER BY happened_at, event_id",
        values,
    ).pl()


def whole_conversation(spans: Sequence[dict[str, Any]], span_id: str) -> list[Message]:
    """All messages up to the end of the span ``span_id``: what it continues, its input, its output.

    ``spans`` are rows of ``training.execution_spans`` of one attempt. A chain that leads to a span that is
    not among them, or in a circle, begins after it.
    """
    by_id = {span["span_id"]: span for span in spans}
    chain: list[dict[str, Any]] = []
    here = by_id.get(span_id)
    while here is not None and here not in chain:
        chain.append(here)
        here = by_id.get(here["continues_span_id"])
    return [
        message
        for span in reversed(chain)
        for side in ("input_messages", "output_messages")
        for message in json.loads(span[side])
    ]


def earlier_contents(warehouse: Warehouse, hour: Hour) -> set[str]:
    """Hashes of contents that hours before ``hour`` hold."""
    if not warehouse.path.exists():
        return set()
    with warehouse.reading() as connection:
        if not existing_columns(connection, CONTENTS):
            return set()
        rows = connection.execute(
            f"SELECT DISTINCT hash FROM {CONTENTS.name} WHERE hour < ?", [hour.start]
        ).fetchall()
    return {digest for (digest,) in rows}


def contradicting_ids(warehouse: Warehouse, table: Table, hour: Hour) -> list[str]:
    """Ids of records of ``hour`` that another one, of this hour or earlier, has too and says otherwise."""
    rejected = warehouse.rejected_rows(table, hour)
    within = rejected.filter(pl.col("reason").str.contains("says something else", literal=True))
    ids = {json.loads(row)[table.key[0]] for row in within["row"].to_list()}
    with warehouse.reading() as connection:
        key = table.key[0]
        rows = connection.execute(
            f"SELECT DISTINCT mine.{key} FROM {table.name} AS mine JOIN {table.name} AS other "
            f"ON mine.{key} = other.{key} AND mine.content_hash <> other.content_hash "
            "WHERE mine.hour = $hour AND other.hour < $hour",
            {"hour": hour.start},
        ).fetchall()
    return sorted(ids | {one for (one,) in rows})
