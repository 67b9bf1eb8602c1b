"""An hour's data points from its loaded tables and the archive around it.

What belongs here: which rows are read for the join. What does not: the join itself (``joining``), verdicts
(``validating``).
"""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from pipeline.capture.events import TASK_KINDS
from pipeline.hours import Hour, now
from pipeline.privacy.policies import make_detector
from pipeline.settings.privacy import load_privacy
from pipeline.settings.telemetry import Loading
from pipeline.telemetry.archive import Archive
from pipeline.telemetry.joining import PARTS, following, join_points, members, part_columns
from pipeline.telemetry.places import LOADED_MARK, hour_folder
from pipeline.telemetry.projecting import ONE_KIND, executions
from pipeline.telemetry.rolling_up import roll_up, span_parts
from pipeline.telemetry.tables import DATA_POINTS, TASK_EXECUTIONS
from pipeline.telemetry.validating import is_audited, private_tasks, validate_points
from pipeline.warehouse.store import Warehouse
from pipeline.warehouse.tables import Table


def data_points(archive: Archive, warehouse: Warehouse, hour: Hour, settings: Loading) -> pl.DataFrame:
    """``telemetry.data_points`` of ``hour``; its event tables must have been loaded.

    Raises ``InputError`` where one was not.
    """
    tasks, elsewhere = members(archive, hour, settings.task_horizon_hours)
    if not tasks.height:
        return DATA_POINTS.empty()
    parts = {part: _loaded_part(warehouse, part, hour) for part in PARTS}
    for part, frame in following(archive, elsewhere, tasks.select("subject")).items():
        parts[part] = pl.concat([parts[part], frame.cast(parts[part].schema)])
    parts["executions"] = _rolled_up(archive, parts["executions"], tasks["subject"], [hour, *elsewhere])
    private = _audited(archive, [hour, *elsewhere], tasks, settings)
    return validate_points(join_points(tasks, parts), hour, settings, private)


def task_executions(archive: Archive, hour: Hour, horizon: int) -> pl.DataFrame:
    """``telemetry.task_executions``; what an execution does not state is added up from its spans, which may
    have ended up to ``horizon`` hours before it."""
    found = executions(archive, hour)
    if found.is_empty():
        return found
    earliest = Hour(hour.start - timedelta(hours=horizon))
    return _rolled_up(archive, found, found["task_id"], [earliest, hour])


def _rolled_up(
    archive: Archive, executions: pl.DataFrame, tasks: pl.Series, hours: list[Hour]
) -> pl.DataFrame:
    """The executions with their spans of all hours from the first to the last of ``hours``."""
    first, last = min(hours), max(hours)
    between = int((last.start - first.start) / timedelta(hours=1)) + 1
    every = [Hour(first.start + timedelta(hours=step)) for step in range(between)]
    return roll_up(executions, span_parts(archive, every, tasks))


def mark_loaded(archive: Archive, hour: Hour) -> None:
    """Note that ``hour`` was loaded after it was over: what is archived into it from now on is late."""
    folder = hour_folder(archive.directory, hour)
    if hour.end <= now() and folder.is_dir():
        (folder / LOADED_MARK).touch()


def _table(part: str) -> Table:
    return TASK_EXECUTIONS if part == "executions" else ONE_KIND[part]


def _loaded_part(warehouse: Warehouse, part: str, hour: Hour) -> pl.DataFrame:
    table = _table(part)
    return warehouse.read_columns(table, hour, part_columns(part))


def audited_tasks(tasks: pl.DataFrame, settings: Loading) -> pl.DataFrame:
    """The tasks (column ``subject``) whose events are scanned again: all of them where they have few events
    (``audited_whole_events``), otherwise a share that is the same at every run."""
    if settings.audited_share and tasks["event_count"].sum() <= settings.audited_whole_events:
        return tasks.select("subject")
    drawn = [task for task in tasks["subject"] if is_audited(task, settings.audited_share)]
    return pl.DataFrame({"subject": drawn}, {"subject": pl.String})


def _audited(archive: Archive, hours: list[Hour], tasks: pl.DataFrame, settings: Loading) -> frozenset[str]:
    """Audited tasks in whose events private data stands behind the door."""
    drawn = audited_tasks(tasks, settings)
    if not drawn.height:
        return frozenset()
    with archive.reading(*hours) as connection:
        if connection is None:
            return frozenset()
        connection.register("drawn", drawn)
        rows = connection.execute(
            "SELECT subject, body FROM events WHERE kind IN (SELECT unnest($kinds)) "
            "AND subject IN (SELECT subject FROM drawn)",
            {"kinds": list(TASK_KINDS)},
        ).fetchall()
    return private_tasks(rows, make_detector(load_privacy()))
