"""``Warehouse``: tables replaced whole, an hour at a time, in one transaction.

What belongs here: reading and replacing tables, the ledger of hours, rejected rows. What does not:
connections (``connections``), what makes a row good (``checking``), publishing.

SQL stays in the subset that DuckDB and DuckLake share: no primary keys, indexes, sequences or
``ON CONFLICT``. Table and column names come from code; values travel as bound parameters.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl

from pipeline.errors import InputError, WarehouseError
from pipeline.hours import Hour
from pipeline.warehouse.checking import Checked, check_rows, no_cases
from pipeline.warehouse.connections import LOCK_TIMEOUT_SECONDS, connect
from pipeline.warehouse.statements import (
    TIMELESS,
    LedgerEntry,
    Written,
    copy_hour,
    delete_rows,
    ensure_table,
    existing_columns,
    insert_rejected,
    insert_rows,
    ledger_entries,
    record_hour,
    select_hour,
    select_rejected,
)
from pipeline.warehouse.tables import UTC_DATETIME, Table

LARGEST_HASHED_ROWS = 500_000
"""Frames with more rows are written without a content hash, so they are never found unchanged."""


@dataclass(frozen=True)
class Replacement:
    """A table's new rows, and rows that never became rows (``REJECTED_SCHEMA``)."""

    table: Table
    frame: pl.DataFrame
    rejected: pl.DataFrame | None = None


