"""Closed segments into the archive: written, read back, renamed, and only then the segment is removed.

What belongs here: files and their order of events. What does not: judging lines (``lines``), which segments
are closed (``pipeline.capture.spool``), reading the archive (``archive``).

``raw/events/<YYYY-MM-DD-HH>/<segment>.<hash>.parquet`` has the events of one hour of one segment. The name
follows from the content, so that archiving again after a kill, or a segment copied back, makes the same file.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import PipelineError
from pipeline.hours import Hour, now
from pipeline.telemetry.lines import ROW_SCHEMA, judge, pieces
from pipeline.telemetry.places import LOADED_MARK, hour_folder, hour_of_folder
from pipeline.warehouse.tables import UTC_DATETIME

ARCHIVE_SCHEMA: dict[str, pl.DataType] = {
    **ROW_SCHEMA,
    "segment": pl.String(),
    "segment_hash": pl.String(),
    "segment_bytes": pl.Int64(),
    "arrived_at": UTC_DATETIME,
    "after_load": pl.Boolean(),
}
"""Columns of the archive: a judged line, its segment, when the segment was last written to, and whether its
hour had been loaded (after it was over) before that."""

_TEMPORARY = ".writing-"
_COMPRESSION_LEVEL = 3


class ArchiveError(PipelineError):
    """A segment could not be archived; it stays where it is, and trying again later may help."""

    retryable = True


@dataclass(frozen=True)
class Archived:
    """What became of one segment: the files that hold it and how many of its lines are events or not."""

    segment: str
    files: tuple[Path, ...]
    events: int
    rejected: int


def archive_segment(path: Path, hour: Hour, archive: Path) -> Archived:
    """Put a closed segment of ``hour`` into the archive and remove it; safe to repeat after a kill.

    The caller holds ``archive_lock``. Events go to the folder of their own hour; what has no usable time
    stays in the segment's. Raises ``FileNotFoundError`` where another archiver was faster, ``ArchiveError``
    where it cannot be read, written, or read back as it was written: then the segment stays.
    """
    try:
        data = path.read_bytes()
        modified = path.stat().st_mtime
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ArchiveError(
            f"Archiving {path.name}: it cannot be read ({error.strerror}); it stays where it is."
        ) from error
    files, events, rejected = _write(path, data, modified, hour, archive)
    if path.stat().st_size != len(data):
        raise ArchiveError(
            f"Archiving {path.name}: it grew while it was read, so it is not closed; it stays."
        )
    path.unlink()
    return Archived(path.name, files, events, rejected)


def judged_segment(name: str, data: bytes, digest: str, modified: float) -> Iterator[pl.DataFrame]:
    """A segment's rows in the columns of the archive, piece by piece, kinds together within a piece."""
    for offset, piece in pieces(data):
        yield (
            judge(piece, offset, now())
            .sort("kind", "byte_offset", nulls_last=True)
            .with_columns(
                segment=pl.lit(name),
                segment_hash=pl.lit(digest),
                segment_bytes=pl.lit(len(data), dtype=pl.Int64),
                arrived_at=pl.lit(datetime.fromtimestamp(modified, UTC), dtype=UTC_DATETIME),
                after_load=pl.lit(False),
            )
        )


@contextmanager
def archive_lock(archive: Path) -> Iterator[None]:
    """One archiver at a time, also among processes; the lock goes with the process that holds it.

    What a killed archiver left half-written is removed first.
    """
    archive.mkdir(parents=True, exist_ok=True)
    with (archive / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        for place in archive.glob(f"*/{_TEMPORARY}*"):
            place.unlink()
        yield


def _write(
    path: Path, data: bytes, modified: float, hour: Hour, archive: Path
) -> tuple[tuple[Path, ...], int, int]:
    digest = hashlib.sha256(data).hexdigest()
    writers: dict[Hour, _HourFile] = {}
    events = rejected = 0
    try:
        for rows in judged_segment(path.name, data, digest, modified):
            events += rows["reason"].null_count()
            rejected += rows.height - rows["reason"].null_count()
            for own, part in by_hour(rows, hour):
                if own not in writers:
                    writers[own] = _HourFile(archive, own, f"{path.stem}.{digest[:16]}.parquet")
                writers[own].append(part)
        files = tuple(writer.finish() for writer in writers.values())
    except (OSError, pa.ArrowException) as error:
        raise ArchiveError(
            f"Archiving {path.name}: the archive cannot be written ({error}); the segment stays; free "
            "space or mend the folder, then try again."
        ) from error
    finally:
        for writer in writers.values():
            writer.close()
    return files, events, rejected


def by_hour(rows: pl.DataFrame, hour: Hour) -> Iterator[tuple[Hour, pl.DataFrame]]:
    """Rows by the hour they belong to: an event's own; the segment's where it has no usable time."""
    timeless = pl.col("happened_at").is_null() | pl.col("reason").eq_missing("bad_time")
    own = rows.with_columns(
        _hour=pl.when(timeless).then(pl.lit(hour.start)).otherwise(pl.col("happened_at").dt.truncate("1h"))
    )
    for (start,), part in own.group_by("_hour", maintain_order=True):
        assert isinstance(start, datetime)
        yield Hour.of(start), part.drop("_hour")


class _HourFile:
    """One hour's Parquet file of a segment while it is written: a row group per kind and piece."""

    def __init__(self, archive: Path, hour: Hour, name: str) -> None:
        self.folder = hour_folder(archive, hour)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.place = self.folder / name
        self.temporary = self.folder / f"{_TEMPORARY}{name}"
        self.after_load = (self.folder / LOADED_MARK).exists()
        self.writer: pq.ParquetWriter | None = None
        self.groups: list[tuple[int, int]] = []

    def append(self, rows: pl.DataFrame) -> None:
        for _, group in rows.with_columns(after_load=pl.lit(self.after_load)).group_by(
            "kind", maintain_order=True
        ):
            table = group.to_arrow()
            if self.writer is None:
                self.writer = pq.ParquetWriter(
                    self.temporary, table.schema, compression="zstd", compression_level=_COMPRESSION_LEVEL
                )
            self.writer.write_table(table)
            self.groups.append(_mark(group))

    def finish(self) -> Path:
        """Close, read back and compare, make durable, and give the file its name."""
        if self.place.exists() and _same(self.place, self.groups):
            self.close()
            self.temporary.unlink()
            return self.place
        self.close()
        if not _same(self.temporary, self.groups):
            raise OSError(f"{self.place.name} does not read back as it was written")
        make_durable(self.temporary)
        self.temporary.replace(self.place)
        make_durable(self.folder)
        return self.place

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
            self.writer = None


def _mark(rows: pl.DataFrame) -> tuple[int, int]:
    content = rows.drop("arrived_at", "after_load")
    return rows.height, int(content.hash_rows().sum() or 0)


def _same(place: Path, groups: list[tuple[int, int]]) -> bool:
    """Whether the file has exactly these row groups; a file that cannot be read has not."""
    try:
        file = pq.ParquetFile(place)
        if file.num_row_groups != len(groups):
            return False
        return all(
            _mark(pl.DataFrame(pl.from_arrow(file.read_row_group(number, use_threads=False)))) == mark
            for number, mark in enumerate(groups)
        )
    except (OSError, pa.ArrowException):
        return False


def make_durable(path: Path) -> None:
    """Make a file or a folder's names survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def archived_hours(archive: Path) -> list[Hour]:
    """The hours that the archive has a folder of, oldest first."""
    folders = archive.iterdir() if archive.is_dir() else iter(())
    return sorted(hour for folder in folders if (hour := hour_of_folder(folder.name)) is not None)
