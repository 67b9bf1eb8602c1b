"""The Dagster project: what each asset shows, when it runs, what it refuses, what survives bad input."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import polars as pl
import pytest

from pipeline.capability.tables import TABLES as CAPABILITY_TABLES
from pipeline.collector.tables import TABLES as COLLECTOR_TABLES
from pipeline.definitions import defs
from pipeline.hours import Hour
from pipeline.schedules import FETCH_STEP, MAIN_JOB, hourly_main, main_run_config
from pipeline.sources.tables import BENCHMARK_SCORES, SOURCE_FETCHES, STATIC_MODELS
from pipeline.sources.tables import TABLES as SOURCES_TABLES
from pipeline.telemetry.tables import TABLES as TELEMETRY_TABLES
from pipeline.warehouse.assets import HOURS, MODEL_CHECK, asset_key
from pipeline.warehouse.store import Warehouse

ASSET_TABLES = (*SOURCES_TABLES, *COLLECTOR_TABLES, *CAPABILITY_TABLES)
ALL_TABLES = (*ASSET_TABLES, *TELEMETRY_TABLES)
HOUR = Hour.parse("2026-11-20-10:00")


def materialise(key: str = HOUR.key, instance: dg.DagsterInstance | None = None) -> dg.ExecuteInProcessResult:
    """The main job for one hour, in this process."""
    return defs.resolve_job_def(MAIN_JOB).execute_in_process(
        partition_key=key,
        run_config={
            **main_run_config(fetch=False),
            "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
        },
        instance=instance,
        raise_on_error=False,
    )


def failures(result: dg.ExecuteInProcessResult) -> list[str]:
    """The sentences of the steps that failed."""
    return [
        event.step_failure_data.user_failure_data.description or ""
        for event in result.all_events
        if event.is_step_failure and event.step_failure_data.user_failure_data
    ]


def stored(data_directory: Path) -> Warehouse:
    return Warehouse(data_directory / "warehouse.duckdb")


def test_every_table_is_an_asset_that_describes_itself() -> None:
    specs = {spec.key: spec for spec in defs.resolve_all_asset_specs()}
    for table in ALL_TABLES:
        spec = specs[asset_key(table)]
        assert spec.description
        assert spec.owners == ["team:pipeline"]
        assert spec.kinds >= {"duckdb"}
        assert spec.group_name == table.schema_name
        assert spec.partitions_def == HOURS
        assert spec.freshness_policy is not None
        columns = spec.metadata["dagster/column_schema"].columns
        assert [column.name for column in columns] == [column.name for column in table.columns]
        assert all(column.description for column in columns)


def test_every_table_has_the_blocking_check_of_its_model() -> None:
    checks = {
        (spec.asset_key, spec.name): spec
        for asset in defs.assets or []
        if isinstance(asset, dg.AssetsDefinition)
        for spec in asset.check_specs
    }
    for table in ALL_TABLES:
        assert checks[asset_key(table), MODEL_CHECK].blocking


def test_the_running_hour_can_be_materialised_and_the_next_cannot() -> None:
    now = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)
    keys = HOURS.get_partition_keys(current_time=now)
    assert keys[-1] == "2026-11-20-10:00"
    assert keys[0] == "2024-01-01-00:00"


@pytest.mark.parametrize(
    ("tick", "hour"),
    [
        (datetime(2026, 11, 20, 10, 5, tzinfo=UTC), "2026-11-20-10:00"),
        (datetime(2026, 11, 20, 0, 5, tzinfo=UTC), "2026-11-20-00:00"),
    ],
)
def test_the_schedule_asks_for_the_running_hour_with_live_sources(tick: datetime, hour: str) -> None:
    context = dg.build_schedule_context(scheduled_execution_time=tick)
    request = hourly_main(context)
    assert isinstance(request, dg.RunRequest)
    assert (request.partition_key, request.run_key) == (hour, hour)
    assert request.run_config["ops"][FETCH_STEP]["config"]["fetch"] is True
    assert hourly_main.cron_schedule == "5 * * * *"


def test_the_launch_configuration_fits_the_job() -> None:
    assert dg.validate_run_config(defs.resolve_job_def(MAIN_JOB), main_run_config(fetch=True))


def test_a_minute_other_than_00_is_refused_with_a_sentence(data_directory: Path) -> None:
    result = materialise("2026-11-20-10:30")
    assert not result.success
    assert "its minute is 30, and hours begin at minute 00" in failures(result)[0]
    assert not (data_directory / "warehouse.duckdb").exists()


def test_the_whole_graph_fills_its_tables_and_shows_plots(data_directory: Path) -> None:
    result = materialise()
    assert result.success
    warehouse = stored(data_directory)
    for table in ASSET_TABLES:
        assert warehouse.entries([table], HOUR)[0] is not None
    with warehouse.reading() as connection:
        refused = connection.execute(
            "SELECT table_name, reason FROM ledger.rejected_rows WHERE table_name LIKE 'capability.%'"
        ).fetchall()
    assert refused == []
    metadata: dict[str, Any] = {
        event.materialization.asset_key.path[-1]: event.materialization.metadata
        for event in result.get_asset_materialization_events()
    }
    assert metadata["static_models"]["dagster/row_count"].value > 300
    assert metadata["rankings"]["best at coding"].value.startswith(
        "![Best at coding](data:image/svg+xml;base64,"
    )
    assert metadata["category_scores"]["preview"].value
    failed = {
        evaluation.check_name
        for evaluation in result.get_asset_check_evaluations()
        if not evaluation.passed and evaluation.severity == dg.AssetCheckSeverity.ERROR
    }
    assert failed == set()


def test_a_range_of_hours_is_filled_by_one_run(data_directory: Path) -> None:
    first, last = "2026-11-19-22:00", "2026-11-20-01:00"
    assets = [asset for asset in defs.assets or [] if isinstance(asset, dg.AssetsDefinition)]
    result = dg.materialize(
        assets,
        resources=dict(defs.resources or {}),
        tags={"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last},
    )
    assert result.success
    warehouse = stored(data_directory)
    with warehouse.reading() as connection:
        hours = connection.execute("SELECT DISTINCT hour FROM capability.rankings ORDER BY 1").fetchall()
    assert len(hours) == 4
    published = json.loads((data_directory / "published" / "models.json").read_text(encoding="utf-8"))
    assert published["hour"] == last


def test_a_broken_catalogue_fails_with_a_sentence_and_leaves_the_last_publication(
    data_directory: Path, own_inputs: tuple[Path, Path]
) -> None:
    _, inputs = own_inputs
    assert materialise().success
    before = (data_directory / "published" / "models.json").read_bytes()
    catalogue = inputs / "models.json"
    catalogue.write_bytes(catalogue.read_bytes()[:5000])
    result = materialise(Hour.current().key)
    assert not result.success
    assert "models.json" in failures(result)[0]
    assert "\n" not in failures(result)[0]
    assert (data_directory / "published" / "models.json").read_bytes() == before


def test_bad_files_and_rows_fail_alone_and_are_kept_with_their_reason(
    data_directory: Path, own_inputs: tuple[Path, Path]
) -> None:
    configs, inputs = own_inputs
    (configs / "trun_broken.json").write_text('{"half a file": ', encoding="utf-8")
    (configs / "trun_empty.json").write_text("", encoding="utf-8")
    (configs / "trun_own.json").write_text(
        json.dumps(
            {
                "gpt-4o-2024-08-06": {
                    "benchmarks": {
                        "humaneval": {"score": 90.2, "date": "2024-08-06"},
                        "mmlu": {"score": 0.88, "date": "2024-08-06"},
                        "gsm8k": {"score": 460, "date": "2024-08-06"},
                        "math": {"score": True, "date": "2024-08-06"},
                    },
                    "metadata": {},
                },
                "../../etc/passwd\u202e": {
                    "benchmarks": {"mmlu": {"score": 50, "date": None}},
                    "metadata": {},
                },
            }
        ),
        encoding="utf-8",
    )
    catalogue = json.loads((inputs / "models.json").read_text(encoding="utf-8"))
    double = dict(catalogue["models"][0])
    catalogue["models"].append(double)
    (inputs / "models.json").write_text(json.dumps(catalogue), encoding="utf-8")

    hour = Hour.current()
    assert materialise(hour.key).success
    warehouse = stored(data_directory)
    fetches = warehouse.read_hour(SOURCE_FETCHES, hour)
    errors = fetches.filter(pl.col("status") == "failed")["error"].to_list()
    assert any("trun_broken.json" in error and "no JSON" in error for error in errors)
    assert any("trun_empty.json" in error and "empty" in error for error in errors)
    own = warehouse.read_hour(BENCHMARK_SCORES, hour).filter(pl.col("location").str.contains("trun_own"))
    assert own["benchmark"].to_list() == ["humaneval"]
    reasons = " ".join(warehouse.rejected_rows(BENCHMARK_SCORES, hour)["reason"])
    assert "fraction where a percentage belongs" in reasons
    assert "460" in reasons
    assert warehouse.read_hour(STATIC_MODELS, hour).height == len(catalogue["models"]) - 1
    assert warehouse.rejected_rows(STATIC_MODELS, hour).height >= 1
    with duckdb.connect(str(data_directory / "published" / "models.duckdb"), read_only=True) as readers:
        assert readers.execute("SELECT count(*) FROM capability.rankings").fetchone() != (0,)
