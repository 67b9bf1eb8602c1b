"""Jobs and schedules.

What belongs here: which assets run together and when. What does not: assets.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import dagster as dg

from pipeline.capture.spool import spool_directories
from pipeline.hours import FIRST_HOUR, Hour, now
from pipeline.settings.telemetry import load_telemetry
from pipeline.telemetry.archive import default_archive
from pipeline.telemetry.staleness import stale_hours
from pipeline.training.tables import TABLES as TRAINING_TABLES
from pipeline.warehouse.assets import asset_key
from pipeline.warehouse.places import warehouse_path
from pipeline.warehouse.store import Warehouse

MAIN_JOB = "main"
MINUTE_OF_HOUR = 5
FETCH_STEP = "sources_source_fetches"

main_job = dg.define_asset_job(
    MAIN_JOB,
    selection=dg.AssetSelection.groups("sources", "capability"),
    description="Facts and benchmark scores in, validated and ranked category scores out, for one hour.",
)


def main_run_config(*, fetch: bool) -> dict[str, Any]:
    """Launch configuration of the main job; ``fetch`` lets the running hour ask live sources."""
    return {"ops": {FETCH_STEP: {"config": {"fetch": fetch}}}}


@dg.schedule(
    job=main_job,
    cron_schedule=f"{MINUTE_OF_HOUR} * * * *",
    execution_timezone="UTC",
    description="Every hour, five minutes past: fetch what is due and materialise the hour that is running.",
)
def hourly_main(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """The running hour with live sources; a tick caught up later files nothing of today under the past."""
    hour = Hour.of(context.scheduled_execution_time)
    return dg.RunRequest(run_key=hour.key, partition_key=hour.key, run_config=main_run_config(fetch=True))


TELEMETRY_JOB = "telemetry"
TELEMETRY_MINUTE = 10
SENSOR_SECONDS = 300
SENSOR_OVERLAP = timedelta(minutes=15)

# Training records are made of the same events, so whatever loads an hour again projects them again, too.
_TRAINING_RECORDS = dg.AssetSelection.assets(*(asset_key(table) for table in TRAINING_TABLES))

telemetry_job = dg.define_asset_job(
    TELEMETRY_JOB,
    selection=dg.AssetSelection.groups("telemetry") | _TRAINING_RECORDS,
    description="Segments of events in, event tables, data points and training records out, for one hour.",
)


@dg.schedule(
    job=telemetry_job,
    cron_schedule=f"{TELEMETRY_MINUTE} * * * *",
    execution_timezone="UTC",
    description="Every hour, ten minutes past: load the hour that has ended and the running one so far.",
)
def hourly_telemetry(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest]:
    """The previous hour, then the running one."""
    hour = Hour.of(context.scheduled_execution_time)
    return [
        dg.RunRequest(run_key=f"{tick}@{hour}", partition_key=tick.key) for tick in (hour.previous(), hour)
    ]


@dg.sensor(
    job=telemetry_job,
    minimum_interval_seconds=SENSOR_SECONDS,
    description="Hours that events reached after they were loaded are loaded again.",
)
def late_events(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """One run per stale hour that is over; a run that failed is asked for again an hour later."""
    looked = now()
    since = datetime.fromisoformat(context.cursor) if context.cursor else FIRST_HOUR
    stale = stale_hours(
        default_archive(),
        Warehouse(warehouse_path()),
        spool_directories(),
        horizon=load_telemetry().loading.task_horizon_hours,
        since=since - SENSOR_OVERLAP,
    )
    requests = [
        dg.RunRequest(
            run_key=f"{found.hour}:{found.key}:{Hour.of(looked)}",
            partition_key=found.hour.key,
            tags={"reason": found.reason},
        )
        for found in stale
        if found.hour < Hour.of(looked)
    ]
    return dg.SensorResult(run_requests=requests, cursor=looked.isoformat())


JOBS = (main_job, telemetry_job)
SCHEDULES = (hourly_main, hourly_telemetry)
SENSORS = (late_events,)
