"""An hour loaded by the plain functions, in the order of the assets and without Dagster."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from assets_tests.telemetry.events import HOUR, taken
from pipeline.hours import Hour
from pipeline.settings.telemetry import Loading
from pipeline.telemetry import loading, projecting, summaries
from pipeline.telemetry.archive import Archive
from pipeline.telemetry.conservation import processes
from pipeline.telemetry.tables import (
    DATA_POINTS,
    EVENT_COUNTS,
    EVENT_SEGMENTS,
    RECORDER_PROCESSES,
    RECORDER_REPORTS,
    REJECTED_EVENTS,
    TASK_EXECUTIONS,
)
from pipeline.warehouse.store import Replacement, Warehouse


def load_hour(
    archive: Archive, warehouse: Warehouse, spool: Path, hour: Hour = HOUR, settings: Loading | None = None
) -> pl.DataFrame:
    """Take the spool in, fill every table of the loader at ``hour``; the data points, none rejected."""
    problems = taken(archive, spool).problems
    frames = {
        EVENT_SEGMENTS: summaries.event_segments(archive, hour, problems),
        **{table: projecting.table_rows(archive, kind, hour) for kind, table in projecting.ONE_KIND.items()},
        TASK_EXECUTIONS: projecting.executions(archive, hour),
        RECORDER_REPORTS: projecting.reports(archive, hour),
        EVENT_COUNTS: summaries.event_counts(archive, hour),
        RECORDER_PROCESSES: processes(archive, hour),
        REJECTED_EVENTS: summaries.rejected_events(archive, hour),
    }
    warehouse.replace_hours(hour, [Replacement(table, frame) for table, frame in frames.items()])
    points = loading.data_points(archive, warehouse, hour, settings or Loading())
    written = warehouse.replace_hour(DATA_POINTS, hour, points)
    assert written.rejected.height == 0
    loading.mark_loaded(archive, hour)
    return written.frame
