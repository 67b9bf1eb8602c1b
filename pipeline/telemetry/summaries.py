"""What an hour was loaded from and what was not loaded: segments, counts by minute, rejected lines.

What belongs here: the tables about lines rather than tasks. What does not: the law over them
(``conservation``).
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from pipeline.hours import Hour
from pipeline.telemetry.archive import Archive
from pipeline.telemetry.tables import EVENT_COUNTS, EVENT_SEGMENTS, REJECTED_EVENTS
from pipeline.warehouse.tables import UTC_DATETIME, Table

NOT_REDRIVEN = (
    "NOT redriven AND (segment_hash, byte_offset) NOT IN "
    "(SELECT (segment_hash, byte_offset) FROM judged WHERE redriven)"
)
"""Lines that no redrive has loaded."""

_REJECTED = f"""
SELECT segment, segment_hash, byte_offset, coalesce(reason, 'late') AS reason,
       coalesce(message, 'The event came after its hour had been loaded, later than configured.') AS message,
       kind, event_id, coalesce(process, nullif(regexp_extract(segment, '^([0-7][0-9A-Z]{{25}})-', 1), ''))
       AS process, sequence, subject AS task_id, happened_at, length
FROM judged WHERE (reason IS NOT NULL OR too_late) AND {NOT_REDRIVEN}
ORDER BY segment, segment_hash, byte_offset
"""

_COUNTS = """
SELECT minute(happened_at) AS minute, kind, synthetic, count(DISTINCT event_id) AS loaded,
       count(*) - count(DISTINCT event_id) AS duplicates, sum(length)::BIGINT AS line_bytes
FROM events GROUP BY ALL ORDER BY ALL
"""

_SEGMENTS = """
SELECT split_part(file, '/', -1) AS file, min(segment) AS segment, min(segment_hash) AS segment_hash,
       max(segment_bytes) AS segment_bytes, count(*) AS lines, count(reason) AS rejected,
       bool_or(after_load) AS after_load, starts_with(file, $snapshots) AS open
FROM lines GROUP BY file ORDER BY ALL
"""


def rejected_events(archive: Archive, hour: Hour) -> pl.DataFrame:
    """``telemetry.rejected_events`` of ``hour``: lines that are no events, and events that came too late."""
    return _of_hour(archive, hour, _REJECTED, REJECTED_EVENTS)


def event_counts(archive: Archive, hour: Hour) -> pl.DataFrame:
    """``telemetry.event_counts`` of ``hour``."""
    return _of_hour(archive, hour, _COUNTS, EVENT_COUNTS)


def event_segments(archive: Archive, hour: Hour, problems: Mapping[str, str]) -> pl.DataFrame:
    """``telemetry.event_segments`` of ``hour``; ``problems`` are segments that could not be archived, with
    why."""
    with archive.reading(hour) as connection:
        found = (
            EVENT_SEGMENTS.empty().drop("hour", "state", "problem").with_columns(open=pl.lit(False))
            if connection is None
            else connection.execute(_SEGMENTS, {"snapshots": str(archive.snapshots)}).pl()
        )
    unreadable = pl.DataFrame(
        [{"file": name, "segment": name, "problem": why} for name, why in sorted(problems.items())],
        schema={"file": pl.String, "segment": pl.String, "problem": pl.String},
    ).with_columns(
        state=pl.lit("unreadable"),
        segment_hash=pl.lit(""),
        segment_bytes=pl.lit(0),
        lines=pl.lit(0),
        rejected=pl.lit(0),
        after_load=pl.lit(False),
    )
    shown = found.with_columns(
        state=pl.when("open").then(pl.lit("open")).otherwise(pl.lit("archived")),
        # An open segment's file is made again as it grows: it is known by its segment.
        file=pl.when("open").then("segment").otherwise("file"),
    )
    return _shaped(pl.concat([shown, unreadable], how="diagonal_relaxed"), EVENT_SEGMENTS, hour)


def _of_hour(archive: Archive, hour: Hour, query: str, table: Table) -> pl.DataFrame:
    with archive.reading(hour) as connection:
        if connection is None:
            return table.empty()
        return _shaped(connection.execute(query).pl(), table, hour)


def _shaped(frame: pl.DataFrame, table: Table, hour: Hour) -> pl.DataFrame:
    full = frame.with_columns(
        hour=pl.lit(hour.start, dtype=UTC_DATETIME),
        **{name: pl.lit(None) for name in table.polars_schema if name not in (*frame.columns, "hour")},
    )
    return full.select(pl.col(name).cast(dtype) for name, dtype in table.polars_schema.items())
