"""The spool taken in: closed segments archived, open ones read to their last whole line.

What belongs here: what happens to each segment of the spool. What does not: how one is archived (``archiving``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from pipeline.capture.spool import Segment, is_closed, segments
from pipeline.hours import Hour
from pipeline.telemetry.archive import Archive
from pipeline.telemetry.archiving import ArchiveError, Archived, archive_segment, by_hour, judged_segment
from pipeline.telemetry.places import hour_folder


@dataclass
class TakenIn:
    """What became of the spool: segments archived, still open, and those that could not be archived, with why."""

    archived: list[Archived] = field(default_factory=list)
    still_open: list[str] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)


def take_in(archive: Archive, spool: Iterable[Path], say: Callable[[str], None]) -> TakenIn:
    """Archive every closed segment and read the open ones; safe to repeat, and to run beside writers.

    A segment that cannot be archived stays where it is, is said, and keeps no other one from being archived.
    """
    outcome = TakenIn()
    for segment in segments(spool):
        hour = Hour.parse(segment.hour)
        try:
            if is_closed(segment.path):
                outcome.archived.append(archive_segment(segment.path, hour, archive.directory))
            else:
                snapshot(segment, hour, archive.snapshots)
                outcome.still_open.append(segment.path.name)
        except FileNotFoundError:
            say(f"{segment.path.name} was archived by another process meanwhile.")
        except ArchiveError as error:
            outcome.problems[segment.path.name] = str(error)
            say(str(error))
    _drop_stale_snapshots(archive, outcome)
    return outcome


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
    pieces = judged_segment(segment.path.name, data, digest, segment.path.stat().st_mtime, hour)
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