@dataclass(frozen=True)
class Warehouse:
    """The database file at ``path``; holds no connection between calls."""

    path: Path
    lock_timeout: float = LOCK_TIMEOUT_SECONDS

    @contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A read-only connection with safe settings."""
        with connect(self.path, read_only=True, timeout=self.lock_timeout) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A writing connection inside one transaction: committed at the end, rolled back on any error."""
        with connect(self.path, read_only=False, timeout=self.lock_timeout) as connection:
            connection.begin()
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    def replace_hour(
        self,
        table: Table,
        hour: Hour,
        frame: pl.DataFrame,
        *,
        rejected: pl.DataFrame | None = None,
        fingerprint: str | None = None,
    ) -> Written:
        """Replace the rows of ``hour`` by ``frame``; an empty frame leaves an empty hour.

        Rows that fail the table's model are kept in ``ledger.rejected_rows`` with the reason,
        beside those in ``rejected`` (``REJECTED_SCHEMA``) that never became rows. Where the same
        rows already stand there, nothing is written. Raises ``TableMismatchError`` before anything
        is touched, ``WarehouseBusyError`` after the bounded wait.
        """
        return self.replace_hours(hour, [Replacement(table, frame, rejected)], fingerprint=fingerprint)[0]

    def replace_hours(
        self, hour: Hour, replacements: Sequence[Replacement], *, fingerprint: str | None = None
    ) -> list[Written]:
        """The same for several tables, in one transaction: all of them or none."""
        for replacement in replacements:
            _check_hour(replacement.table, replacement.frame, hour)
        return self._replace(hour, replacements, fingerprint)

    def replace_all(
        self,
        table: Table,
        frame: pl.DataFrame,
        *,
        rejected: pl.DataFrame | None = None,
        fingerprint: str | None = None,
    ) -> Written:
        """Replace every row of a table without hours; otherwise as ``replace_hour``."""
        if table.hourly:
            raise WarehouseError(f"Replacing all of {table.name}: it is kept by hours; use replace_hour.")
        return self._replace(None, [Replacement(table, frame, rejected)], fingerprint)[0]

    def reuse(
        self, tables: Sequence[Table], hour: Hour, base: str, upstream: Sequence[Table] = ()
    ) -> tuple[str | None, list[Written] | None]:
        """The fingerprint of an hour's inputs, and the hour filled from another one made of the same.

        The fingerprint stands for ``base`` and the content of each upstream table at that hour; it is None
        where an upstream hour was never written or is too large to have a content hash. The second value
        is None where no hour of all ``tables`` has that fingerprint: then the hour is to be computed.
        """
        if not self.path.exists():
            return None, None
        with self.reading() as connection:
            fingerprint = _fingerprint(connection, base, upstream, hour)
            if fingerprint is None:
                return None, None
            origins = [_origin(connection, table, hour, fingerprint) for table in tables]
            found = [
                (table, origin) for table, origin in zip(tables, origins, strict=True) if origin is not None
            ]
            if len(found) < len(tables):
                return fingerprint, None
            written = [_as_written(connection, table, origin, hour) for table, origin in found]
        copies = [(table, origin) for table, origin in found if origin.hour != hour]
        if copies:
            with self.writing() as connection:
                for table, origin in copies:
                    copy_hour(connection, table, origin, hour)
        return fingerprint, written

    def entries(self, tables: Sequence[Table], hour: Hour | None) -> list[LedgerEntry | None]:
        """What the ledger says of ``hour`` of each table; None where it was never written."""
        if not self.path.exists():
            return [None for _ in tables]
        with self.reading() as connection:
            return [_entry(connection, table, hour) for table in tables]

    def newest_hour(self, table: Table, *, before: Hour | None = None) -> Hour | None:
        """The newest hour written, earlier than ``before`` where that is given."""
        if not self.path.exists():
            return None
        with self.reading() as connection:
            hours = [entry.hour for entry in ledger_entries(connection, table)]
        return max((hour for hour in hours if before is None or hour < before), default=None)

    def read_hour(self, table: Table, hour: Hour) -> pl.DataFrame:
        """The rows of ``hour`` in the table's columns; raises ``InputError`` where it was never written."""
        return self.read_hours([table], hour)[0]

    def read_hours(self, tables: Sequence[Table], hour: Hour) -> list[pl.DataFrame]:
        """The rows of ``hour`` of each table, read over one connection."""
        if not self.path.exists():
            raise _never_materialised(tables[0], hour, None)
        frames = []
        with self.reading() as connection:
            for table in tables:
                hours = [entry.hour for entry in ledger_entries(connection, table)]
                if hour not in hours:
                    raise _never_materialised(table, hour, max(hours, default=None))
                frames.append(select_hour(connection, table, hour))
        return frames

    def read_columns(self, table: Table, hour: Hour, columns: Sequence[str]) -> pl.DataFrame:
        """Some columns of the rows of ``hour``; raises ``InputError`` where it was never written."""
        entry = self.entries([table], hour)[0]
        if entry is None:
            raise _never_materialised(table, hour, self.newest_hour(table))
        selected = ", ".join(column.name for column in table.columns if column.name in columns)
        with self.reading() as connection:
            rows = connection.execute(
                f"SELECT {selected} FROM {table.name} WHERE hour = $hour", {"hour": hour.start}
            ).pl()
        return rows.select(pl.col(name).cast(table.polars_schema[name]) for name in columns)

    def read_all(self, table: Table) -> pl.DataFrame:
        """Every row of the table; empty where it was never written."""
        if not self.path.exists():
            return table.empty()
        with self.reading() as connection:
            if not existing_columns(connection, table):
                return table.empty()
            selected = ", ".join(column.name for column in table.columns)
            rows = connection.execute(f"SELECT {selected} FROM {table.name}").pl()
        return rows.cast(table.polars_schema)  # type: ignore[arg-type]

    def rejected_rows(self, table: Table, hour: Hour | None) -> pl.DataFrame:
        """The rejected rows of one hour (or of a table without hours), in ``REJECTED_SCHEMA``."""
        with self.reading() as connection:
            return select_rejected(connection, table, hour)

    def _replace(
        self, hour: Hour | None, replacements: Sequence[Replacement], fingerprint: str | None
    ) -> list[Written]:
        checked = [check_rows(replacement.table, replacement.frame) for replacement in replacements]
        outcomes = []
        with self.writing() as connection:
            for replacement, rows in zip(replacements, checked, strict=True):
                standing = _entry(connection, replacement.table, hour)
                written = _prepare(hour, replacement, rows, standing, fingerprint)
                outcomes.append(written)
                if written.status == "unchanged":
                    continue
                ensure_table(connection, written.table)
                delete_rows(connection, written.table, hour)
                insert_rows(connection, written.table.name, written.frame)
                insert_rejected(connection, written)
                record_hour(connection, written, fingerprint)
        return outcomes


