"""Which hours must be loaded again because events reached them since.

What belongs here: comparing spool and archive with what the tables were made of. What does not: starting runs
(the sensor in ``pipeline.schedules``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl

from pipeline.capture.spool import is_closed, segments
from pipeline.hours import Hour, now
from pipeline.telemetry.archive import Archive
from pipeline.telemetry.archiving import archived_hours
from pipeline.telemetry.places import hour_folder, hour_of_folder
from pipeline.telemetry.tables import DATA_POINTS, EVENT_SEGMENTS
from pipeline.warehouse.statements import existing_columns
from pipeline.warehouse.store import Warehouse

REMEMBERED = timedelta(days=7)
"""An hour's folder is compared with its tables for this long after something was put into it."""

_POINTS_OF = (
    "SELECT DISTINCT hour FROM telemetry.data_points WHERE hour < $hour AND hour >= $earliest "
    "AND task_id IN (SELECT subject FROM found)"
)


@dataclass(frozen=True, order=True)
class Stale:
    """An hour to load again, why, and a key that stands for what is new."""

    hour: Hour
    reason: str
    key: str


def stale_hours(
    archive: Archive, warehouse: Warehouse, spool: Iterable[Path], *, horizon: int, since: datetime
) -> list[Stale]:
    """Hours with closed segments in the spool, archived files that were not loaded, or later events of
    their tasks.

    The third is looked for in files that were archived after ``since``; a task's events lie at most
    ``horizon`` hours after it.
    """
    found = _waiting(spool)
    loaded = _loaded_files(warehouse)
    changed = _changed_hours(archive)
    for hour in changed:
        new = [place.name for place in archive.files(hour) if archive.directory in place.parents]
        new = [name for name in new if name not in loaded.get(hour, set())]
        if new:
            found.append(Stale(hour, f"{len(new)} archived segment(s) were not loaded yet", _key(new)))
    for hour in changed:
        new_files = _files_since(archive, hour, since)
        for earlier in _hours_of_tasks(warehouse, hour, new_files, horizon):
            names = [place.name for place in new_files]
            found.append(Stale(earlier, f"events of its tasks came in hour {hour}", _key([hour.key, *names])))
    return sorted({(stale.hour, stale.key): stale for stale in found}.values())


def _waiting(spool: Iterable[Path]) -> list[Stale]:
    by_hour: dict[Hour, list[str]] = {}
    for segment in segments(spool):
        try:
            hour = hour_of_folder(segment.path.parent.name)
            if hour is not None and is_closed(segment.path):
                by_hour.setdefault(hour, []).append(f"{segment.path.name}:{segment.size}")
        except FileNotFoundError:
            continue  # archived since it was listed: nothing waits
    return [
        Stale(hour, f"{len(names)} closed segment(s) wait in the spool", _key(names))
        for hour, names in by_hour.items()
    ]


def _changed_hours(archive: Archive) -> list[Hour]:
    oldest = (now() - REMEMBERED).timestamp()
    return [
        hour
        for hour in archived_hours(archive.directory)
        if hour_folder(archive.directory, hour).stat().st_mtime >= oldest
    ]


def _files_since(archive: Archive, hour: Hour, since: datetime) -> list[Path]:
    folder = hour_folder(archive.directory, hour)
    return sorted(
        place for place in folder.glob("[!.]*.parquet") if place.stat().st_mtime >= since.timestamp()
    )


def _loaded_files(warehouse: Warehouse) -> dict[Hour, set[str]]:
    if not warehouse.path.exists():
        return {}
    with warehouse.reading() as connection:
        if not existing_columns(connection, EVENT_SEGMENTS):
            return {}
        rows = connection.execute(
            f"SELECT hour, file FROM {EVENT_SEGMENTS.name} WHERE state = 'archived'"
        ).pl()
    return {
        Hour.of(hour): set(part["file"])
        for (hour,), part in rows.group_by("hour")
        if isinstance(hour, datetime)
    }


def _hours_of_tasks(warehouse: Warehouse, hour: Hour, files: list[Path], horizon: int) -> list[Hour]:
    """Earlier hours with data points of the tasks that ``files`` have events of."""
    if not files or not horizon or not warehouse.path.exists():
        return []
    with duckdb.connect() as own:
        subjects = own.execute(
            "SELECT DISTINCT subject FROM read_parquet($files) WHERE reason IS NULL",
            {"files": [str(place) for place in files]},
        ).pl()
    with warehouse.reading() as connection:
        if not existing_columns(connection, DATA_POINTS):
            return []
        connection.register("found", subjects.select(pl.col("subject")))
        earliest = hour.start - timedelta(hours=horizon)
        rows = connection.execute(_POINTS_OF, {"hour": hour.start, "earliest": earliest}).pl()
    return [Hour.of(start) for start in rows["hour"]]


def _key(names: list[str]) -> str:
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()[:16]
