"""The SQL behind the store: tables, rows, and the ledger of hours.

What belongs here: statements, each inside a transaction that the caller holds. What does not: when
they run (``store``). Table and column names come from code; values travel as bound parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb
import polars as pl

from pipeline.errors import WarehouseError
from pipeline.hours import Hour, now
from pipeline.warehouse.tables import Table

_LEDGER = (
    "CREATE TABLE IF NOT EXISTS ledger.hours (table_name VARCHAR, hour TIMESTAMPTZ, fingerprint VARCHAR, "
    "content_hash VARCHAR, row_count BIGINT, rejected_count BIGINT, reused_from TIMESTAMPTZ, "
    "written_at TIMESTAMPTZ)"
)
_REJECTED = (
    "CREATE TABLE IF NOT EXISTS ledger.rejected_rows (table_name VARCHAR, hour TIMESTAMPTZ, origin VARCHAR, "
    "row_number BIGINT, reason VARCHAR, row VARCHAR)"
)


TIMELESS = Hour(datetime.fromisoformat("1970-01-01T00:00:00+00:00"))
"""Stands for "no hour" in the ledger of a table without hours."""


@dataclass(frozen=True)
class Written:
    """What a replacement did.

    ``status`` is ``written``, ``unchanged`` (the same rows stood there already) or ``reused`` (copied
    from the hour ``reused_from``, whose inputs were the same); ``frame`` the rows that stand there
    now, ``rejected`` those that do not, ``cases`` why.
    """

    table: Table
    hour: Hour | None
    status: str
    frame: pl.DataFrame
    rejected: pl.DataFrame
    cases: pl.DataFrame
    content_hash: str | None
    reused_from: Hour | None = None


@dataclass(frozen=True)
class LedgerEntry:
    """One line of ``ledger.hours``."""

    hour: Hour
    fingerprint: str | None
    content_hash: str | None
    rows: int
    rejected: int


def select_hour(connection: duckdb.DuckDBPyConnection, table: Table, hour: Hour) -> pl.DataFrame:
    """The rows of ``hour`` in the table's columns and types."""
    selected = ", ".join(column.name for column in table.columns)
    rows = connection.execute(
        f"SELECT {selected} FROM {table.name} WHERE hour = $hour", {"hour": hour.start}
    ).pl()
    return rows.cast(table.polars_schema)  # type: ignore[arg-type]


def select_rejected(connection: duckdb.DuckDBPyConnection, table: Table, hour: Hour | None) -> pl.DataFrame:
    """The rejected rows of one hour, in ``REJECTED_SCHEMA``."""
    return connection.execute(
        "SELECT origin, row_number, reason, row FROM ledger.rejected_rows "
        "WHERE table_name = $table AND hour IS NOT DISTINCT FROM $hour ORDER BY origin, row_number",
        {"table": table.name, "hour": hour.start if hour else None},
    ).pl()


def existing_columns(connection: duckdb.DuckDBPyConnection, table: Table) -> list[str]:
    """Column names of the table in the file; none where it does not exist."""
    rows = connection.execute(
        "SELECT column_name FROM information_schema.columns "
        "WHERE table_schema = $schema AND table_name = $table "
        "ORDER BY ordinal_position",
        {"schema": table.schema_name, "table": table.table_name},
    ).fetchall()
    return [name for (name,) in rows]


