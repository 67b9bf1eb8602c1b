"""Assets of the loader: the spool taken in, event tables, the conservation law, data points; hour by hour.

What belongs here: wiring. What does not: loading itself; those are plain functions of this domain.
"""

from collections.abc import Callable

import dagster as dg
import polars as pl

from pipeline.capture.spool import spool_directories
from pipeline.hours import Hour
from pipeline.settings.telemetry import load_telemetry
from pipeline.telemetry import charts, conservation, loading, projecting, summaries
from pipeline.telemetry.archive import Archive, default_archive
from pipeline.telemetry.intake import take_in
from pipeline.telemetry.tables import (
    DATA_POINTS,
    EVENT_COUNTS,
    EVENT_SEGMENTS,
    EVENT_TABLES,
    RECORDER_PROCESSES,
    RECORDER_REPORTS,
    REJECTED_EVENTS,
    TASK_EXECUTIONS,
)
from pipeline.warehouse.assets import Check, Computed, Finding, Output, Step, preview, table_assets
from pipeline.warehouse.tables import Table

KINDS = frozenset({"duckdb", "polars", "parquet"})

Rows = Callable[[Archive, Hour], pl.DataFrame]


def _take_in(step: Step) -> list[Computed]:
    archive = default_archive()
    outcome = take_in(archive, spool_directories(), step.log)
    step.log(f"{len(outcome.archived)} segment(s) archived, {len(outcome.still_open)} still open.")
    return [Computed(summaries.event_segments(archive, step.hour, outcome.problems))]


def _rows(rows: Rows) -> Callable[[Step], list[Computed]]:
    return lambda step: [Computed(rows(default_archive(), step.hour))]


def _data_points(step: Step) -> list[Computed]:
    archive = default_archive()
    points = loading.data_points(archive, step.warehouse, step.hour, load_telemetry().loading)
    loading.mark_loaded(archive, step.hour)
    return [Computed(points)]


def _every_segment_is_archived(_: Step, frame: pl.DataFrame) -> Finding:
    stuck = frame.filter(pl.col("state") == "unreadable")
    return Finding(
        passed=stuck.height == 0,
        description="; ".join(stuck["problem"].head(3)) or "every closed segment is in the archive",
        metadata={"segments": preview(stuck)} if stuck.height else {},
    )


def _nothing_is_lost(step: Step, frame: pl.DataFrame) -> Finding:
    missing = frame.filter(pl.col("gap") > 0)
    return Finding(
        passed=missing.height == 0,
        description=conservation.sentence(frame, step.hour),
        metadata={"gaps": preview(missing)} if missing.height else {},
        severity=dg.AssetCheckSeverity.ERROR,
    )


def _no_line_is_rejected(_: Step, frame: pl.DataFrame) -> Finding:
    reasons = frame["reason"].value_counts(sort=True)
    named = ", ".join(f"{count} {reason}" for reason, count in reasons.iter_rows())
    return Finding(
        passed=frame.height == 0,
        description=f"{frame.height} line(s) were not loaded: {named}; see `pipeline capture redrive`."
        if frame.height
        else "every line became an event",
    )


def _points_are_valid(_: Step, frame: pl.DataFrame) -> Finding:
    invalid = frame.filter(~pl.col("is_valid"))
    private = frame.filter(pl.col("validation_errors").list.contains("private_data")).height
    errors = invalid["validation_errors"].explode().value_counts(sort=True)
    named = ", ".join(f"{count} {error}" for error, count in errors.iter_rows())
    kept_back = frame.filter(pl.col("quarantined_events") > 0)
    return Finding(
        passed=invalid.height == 0,
        description=f"{invalid.height} of {frame.height} data points are invalid"
        + (f": {named}" if named else "")
        + (
            f"; privacy's door kept back {kept_back['quarantined_events'].sum()} event(s) of "
            f"{kept_back.height} task(s)"
            if kept_back.height
            else ""
        ),
        severity=dg.AssetCheckSeverity.ERROR if private else dg.AssetCheckSeverity.WARN,
    )


def _event_table(table: Table, rows: Rows) -> dg.AssetsDefinition:
    return table_assets(
        outputs=[Output(table)], compute=_rows(rows), upstream=[EVENT_SEGMENTS], reusable=False, kinds=KINDS
    )


def _executions(archive: Archive, hour: Hour) -> pl.DataFrame:
    return loading.task_executions(archive, hour, load_telemetry().loading.task_horizon_hours)


def _of_kind(kind: str) -> Rows:
    return lambda archive, hour: projecting.table_rows(archive, kind, hour)


event_segments = table_assets(
    outputs=[
        Output(
            EVENT_SEGMENTS,
            checks={
                "every_segment_is_archived": Check(
                    "Each closed segment of the spool was archived.", _every_segment_is_archived
                )
            },
        )
    ],
    compute=_take_in,
    reusable=False,
    kinds=KINDS,
)

event_tables = [_event_table(table, _of_kind(kind)) for kind, table in projecting.ONE_KIND.items()]
task_executions = _event_table(TASK_EXECUTIONS, _executions)
recorder_reports = _event_table(RECORDER_REPORTS, projecting.reports)

event_counts = table_assets(
    outputs=[Output(EVENT_COUNTS, plot=charts.event_counts)],
    compute=_rows(summaries.event_counts),
    upstream=[EVENT_SEGMENTS],
    reusable=False,
    kinds=KINDS,
)

recorder_processes = table_assets(
    outputs=[
        Output(
            RECORDER_PROCESSES,
            plot=charts.recorder_processes,
            checks={
                "nothing_is_lost": Check(
                    "Emitted = loaded + duplicates + rejected + waiting for each process; a gap is named. "
                    "To compute on in spite of one, materialise telemetry/data_points by itself.",
                    _nothing_is_lost,
                    blocking=True,
                )
            },
        )
    ],
    compute=_rows(conservation.processes),
    upstream=[EVENT_SEGMENTS],
    reusable=False,
    kinds=KINDS,
)

rejected_events = table_assets(
    outputs=[
        Output(
            REJECTED_EVENTS,
            plot=charts.rejected_events,
            checks={
                "no_line_is_rejected": Check("Every line of the hour became an event.", _no_line_is_rejected)
            },
        )
    ],
    compute=_rows(summaries.rejected_events),
    upstream=[EVENT_SEGMENTS],
    reusable=False,
    kinds=KINDS,
)

data_points = table_assets(
    outputs=[
        Output(
            DATA_POINTS,
            plot=charts.data_points,
            checks={
                "points_are_valid": Check(
                    "Each data point has its sections, scores within bounds, and no private data.",
                    _points_are_valid,
                )
            },
        )
    ],
    compute=_data_points,
    upstream=[*(table for table in EVENT_TABLES if table != RECORDER_REPORTS), RECORDER_PROCESSES],
    reusable=False,
    kinds=KINDS,
)

ASSETS = (
    event_segments,
    *event_tables,
    task_executions,
    recorder_reports,
    event_counts,
    recorder_processes,
    rejected_events,
    data_points,
)