def _entry(connection: duckdb.DuckDBPyConnection, table: Table, hour: Hour | None) -> LedgerEntry | None:
    wanted = hour if hour is not None else TIMELESS
    return next((entry for entry in ledger_entries(connection, table) if entry.hour == wanted), None)


def _prepare(
    hour: Hour | None,
    replacement: Replacement,
    checked: Checked,
    standing: LedgerEntry | None,
    fingerprint: str | None,
) -> Written:
    rejected = pl.concat([part for part in (replacement.rejected, checked.rejected) if part is not None])
    digest = _content_hash(checked.good, rejected)
    unchanged = (
        standing is not None
        and digest is not None
        and (standing.content_hash, standing.fingerprint) == (digest, fingerprint)
    )
    status = "unchanged" if unchanged else "written"
    return Written(replacement.table, hour, status, checked.good, rejected, checked.cases, digest)


def _fingerprint(
    connection: duckdb.DuckDBPyConnection, base: str, upstream: Sequence[Table], hour: Hour
) -> str | None:
    digest = hashlib.sha256(base.encode())
    for table in upstream:
        entry = _entry(connection, table, hour)
        if entry is None or entry.content_hash is None:
            return None
        digest.update(entry.content_hash.encode())
    return digest.hexdigest()


def _as_written(
    connection: duckdb.DuckDBPyConnection, table: Table, origin: LedgerEntry, hour: Hour
) -> Written:
    """The rows of ``origin`` as they will stand at ``hour``."""
    same = origin.hour == hour
    return Written(
        table,
        hour,
        "unchanged" if same else "reused",
        select_hour(connection, table, origin.hour).with_columns(hour=pl.lit(hour.start, dtype=UTC_DATETIME)),
        select_rejected(connection, table, origin.hour),
        no_cases(),
        origin.content_hash,
        None if same else origin.hour,
    )


def _origin(
    connection: duckdb.DuckDBPyConnection, table: Table, hour: Hour, fingerprint: str
) -> LedgerEntry | None:
    """The hour itself where it has the fingerprint, else the newest hour that has."""
    entries = ledger_entries(connection, table, fingerprint=fingerprint)
    return max(entries, key=lambda entry: (entry.hour == hour, entry.hour), default=None)


def _check_hour(table: Table, frame: pl.DataFrame, hour: Hour) -> None:
    if not table.hourly:
        raise WarehouseError(f"Replacing an hour of {table.name}: it has no hours; use replace_all.")
    strangers = frame.filter(pl.col("hour") != hour.start).height if "hour" in frame.columns else 0
    if strangers:
        raise WarehouseError(
            f"Replacing {hour} of {table.name}: {strangers} rows belong to another hour; nothing was written."
        )


def _never_materialised(table: Table, hour: Hour, newest: Hour | None) -> InputError:
    known = f"its newest hour is {newest}" if newest else "it has no hour yet"
    return InputError(
        f"Reading {hour} of {table.name}: that hour was never materialised ({known}); materialise it first: "
        f"dagster asset materialize -m pipeline.definitions --select '+key:\"{table.schema_name}/"
        f"{table.table_name}\"' --partition {hour}"
    )


def _content_hash(good: pl.DataFrame, rejected: pl.DataFrame) -> str | None:
    if good.height > LARGEST_HASHED_ROWS:
        return None
    digest = hashlib.sha256()
    for frame in (good.drop("hour", strict=False), rejected):
        buffer = io.BytesIO()
        frame.rechunk().write_ipc(buffer)
        digest.update(buffer.getbuffer())
    return digest.hexdigest()
