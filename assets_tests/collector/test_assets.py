"""The collector in Dagster: hours filed from the journal, the collection job, the schedule that is off."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from assets_tests.collector.runs import TableAsker, model, plan, right, sums
from pipeline.collector.assets import ASSETS
from pipeline.collector.journal import Journal
from pipeline.collector.result_files import results_directory
from pipeline.collector.running import Progress, run_plans
from pipeline.collector.tables import TABLES
from pipeline.definitions import defs
from pipeline.hours import CLOCK_VARIABLE, Hour
from pipeline.schedules import COLLECTION_JOB, SCHEDULES, daily_collection
from pipeline.warehouse.assets import asset_key
from pipeline.warehouse.resource import WarehouseResource
from pipeline.warehouse.store import Warehouse

HOUR = Hour.parse("2026-11-20-10:00")


def materialise() -> dg.ExecuteInProcessResult:
    return dg.materialize(
        list(ASSETS),
        partition_key=HOUR.key,
        resources={"warehouse": WarehouseResource()},
        raise_on_error=False,
    )


def test_an_hour_files_what_the_runner_stored_and_draws_it(
    data_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CLOCK_VARIABLE, (HOUR.start + timedelta(minutes=5)).isoformat())
    journal = Journal()
    made = plan(sums(data_directory / "rows", 5, benchmark="gsm8k"), journal, of=model("a"))
    asyncio.run(run_plans([made], TableAsker(right), journal, results_directory(), Progress(), concurrency=2))
    result = materialise()
    assert result.success
    store = Warehouse(data_directory / "warehouse.duckdb")
    heights = {table.name: store.read_hour(table, HOUR).height for table in TABLES}
    assert heights == {
        "collector.runs": 1,
        "collector.records": 5,
        "collector.raw_outputs": 5,
        "collector.request_attempts": 0,
        "collector.collected_scores": 1,
    }
    (scores,) = result.asset_materializations_for_node("collector_collected_scores")
    assert {"accuracy by model", "cost by model", "latency by model"} <= set(scores.metadata)
    assert all(evaluation.passed for evaluation in result.get_asset_check_evaluations())


def test_without_anything_collected_every_table_is_empty(data_directory: Path) -> None:
    assert materialise().success
    store = Warehouse(data_directory / "warehouse.duckdb")
    assert [store.read_hour(table, HOUR).height for table in TABLES] == [0] * len(TABLES)


def test_materialising_never_collects() -> None:
    assert {asset_key(table) for table in TABLES} == {key for asset in ASSETS for key in asset.keys}
    assert not [name for name in defs.resolve_job_def("main").graph.node_dict if "collect_runs" in name]


def test_the_daily_schedule_is_off_until_switched_on() -> None:
    assert daily_collection in SCHEDULES
    assert daily_collection.default_status == dg.DefaultScheduleStatus.STOPPED


def test_the_collection_job_says_what_is_wrong_with_its_launch_configuration(data_directory: Path) -> None:
    config = {"ops": {"collect_runs": {"config": {"models": ["no-such-model"]}}}}
    result = defs.resolve_job_def(COLLECTION_JOB).execute_in_process(run_config=config, raise_on_error=False)
    assert not result.success
    (failure,) = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert failure.user_failure_data is not None
    assert "the configuration has no 'no-such-model'" in (failure.user_failure_data.description or "")
