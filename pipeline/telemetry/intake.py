"""The spool taken in: closed segments archived, open ones read to their last whole line.

What belongs here: what happens to each segment of the spool. What does not: how one is archived
(``archiving``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from pipeline.capture.spool import Segment, is_closed, segments
from pipeline.hours import Hour
from pipeline.telemetry.archive import Archive
from pipeline.telemetry.archiving import (
    Archived,
    ArchiveError,
    archive_lock,
    archive_segment,
    by_hour,
    judged_segment,
)
from pipeline.telemetry.places import hour_folder, hour_of_folder

WORKERS = 2


@dataclass
class TakenIn:
    """What became of the spool: segments archived, still open, and those that could not be archived, with
    why."""

    archived: list[Archived] = field(default_factory=list)
    still_open: list[str] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)


def take_in(archive: Archive, spool: Iterable[Path], say: Callable[[str], None]) -> TakenIn:
    """Archive every closed segment and read the open ones; safe to repeat, and to run beside writers.

    A segment that cannot be archived stays where it is, is said, and keeps no other one from being archived.
    """
    outcome = TakenIn()
    with archive_lock(archive.directory), ThreadPoolExecutor(WORKERS) as workers:
        # Two at a time: while one is written, compressed and read back, the other's lines are judged.
        for segment, result in workers.map(
            lambda segment: (segment, _taken(archive, segment)), segments(spool)
        ):
            if isinstance(result, Archived):
                outcome.archived.append(result)
            elif result is None:
                outcome.still_open.append(segment.path.name)
            else:
                outcome.problems[segment.path.name] = result
                say(result)
        _drop_stale_snapshots(archive, outcome)
    return outcome


def _taken(archive: Archive, segment: Segment) -> Archived | str | None:
    """What became of one segment: archived, none where it is still open, or why it could not be archived."""
    hour = hour_of_folder(segment.path.parent.name)
    if hour is None:
        return (
            f"Archiving {segment.path.name}: it lies in the folder {segment.path.parent.name}, which is no "
            "hour (YYYY-MM-DD-HH); it stays; move it to the folder of its hour."
        )
    try:
        if is_closed(segment.path):
            return archive_segment(segment.path, hour, archive.directory)
        snapshot(segment, hour, archive.snapshots)
    except FileNotFoundError:
        return Archived(segment.path.name, (), 0, 0)  # gone since it was listed: whoever took it archived it
    except ArchiveError as error:
        return str(error)
    return None


def snapshot(segment: Segment, hour: Hour, directory: Path) -> None:
    """What stands in an open segment up to its last whole line, as Parquet like the archive's.

    Made again only where the segment has grown; replaces the earlier one in one step.
    """
    data = segment.path.read_bytes()
    data = data[: data.rfind(b"\n") + 1]
    digest = hashlib.sha256(data).hexdigest()
    name = f"{segment.path.stem}.{digest[:16]}.parquet"
    folder = hour_folder(directory, hour)
    if not data or (folder / name).exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    pieces = judged_segment(segment.path.name, data, digest, segment.path.stat().st_mtime)
    # Events of another hour wait until the segment is archived, which puts them where they belong.
    own = [part for rows in pieces for found, part in by_hour(rows, hour) if found == hour]
    if not own:
        return
    temporary = folder / f".{name}"
    pl.concat(own).write_parquet(temporary, compression="lz4")
    earlier = set(folder.glob(f"{segment.path.stem}.*.parquet"))
    temporary.replace(folder / name)
    for place in earlier:
        place.unlink(missing_ok=True)


def _drop_stale_snapshots(archive: Archive, outcome: TakenIn) -> None:
    """Remove snapshots of segments that are not open any more; the archive has them."""
    kept = {Path(name).stem for name in outcome.still_open} | {Path(name).stem for name in outcome.problems}
    for place in archive.snapshots.glob("*/*.parquet"):
        if place.name.split(".")[0] not in kept:
            place.unlink(missing_ok=True)
