"""An hour's data points from its loaded tables and the archive around it.

What belongs here: which rows are read for the join. What does not: the join itself (``joining``), verdicts
(``validating``).
"""

from __future__ import annotations

import polars as pl

from pipeline.capture.events import TASK_KINDS
from pipeline.hours import Hour, now
from pipeline.privacy.policies import make_detector
from pipeline.settings.privacy import load_privacy
from pipeline.settings.telemetry import Loading
from pipeline.telemetry.archive import Archive
from pipeline.telemetry.joining import PARTS, following, join_points, members, part_columns
from pipeline.telemetry.places import LOADED_MARK, hour_folder
from pipeline.telemetry.projecting import ONE_KIND
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
    private = _audited(archive, [hour, *elsewhere], tasks, settings)
    return validate_points(join_points(tasks, parts), hour, settings, private)


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
