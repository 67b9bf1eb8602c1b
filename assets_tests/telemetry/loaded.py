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
from pipeline.warehouse.store import Warehouse


def load_hour(
    archive: Archive, warehouse: Warehouse, spool: Path, hour: Hour = HOUR, settings: Loading | None = None
) -> pl.DataFrame:
    """Take the spool in, fill every table of the loader at ``hour``; the data points, none rejected."""
    problems = taken(archive, spool).problems
    warehouse.replace_hour(EVENT_SEGMENTS, hour, summaries.event_segments(archive, hour, problems))
    for kind, table in projecting.ONE_KIND.items():
        warehouse.replace_hour(table, hour, projecting.table_rows(archive, kind, hour))
    warehouse.replace_hour(TASK_EXECUTIONS, hour, projecting.executions(archive, hour))
    warehouse.replace_hour(RECORDER_REPORTS, hour, projecting.reports(archive, hour))
    warehouse.replace_hour(EVENT_COUNTS, hour, summaries.event_counts(archive, hour))
    warehouse.replace_hour(RECORDER_PROCESSES, hour, processes(archive, hour))
    warehouse.replace_hour(REJECTED_EVENTS, hour, summaries.rejected_events(archive, hour))
    points = loading.data_points(archive, warehouse, hour, settings or Loading())
    written = warehouse.replace_hour(DATA_POINTS, hour, points)
    assert written.rejected.height == 0
    loading.mark_loaded(archive, hour)
    return written.frame