def ensure_table(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    """Create the table, or add the columns that it gained since it was created."""
    connection.execute("CREATE SCHEMA IF NOT EXISTS ledger")
    connection.execute(_LEDGER)
    connection.execute(_REJECTED)
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {table.schema_name}")
    existing = existing_columns(connection, table)
    types = _sql_types(connection, table)
    if not existing:
        # Long texts are stored with zstd: a tenth of the size, and they are read whole and seldom.
        columns = ", ".join(
            f"{column.name} {types[column.name]}{' USING COMPRESSION zstd' if column.long_text else ''}"
            for column in table.columns
        )
        connection.execute(f"CREATE TABLE {table.name} ({columns})")
        return
    for column in table.columns:
        if column.name not in existing:
            connection.execute(f"ALTER TABLE {table.name} ADD COLUMN {column.name} {types[column.name]}")
    for name in set(existing) - set(types):
        raise WarehouseError(
            f"Writing {table.name}: the file has a column {name} that this version does not know; made by a "
            "newer version or by hand; update the project, or move the file away and rebuild it."
        )


def _sql_types(connection: duckdb.DuckDBPyConnection, table: Table) -> dict[str, str]:
    connection.register("prototype", table.empty())
    rows = connection.execute("DESCRIBE SELECT * FROM prototype").fetchall()
    connection.unregister("prototype")
    return {row[0]: row[1] for row in rows}


def delete_rows(connection: duckdb.DuckDBPyConnection, table: Table, hour: Hour | None) -> None:
    """Remove an hour (or everything) of the table, its ledger line and its rejected rows."""
    if hour is None:
        connection.execute(f"DELETE FROM {table.name}")
    else:
        connection.execute(f"DELETE FROM {table.name} WHERE hour = $hour", {"hour": hour.start})
    for name in ("ledger.hours", "ledger.rejected_rows"):
        connection.execute(
            f"DELETE FROM {name} WHERE table_name = $table AND hour IS NOT DISTINCT FROM $hour",
            {"table": table.name, "hour": hour.start if hour else None},
        )


def insert_rows(connection: duckdb.DuckDBPyConnection, name: str, frame: pl.DataFrame) -> None:
    """Append a frame, column by name."""
    if not frame.height:
        return
    connection.register("incoming", frame)
    connection.execute(f"INSERT INTO {name} BY NAME SELECT * FROM incoming")
    connection.unregister("incoming")


def insert_rejected(connection: duckdb.DuckDBPyConnection, written: Written) -> None:
    """Append the rejected rows of a replacement."""
    instant = pl.lit(written.hour.start if written.hour else None, dtype=pl.Datetime("us", "UTC"))
    insert_rows(
        connection,
        "ledger.rejected_rows",
        written.rejected.with_columns(table_name=pl.lit(written.table.name), hour=instant),
    )


def record_hour(connection: duckdb.DuckDBPyConnection, written: Written, fingerprint: str | None) -> None:
    """Append the ledger line of a replacement."""
    connection.execute(
        "INSERT INTO ledger.hours "
        "VALUES ($table, $hour, $fingerprint, $digest, $rows, $rejected, $origin, $now)",
        {
            "table": written.table.name,
            "hour": written.hour.start if written.hour else None,
            "fingerprint": fingerprint,
            "digest": written.content_hash,
            "rows": written.frame.height,
            "rejected": written.rejected.height,
            "origin": written.reused_from.start if written.reused_from else None,
            "now": now(),
        },
    )


def copy_hour(connection: duckdb.DuckDBPyConnection, table: Table, origin: LedgerEntry, hour: Hour) -> None:
    """Fill ``hour`` with the rows, rejected rows and ledger line of another hour."""
    ensure_table(connection, table)
    delete_rows(connection, table, hour)
    values: dict[str, Any] = {"hour": hour.start, "origin": origin.hour.start}
    connection.execute(
        f"INSERT INTO {table.name} BY NAME SELECT * REPLACE ($hour::TIMESTAMPTZ AS hour) "
        f"FROM {table.name} WHERE hour = $origin",
        values,
    )
    connection.execute(
        "INSERT INTO ledger.rejected_rows BY NAME SELECT * REPLACE ($hour::TIMESTAMPTZ AS hour) "
        "FROM ledger.rejected_rows WHERE hour = $origin AND table_name = $table",
        {**values, "table": table.name},
    )
    connection.execute(
        "INSERT INTO ledger.hours BY NAME SELECT * REPLACE "
        "($hour::TIMESTAMPTZ AS hour, $origin::TIMESTAMPTZ AS reused_from, $now::TIMESTAMPTZ AS written_at) "
        "FROM ledger.hours WHERE hour = $origin AND table_name = $table",
        {**values, "table": table.name, "now": now()},
    )


def ledger_entries(
    connection: duckdb.DuckDBPyConnection, table: Table, *, fingerprint: str | None = None
) -> list[LedgerEntry]:
    """Every ledger line of the table, or those with one fingerprint."""
    known = connection.execute(
        "SELECT 1 FROM information_schema.tables WHERE table_schema = 'ledger' AND table_name = 'hours'"
    ).fetchone()
    if known is None:
        return []
    rows = connection.execute(
        "SELECT epoch(hour), fingerprint, content_hash, row_count, rejected_count FROM ledger.hours "
        "WHERE table_name = $table AND ($fingerprint IS NULL OR fingerprint = $fingerprint)",
        {"table": table.name, "fingerprint": fingerprint},
    ).fetchall()
    return [
        LedgerEntry(_hour_of(epoch), mark, digest, count, bad) for epoch, mark, digest, count, bad in rows
    ]


def _hour_of(epoch: float | None) -> Hour:
    return TIMELESS if epoch is None else Hour.of(datetime.fromtimestamp(epoch, tz=TIMELESS.start.tzinfo))
