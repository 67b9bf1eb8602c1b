"""What is kept how long: hot in tables, warm in Parquet, aggregates for years.

What belongs here: naming what is due, and doing it when told to. What does not: archiving segments
(``archiving``). Each step is shown in ``telemetry.retention_steps`` before it is done.

Raw archived segments (``raw/events``) are no tier: everything is loaded again from them, also with code of
later. Those older than the warm window are shown as removable and go only when a launch says ``remove_raw``.
"""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from pipeline.errors import WarehouseError
from pipeline.hours import Hour
from pipeline.settings.telemetry import Retention
from pipeline.telemetry.aggregate_tables import FLAGGED_POINTS, HOUR_TABLES, RETENTION_STEPS
from pipeline.telemetry.archiving import archived_hours
from pipeline.telemetry.places import hour_folder
from pipeline.telemetry.span_tables import SPANS
from pipeline.telemetry.tables import EVENT_SEGMENTS, LOADED_TABLES
from pipeline.warehouse.statements import delete_rows, ledger_entries, select_hour
from pipeline.warehouse.store import Warehouse
from pipeline.warehouse.tables import Table

# The list of loaded segments stays: by it late events are told from hours that were never loaded.
HOT_TABLES: tuple[Table, ...] = (
    *(table for table in LOADED_TABLES if table != EVENT_SEGMENTS),
    FLAGGED_POINTS,
    SPANS,
)
RAW = Path("raw") / "events"
EVENTS = "raw events"
"""What stands for a table where raw segments are meant."""

AGGREGATE_TABLES: tuple[Table, ...] = (
    EVENT_SEGMENTS,
    *(table for table in HOUR_TABLES if table != FLAGGED_POINTS),
)


def due_steps(warehouse: Warehouse, hour: Hour, settings: Retention, folder: Path) -> pl.DataFrame:
    """Rows of ``telemetry.retention_steps``, none applied; ages are counted from the end of ``hour``."""
    hot = hour.end - timedelta(days=settings.hot_days)
    warm = hour.end - timedelta(days=settings.warm_days)
    old = hour.end - timedelta(days=settings.aggregate_days)
    with warehouse.reading() as connection:
        moves = [
            _step(hour, table, kept.start, "move_to_parquet", rows, warm_file(table, kept))
            for table in HOT_TABLES
            for kept, rows in _hours_before(connection, table, hot)
        ]
        removals = [
            _step(hour, table, kept.start, "remove_rows", rows, None)
            for table in AGGREGATE_TABLES
            for kept, rows in _hours_before(connection, table, old)
        ]
    files = [
        _step(hour, table, kept.start, "remove_parquet", None, warm_file(table, kept))
        for table in HOT_TABLES
        for kept, _ in warm_files(folder, table)
        if kept.end <= warm
    ]
    raw = [
        _step(hour, EVENTS, kept.start, "remove_raw", None, str(_raw_folder(kept)))
        for kept in archived_hours(folder / RAW)
        if kept.end <= warm
    ]
    return RETENTION_STEPS.frame([*moves, *removals, *files, *raw]).unique(
        RETENTION_STEPS.key, maintain_order=True
    )


def apply_steps(
    warehouse: Warehouse, steps: pl.DataFrame, folder: Path, *, remove_raw: bool = False
) -> pl.DataFrame:
    """Do what ``steps`` say; the same rows, applied. A file is whole before the rows it holds are removed.

    Raw segments go with ``remove_raw`` only.
    """
    tables = {table.name: table for table in (*HOT_TABLES, *AGGREGATE_TABLES)}
    for step in steps.iter_rows(named=True):
        if step["step"] == "remove_raw":
            if remove_raw:
                shutil.rmtree(folder / step["file"])
            continue
        table, hour = tables[step["table_name"]], Hour.of(step["kept_hour"])
        if step["step"] == "move_to_parquet":
            _move(warehouse, table, hour, folder / step["file"])
        elif step["step"] == "remove_parquet":
            (folder / step["file"]).unlink(missing_ok=True)
        else:
            with warehouse.writing() as connection:
                delete_rows(connection, table, hour)
    return steps.with_columns(applied=pl.lit(value=remove_raw) | (pl.col("step") != "remove_raw"))


def warm_file(table: Table, hour: Hour) -> str:
    """The Parquet file of an hour, within the data folder."""
    return f"warm/{table.name}/{hour.start:%Y-%m-%d-%H}.parquet"


def read_warm(folder: Path, table: Table, hour: Hour) -> pl.DataFrame | None:
    """The rows of an hour that was moved; none where there is no file."""
    place = folder / warm_file(table, hour)
    return pl.read_parquet(place).cast(table.polars_schema) if place.exists() else None  # type: ignore[arg-type]


def _move(warehouse: Warehouse, table: Table, hour: Hour, place: Path) -> None:
    with warehouse.reading() as connection:
        rows = select_hour(connection, table, hour)
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place.with_suffix(".partial")
    rows.write_parquet(partial, compression="zstd")
    written = pl.scan_parquet(partial).select(pl.len()).collect().item()
    if written != rows.height:
        raise WarehouseError(
            f"Moving {hour} of {table.name} to {place.name}: {rows.height} rows were written and {written} "
            "read back; nothing was removed, look at the disk and try again."
        )
    partial.replace(place)
    with warehouse.writing() as connection:
        delete_rows(connection, table, hour)


def _hours_before(
    connection: duckdb.DuckDBPyConnection, table: Table, end: datetime
) -> list[tuple[Hour, int]]:
    entries = ledger_entries(connection, table)
    return sorted((entry.hour, entry.rows) for entry in entries if entry.hour.end <= end)


def warm_files(folder: Path, table: Table) -> list[tuple[Hour, Path]]:
    """The hours of a table that were moved, oldest first, and their files; ``folder`` is the data folder."""
    files = (folder / "warm" / table.name).glob("????-??-??-??.parquet")
    return sorted((Hour.parse(f"{file.stem}:00"), file) for file in files)


def _raw_folder(hour: Hour) -> Path:
    return hour_folder(RAW, hour)


def _step(  # noqa: PLR0917 - the columns in their order
    hour: Hour, table: Table | str, kept: datetime, step: str, rows: int | None, file: str | None
) -> dict[str, Any]:
    return {
        "hour": hour.start,
        "table_name": table if isinstance(table, str) else table.name,
        "kept_hour": kept,
        "step": step,
        "rows": rows,
        "file": file,
        "applied": False,
    }
