"""Reading archived events back: an hour's events of some kinds, each once, in order.

What belongs here: which files an hour is read from, leaving out copies and what came too late. What does not:
making the files (``archiving``, ``snapshots``), turning bodies into columns (``projecting``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from pipeline.capture.otel.spans import SPAN_KIND
from pipeline.errors import InputError
from pipeline.hours import Hour
from pipeline.settings.telemetry import load_telemetry
from pipeline.telemetry.archiving import ARCHIVE_SCHEMA
from pipeline.telemetry.places import archive_directory, hour_folder, snapshot_directory
from pipeline.warehouse.tables import UTC_DATETIME

EVENT_SCHEMA: dict[str, pl.DataType] = {
    "event_id": pl.String(),
    "kind": pl.String(),
    "subject": pl.String(),
    "happened_at": UTC_DATETIME,
    "process": pl.String(),
    "sequence": pl.Int64(),
    "synthetic": pl.Boolean(),
    "host": pl.String(),
    "application": pl.String(),
    "library": pl.String(),
    "content_hash": pl.String(),
    "body": pl.String(),
    "late": pl.Boolean(),
}
"""Columns of events as they are read: the envelope's fields and the body as JSON text; ``late`` says that
the event reached us after its hour had been loaded."""

ORDER = ("happened_at", "process", "sequence", "event_id")
"""The order of events everywhere."""

REDRIVEN = "redriven-"
"""Beginning of the names of files with lines that were rejected once and are valid now."""

MEMORY_LIMIT = "1GB"

_NAMED_TRACES = f"""
CREATE TEMP TABLE named_traces AS
SELECT trace, any_value(subject) AS task FROM (
    SELECT body->>'trace_id' AS trace, subject FROM kept
    WHERE kind = '{SPAN_KIND}' AND NOT regexp_full_match(subject, '[0-9a-f]{{32}}')
) GROUP BY trace HAVING count(DISTINCT subject) = 1
"""
"""Traces in which one span names the task: spans that were sent apart from it belong to that task too."""


@dataclass(frozen=True)
class Archive:
    """Where events lie, and how late one may come: files of the archive and what was read of open
    segments."""

    directory: Path
    snapshots: Path
    lateness: timedelta

    def files(self, hour: Hour) -> list[Path]:
        """The files that ``hour`` is read from: archived ones, and snapshots of segments not archived yet."""
        archived = _parquet(hour_folder(self.directory, hour))
        segments = {place.name.split(".")[0] for place in archived}
        snapshots = [
            place
            for place in _parquet(hour_folder(self.snapshots, hour))
            if place.name.split(".")[0] not in segments
        ]
        return [*archived, *snapshots]

    def read_events(self, hour: Hour, kinds: Collection[str]) -> pl.DataFrame:
        """As the function ``read_events``."""
        with self.reading(hour) as connection:
            if connection is None:
                return pl.DataFrame(schema=EVENT_SCHEMA)
            columns = ", ".join("after_load AS late" if name == "late" else name for name in EVENT_SCHEMA)
            found = select(connection, columns, kinds)
        return found.cast(EVENT_SCHEMA).sort(ORDER)  # type: ignore[arg-type]

    @contextmanager
    def reading(self, *hours: Hour) -> Iterator[duckdb.DuckDBPyConnection | None]:
        """A connection with the views ``lines`` (everything) and ``events`` (good and not too late, copies
        included) over the hours; None where they have no file. Raises ``InputError`` for a damaged file."""
        files = [(place, hour) for hour in hours for place in self.files(hour)]
        if not files:
            yield None
            return
        connection = duckdb.connect(
            config={"memory_limit": MEMORY_LIMIT, "preserve_insertion_order": "false"}
        )
        try:
            connection.execute("SET TimeZone = 'UTC'")
            self._views(connection, files)
            yield connection
        except (duckdb.IOException, duckdb.InvalidInputException) as error:
            raise InputError(
                f"Reading the archived events of {hours[0]}: {str(error).splitlines()[0][:300]}; restore "
                "the file from a copy, or move it away and load the hour without it."
            ) from error
        finally:
            connection.close()

    def _views(self, connection: duckdb.DuckDBPyConnection, files: list[tuple[Path, Hour]]) -> None:
        listed = ", ".join("'" + str(place).replace("'", "''") + "'" for place, _ in files)
        columns = ", ".join(name for name in ARCHIVE_SCHEMA if name != "reason")
        if any(place.name.startswith(REDRIVEN) for place, _ in files):
            redriven = f"split_part(filename, '/', -1) LIKE '{REDRIVEN}%'"
            # A redriven line of another hour only tells this one that it is loaded there.
            moved = f"{redriven} AND split_part(filename, '/', -2) <> strftime(happened_at, '%Y-%m-%d-%H')"
        else:  # nearly always: nothing to tell apart line by line
            redriven = moved = "false"
        connection.execute(
            f"CREATE VIEW lines AS SELECT {columns}, "
            f"CASE WHEN {moved} THEN 'moved' ELSE reason END AS reason, "
            f"filename AS file, {redriven} AS redriven "
            f"FROM read_parquet([{listed}], filename = true, union_by_name = true)"
        )
        limit = int(self.lateness.total_seconds())
        connection.execute(
            "CREATE VIEW judged AS SELECT *, after_load AND NOT redriven AND "
            "arrived_at > date_trunc('hour', happened_at) + INTERVAL 1 HOUR "
            f"+ INTERVAL {limit} SECOND AS too_late FROM lines"
        )
        connection.execute("CREATE VIEW kept AS SELECT * FROM judged WHERE reason IS NULL AND NOT too_late")
        connection.execute(_NAMED_TRACES)
        if connection.execute("SELECT count(*) FROM named_traces").fetchone() == (0,):
            connection.execute("CREATE VIEW events AS SELECT * FROM kept")
            return
        connection.execute(
            "CREATE VIEW events AS SELECT kept.* REPLACE (coalesce(task, subject) AS subject) "
            "FROM kept LEFT JOIN named_traces ON trace = subject"
        )


def select(
    connection: duckdb.DuckDBPyConnection,
    columns: str,
    kinds: Collection[str],
    *,
    subjects: pl.DataFrame | None = None,
    outer: str = "*",
) -> pl.DataFrame:
    """``columns`` of the events of ``kinds``, each event once; of ``subjects`` (column ``subject``) only.

    ``outer`` is selected from those columns.
    Of several copies of an event the one is read that came first: not after loading, then by segment and
    place.
    """
    wanted = "kind IN (SELECT unnest($kinds))"
    if subjects is not None:
        connection.register("subjects", subjects)
        wanted += " AND subject IN (SELECT subject FROM subjects)"
    parameters: dict[str, Any] = {"kinds": list(kinds)}
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE copies AS SELECT file, byte_offset FROM ("
        "SELECT file, byte_offset, row_number() OVER (PARTITION BY event_id "
        "ORDER BY after_load, segment, segment_hash, redriven, byte_offset) AS place FROM events "
        f"WHERE {wanted} AND event_id IN "
        f"(SELECT event_id FROM events WHERE {wanted} GROUP BY event_id HAVING count(*) > 1)) "
        "WHERE place > 1",
        parameters,
    )
    without = (
        ""
        if connection.execute("SELECT count(*) FROM copies").fetchone() == (0,)
        else " AND (file, byte_offset) NOT IN (SELECT (file, byte_offset) FROM copies)"
    )
    inner = f"SELECT {columns} FROM events WHERE {wanted}{without}"
    return connection.execute(f"SELECT {outer} FROM ({inner})", parameters).pl()


def default_archive() -> Archive:
    """The archive in the data folder, with the lateness of ``configs/telemetry.yaml``."""
    lateness = timedelta(hours=load_telemetry().loading.lateness_hours)
    return Archive(archive_directory(), snapshot_directory(), lateness)


def read_events(hour: Hour, kinds: Collection[str]) -> pl.DataFrame:
    """The events of ``kinds`` in ``hour`` (``EVENT_SCHEMA``), each once, ordered by time, process, sequence.

    Only what was verified: a broken line, a body that is not its kind's or an event that came beyond the
    configured lateness is left out and stands in ``telemetry.rejected_events``.
    """
    return default_archive().read_events(hour, kinds)


def _parquet(folder: Path) -> list[Path]:
    return sorted(folder.glob("[!.]*.parquet")) if folder.is_dir() else []
