"""Rejected events loaded after all: those that are valid now, and those that came too late.

What belongs here: judging kept lines again and putting the good ones into the archive. What does not: loading
the hours they belong to, which the ordinary assets do.

A line that is valid now is written to a file ``redriven-<hash>.parquet`` of its hour with its place in its
segment; readers take it from there, and it leaves ``telemetry.rejected_events``. Nothing is changed in place.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import polars as pl

from pipeline.hours import Hour, now
from pipeline.telemetry.archive import REDRIVEN, Archive
from pipeline.telemetry.archiving import ARCHIVE_SCHEMA, archive_lock, by_hour, make_durable
from pipeline.telemetry.lines import ROW_SCHEMA, judge, restored
from pipeline.telemetry.places import hour_folder
from pipeline.telemetry.summaries import NOT_REDRIVEN

_KEPT = (
    "SELECT * EXCLUDE (reason), coalesce(reason, 'late') AS reason FROM judged "
    f"WHERE (reason IS NOT NULL OR too_late) AND {NOT_REDRIVEN} "
    "AND ($reason IS NULL OR coalesce(reason, 'late') = $reason) ORDER BY segment, segment_hash, byte_offset"
)


@dataclass(frozen=True)
class Redriven:
    """What a redrive finds in one hour.

    ``lines`` has a row per rejected line: segment, byte_offset, reason, ``valid`` (it can be loaded now) and
    ``message`` (why not); ``hours`` are those that the valid ones belong to.
    """

    hour: Hour
    lines: pl.DataFrame
    hours: tuple[Hour, ...]


def redrive(archive: Archive, hour: Hour, *, reason: str | None = None, write: bool = False) -> Redriven:
    """Judge the rejected lines of ``hour`` again (those with ``reason`` only) and, where told, keep the
    good ones.

    A line that the archive keeps as broken stays broken: its bytes do not change. An event that was late is
    valid. Doing it twice does nothing the second time.
    """
    with archive.reading(hour) as connection:
        if connection is None:
            kept = pl.DataFrame(schema={**ARCHIVE_SCHEMA, "too_late": pl.Boolean()})
        else:
            kept = connection.execute(_KEPT, {"reason": reason}).pl()
    again = _judged_again(kept)
    valid = again.filter(pl.col("reason").is_null())
    shown = kept.select("segment", "segment_hash", "byte_offset", "kind", "event_id", "reason").with_columns(
        valid=again["reason"].is_null(), message=again["message"]
    )
    parts = list(by_hour(valid, hour)) if valid.height else []
    if write and parts:
        with archive_lock(archive.directory):
            for own, rows in parts:
                _write(archive, own, rows)
            # The place it stood at must know too, so that the line is not listed as rejected there.
            for own, rows in parts:
                if own != hour:
                    _write(archive, hour, rows)
    return Redriven(hour, shown, tuple(own for own, _ in parts))


def _judged_again(kept: pl.DataFrame) -> pl.DataFrame:
    """The kept rows as this version judges their lines, one by one, in the columns of the archive."""
    frames = [pl.DataFrame(schema=ARCHIVE_SCHEMA)]
    for row in kept.iter_slices(1):
        offset = row["byte_offset"][0]
        line = restored(row.select(ROW_SCHEMA))
        judged = judge(line, offset, now()).with_columns(
            **{name: row[name] for name in ARCHIVE_SCHEMA if name not in ROW_SCHEMA}
        )
        frames.append(judged.select(pl.col(name).cast(dtype) for name, dtype in ARCHIVE_SCHEMA.items()))
    return pl.concat(frames)


def _write(archive: Archive, hour: Hour, rows: pl.DataFrame) -> None:
    digest = hashlib.sha256()
    for segment, place in rows.select("segment_hash", "byte_offset").iter_rows():
        digest.update(f"{segment}:{place}\n".encode())
    folder = hour_folder(archive.directory, hour)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{REDRIVEN}{digest.hexdigest()[:16]}.parquet"
    temporary = folder / f".writing-{target.name}"
    rows.write_parquet(temporary, compression="zstd")
    make_durable(temporary)
    temporary.replace(target)
    make_durable(folder)
