"""Jobs and schedules.

What belongs here: which assets run together and when. What does not: assets.
"""

from __future__ import annotations

from typing import Any

import dagster as dg

from pipeline.collector.assets import collect_runs
from pipeline.hours import Hour

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

JOBS = (main_job, collection_job)
SCHEDULES = (hourly_main, daily_collection)
