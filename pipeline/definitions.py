"""Assembly only: every asset, job, schedule and resource, for ``-m pipeline.definitions``."""

from __future__ import annotations

import dagster as dg

from pipeline.capability.assets import ASSETS as CAPABILITY_ASSETS
from pipeline.collector.assets import ASSETS as COLLECTOR_ASSETS
from pipeline.schedules import JOBS, SCHEDULES, SENSORS
from pipeline.sources.assets import ASSETS as SOURCE_ASSETS
from pipeline.telemetry.assets import ASSETS as TELEMETRY_ASSETS
from pipeline.telemetry.hour_assets import ASSETS as HOUR_ASSETS
from pipeline.training.assets import ASSETS as TRAINING_ASSETS
from pipeline.training.export_assets import EXPORT_ASSETS
from pipeline.warehouse.resource import WarehouseResource

defs = dg.Definitions(
    assets=[
        *SOURCE_ASSETS,
        *COLLECTOR_ASSETS,
        *CAPABILITY_ASSETS,
        *TELEMETRY_ASSETS,
        *HOUR_ASSETS,
        *TRAINING_ASSETS,
        *EXPORT_ASSETS,
    ],
    jobs=list(JOBS),
    schedules=list(SCHEDULES),
    sensors=list(SENSORS),
    resources={"warehouse": WarehouseResource()},
    executor=dg.in_process_executor,
)
