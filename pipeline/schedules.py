"""Jobs and schedules.

What belongs here: which assets run together and when. What does not: assets.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import dagster as dg

from pipeline.capture.spool import spool_directories
from pipeline.collector.assets import collect_runs
from pipeline.hours import FIRST_HOUR, Hour, now
from pipeline.settings.alerts import load_alerts
from pipeline.settings.telemetry import load_telemetry
from pipeline.telemetry.aggregate_tables import HOUR_TABLES
from pipeline.telemetry.archive import default_archive
from pipeline.telemetry.notifying import send_due
from pipeline.telemetry.staleness import stale_hours
from pipeline.training.tables import TABLES as TRAINING_TABLES
from pipeline.warehouse.assets import asset_key
from pipeline.warehouse.places import warehouse_path
from pipeline.warehouse.store import Warehouse

MAIN_JOB = "main"
COLLECTION_JOB = "collection"
MINUTE_OF_HOUR = 5
FETCH_STEP = "sources_source_fetches"

main_job = dg.define_asset_job(
    MAIN_JOB,
    selection=dg.AssetSelection.groups("sources", "collector", "capability"),
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
    description="Segments of events in; event tables, data points, statistics, alerts and training records "
    "out, for one hour.",
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


@dg.sensor(
    job=telemetry_job,
    minimum_interval_seconds=60,
    description="Alerts that fired are posted to the webhook of alerts.yaml; what failed is tried again.",
)
def alert_deliveries(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Starts no run; says what was posted."""
    delivered, failed = send_due(Warehouse(warehouse_path()), load_alerts().webhook)
    return dg.SkipReason(f"{delivered} alert(s) delivered, {failed} to be tried again.")


HOUR_JOB = "telemetry_hour"

hour_job = dg.define_asset_job(
    HOUR_JOB,
    selection=dg.AssetSelection.assets(*(asset_key(table) for table in HOUR_TABLES)),
    description="Statistics, metrics and alerts of an hour from the tables as they stand, without loading.",
)


@dg.run_failure_sensor(
    monitored_jobs=[telemetry_job],
    request_job=hour_job,
    description="An hour whose loading failed, because events are missing for one, is measured all the same: "
    "the alert that says so must not be stopped by what it tells of.",
)
def failed_hours(context: dg.RunFailureSensorContext) -> dg.RunRequest | dg.SkipReason:
    """One run of the hour's job per failed run of an hour."""
    key = context.dagster_run.tags.get("dagster/partition")
    if key is None:
        return dg.SkipReason("The failed run was of a range; materialise its hours one by one.")
    return dg.RunRequest(run_key=context.dagster_run.run_id, partition_key=key)


@dg.job(
    name=COLLECTION_JOB,
    description="Ask models what a collector configuration names and keep the answers; "
    "the only job that does. "
    "Config file, models, datasets and demo are given in the launchpad; the main job files what was kept.",
)
def collection_job() -> None:
    """One step: collecting is one process with its own concurrency."""
    collect_runs()


daily_collection = dg.ScheduleDefinition(
    name="daily_collection",
    job=collection_job,
    cron_schedule="17 3 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Every day at 03:17 UTC: what is missing of configs/collector.yaml. Off until switched on.",
)

JOBS = (main_job, collection_job, telemetry_job, hour_job)
SCHEDULES = (hourly_main, daily_collection, hourly_telemetry)
SENSORS = (late_events, alert_deliveries, failed_hours)
