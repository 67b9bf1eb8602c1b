"""Hours loaded by Dagster: replay, gaps that block, a busy warehouse, a killed loader, late events."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner

from assets_tests.telemetry.events import HOUR, NEXT, Emitter, age, taken
from assets_tests.telemetry.loaded import load_hour
from pipeline.cli.capture_redrive import redrive
from pipeline.definitions import defs
from pipeline.hours import Hour
from pipeline.schedules import TELEMETRY_JOB, hourly_telemetry, late_events
from pipeline.telemetry.archive import default_archive, read_events
from pipeline.telemetry.assets import ASSETS
from pipeline.telemetry.places import LOADED_MARK, hour_folder
from pipeline.telemetry.staleness import stale_hours
from pipeline.telemetry.tables import (
    DATA_POINTS,
    EVENT_SEGMENTS,
    LOADED_TABLES,
    RECORDER_PROCESSES,
    REJECTED_EVENTS,
    TASKS,
)
from pipeline.warehouse import assets as warehouse_assets
from pipeline.warehouse.assets import HOURS
from pipeline.warehouse.resource import WarehouseResource
from pipeline.warehouse.store import Warehouse

AT = HOUR.start + timedelta(minutes=5)
BEGINNING = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture
def spool(data_directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PIPELINE_SPOOL_FALLBACK", str(data_directory / "second"))
    return data_directory / "spool"


def load(hour: Hour = HOUR, *, wait: float = 30) -> dg.ExecuteInProcessResult:
    """The loader's assets for one hour, run by Dagster."""
    job = dg.Definitions(
        assets=ASSETS,
        jobs=[dg.define_asset_job(TELEMETRY_JOB, selection=dg.AssetSelection.all(), partitions_def=HOURS)],
        resources={"warehouse": WarehouseResource(lock_timeout_seconds=wait)},
        executor=dg.in_process_executor,
    ).resolve_job_def(TELEMETRY_JOB)
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    return job.execute_in_process(partition_key=hour.key, run_config=quiet, raise_on_error=False)


def plainly(data_directory: Path, hour: Hour = HOUR) -> None:
    """The same without Dagster."""
    load_hour(default_archive(), stored(data_directory), data_directory / "spool", hour)


def stored(data_directory: Path) -> Warehouse:
    return Warehouse(data_directory / "warehouse.duckdb")


def table_hash(data_directory: Path, hour: Hour = HOUR) -> str:
    """One hash over all rows of the tables made of events."""
    digest = hashlib.sha256()
    for table in LOADED_TABLES:
        if table not in (EVENT_SEGMENTS, REJECTED_EVENTS):
            buffer = io.BytesIO()
            stored(data_directory).read_hour(table, hour).write_ipc(buffer)
            digest.update(buffer.getvalue())
    return digest.hexdigest()


def many(emitter: Emitter, spool: Path, tasks: int = 5) -> Path:
    return emitter.write(spool, *[event for n in range(tasks) for event in emitter.task(f"t{n}", AT)])


def findings(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {check.check_name: check for check in result.get_asset_check_evaluations()}


def test_an_hour_without_a_spool_is_written_as_empty(data_directory: Path, spool: Path) -> None:
    plainly(data_directory)
    for table in LOADED_TABLES:
        assert stored(data_directory).read_hour(table, HOUR).height == 0


def test_segments_of_both_directories_become_tables_and_a_replay_gives_the_same_hash(
    data_directory: Path, spool: Path
) -> None:
    first, second = Emitter("a"), Emitter("b")
    copies = {
        path: path.read_bytes()
        for path in (many(first, spool), second.write(data_directory / "second", *second.task("other", AT)))
    }
    result = load()
    assert result.success
    assert not any(path.exists() for path in copies)
    assert stored(data_directory).read_hour(DATA_POINTS, HOUR).height == 6
    before = table_hash(data_directory)
    for path, data in copies.items():
        path.write_bytes(data)
    plainly(data_directory)
    taken(default_archive(), data_directory / "second")
    plainly(data_directory)
    assert table_hash(data_directory) == before
    (data_directory / "warehouse.duckdb").unlink()
    plainly(data_directory)
    assert table_hash(data_directory) == before
    plots = {
        name for event in result.get_asset_materialization_events() for name in event.materialization.metadata
    }
    assert plots >= {"events by kind", "events by minute", "what became of the events", "tasks per agent"}


def test_a_gap_is_named_and_blocks_what_stands_on_it(data_directory: Path, spool: Path) -> None:
    emitter = Emitter()
    events = emitter.task("t", AT)
    emitter.write(spool, *events[:2], *events[4:])
    result = load()
    assert not result.success
    check = findings(result)["nothing_is_lost"]
    assert (check.passed, check.severity, check.blocking) == (False, dg.AssetCheckSeverity.ERROR, True)
    assert "lacks 2 event(s), sequence 3-4" in (check.description or "")
    assert stored(data_directory).read_hour(RECORDER_PROCESSES, HOUR)["gap"].to_list() == [2]
    assert stored(data_directory).entries([DATA_POINTS], HOUR) == [None]


def test_a_busy_warehouse_is_tried_again_and_then_the_events_wait(
    data_directory: Path, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(Emitter(), spool)
    monkeypatch.setattr(warehouse_assets, "RETRY_SECONDS", 0.01)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(data_directory / "warehouse.duckdb")], stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    result = load(wait=0.05)
    holder.kill()
    holder.wait()
    holder.stdout.close()
    assert not result.success
    retries = [event for event in result.all_events if event.is_step_restarted]
    assert len(retries) == warehouse_assets.RETRIES
    said = [
        event.step_failure_data.user_failure_data.description or ""
        for event in result.all_events
        if event.is_step_failure and event.step_failure_data.user_failure_data
    ]
    assert f"process {holder.pid}" in said[0]
    assert "Tried 4 times; what was to be written waits" in said[0]
    assert read_events(HOUR, ["task_received"]).height == 5  # archived: nothing is lost
    plainly(data_directory)
    assert stored(data_directory).read_hour(DATA_POINTS, HOUR).height == 5


HOLDER = (
    "import sys, time, duckdb; c = duckdb.connect(sys.argv[1]); print('held', flush=True); time.sleep(600)"
)

LOADER = """
import sys
from assets_tests.telemetry.loaded import load_hour
from pipeline.settings.places import data_directory
from pipeline.telemetry.archive import default_archive
from pipeline.warehouse.store import Warehouse
place = data_directory()
print("ready", flush=True)
load_hour(default_archive(), Warehouse(place / "warehouse.duckdb"), place / "spool")
"""


def test_a_loader_killed_anywhere_loses_and_doubles_nothing(data_directory: Path, spool: Path) -> None:
    many(Emitter(), spool, 300)
    for pause in (0.02, 0.2, 0.5):
        process = subprocess.Popen([sys.executable, "-c", LOADER], stdout=subprocess.PIPE, env={**os.environ})
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(pause)
        process.kill()
        process.wait()
        process.stdout.close()
    plainly(data_directory)
    row = stored(data_directory).read_hour(RECORDER_PROCESSES, HOUR).row(0, named=True)
    assert (row["emitted"], row["loaded"], row["gap"]) == (1800, 1800, 0)
    points = stored(data_directory).read_hour(DATA_POINTS, HOUR)
    assert (points.height, points["event_count"].sum()) == (300, 1800)


def stale(data_directory: Path, since: datetime = BEGINNING) -> list[str]:
    found = stale_hours(
        default_archive(), stored(data_directory), [data_directory / "spool"], horizon=6, since=since
    )
    return [f"{one.hour}: {one.reason}" for one in found]


def test_late_events_rebuild_their_hour_and_say_that_they_were_late(
    data_directory: Path, spool: Path
) -> None:
    many(Emitter(), spool, 2)
    assert len(stale(data_directory)) == 1
    plainly(data_directory)
    assert stale(data_directory) == []
    late = Emitter("late")
    segment = late.write(spool, *late.task("late", AT))
    assert stale(data_directory) == ["2026-11-20-10:00: 1 closed segment(s) wait in the spool"]
    age(segment, HOUR.end + timedelta(hours=1))
    taken(default_archive(), spool)
    assert stale(data_directory) == ["2026-11-20-10:00: 1 archived segment(s) were not loaded yet"]
    plainly(data_directory)
    assert stale(data_directory) == []
    points = stored(data_directory).read_hour(DATA_POINTS, HOUR)
    assert dict(points.select("task_id", "late").rows()) == {"t0": False, "t1": False, "late": True}


def test_later_events_of_a_task_make_its_hour_stale(data_directory: Path, spool: Path) -> None:
    emitter = Emitter()
    events = emitter.task("t", AT)
    emitter.write(spool, *events[:5])
    plainly(data_directory)
    emitter.sequence = 5  # the sixth event comes in the next hour
    emitter.write(spool, emitter.event("evaluation_finished", "t", NEXT.start, {"overall_score": 0.9}))
    plainly(data_directory, NEXT)
    assert any(line == f"{HOUR}: events of its tasks came in hour {NEXT}" for line in stale(data_directory))
    plainly(data_directory)
    assert stored(data_directory).read_hour(DATA_POINTS, HOUR)["overall_score"].to_list() == [0.9]


def test_the_sensor_asks_for_stale_hours_that_are_over(data_directory: Path, spool: Path) -> None:
    many(Emitter(), spool)
    running = Emitter("running", Hour.current().start)
    running.write(spool, *running.task("now", Hour.current().start))
    context = dg.build_sensor_context(definitions=defs)
    outcome = late_events(context)
    assert isinstance(outcome, dg.SensorResult)
    requests = outcome.run_requests or []
    assert [request.partition_key for request in requests] == [HOUR.key]
    assert outcome.cursor is not None
    again = late_events(dg.build_sensor_context(definitions=defs, cursor=outcome.cursor))
    assert isinstance(again, dg.SensorResult)
    assert [request.run_key for request in again.run_requests or []] == [requests[0].run_key]


def test_the_schedule_asks_for_the_hour_that_ended_and_the_running_one() -> None:
    tick = datetime(2026, 11, 20, 11, 10, tzinfo=UTC)
    requests = hourly_telemetry(dg.build_schedule_context(scheduled_execution_time=tick))
    assert isinstance(requests, list)
    assert [request.partition_key for request in requests] == [HOUR.key, NEXT.key]


def redriven(*arguments: str) -> str:
    outcome = CliRunner().invoke(redrive, list(arguments), catch_exceptions=False)
    assert outcome.exit_code == 0
    return outcome.output


def test_a_redrive_loads_what_is_valid_now(
    data_directory: Path, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPELINE_NOW", HOUR.end.isoformat())
    emitter = Emitter()
    good, odd = emitter.event("tool_called", "t", AT, {"tool": "x"}), emitter.event("task_moved", "t", AT, {})
    early = emitter.event("task_received", "t", NEXT.start + timedelta(minutes=30), {"task_type": "x"})
    emitter.write(spool, good, odd, early)
    plainly(data_directory)
    rejected = stored(data_directory).read_hour(REJECTED_EVENTS, HOUR)
    assert sorted(rejected["reason"]) == ["bad_time", "unknown_kind"]
    assert json.loads(redriven("--json"))["valid"] == 0
    monkeypatch.delenv("PIPELINE_NOW")
    dry = json.loads(redriven("--hour", HOUR.key, "--json"))
    assert (dry["valid"], dry["rejected"], dry["written"]) == (1, 2, False)
    assert json.loads(redriven("--reason", "unknown_kind", "--json"))["rejected"] == 1
    done = json.loads(redriven("--yes", "--json"))
    assert (done["valid"], done["hours"]) == (1, [NEXT.key])
    assert json.loads(redriven("--json"))["rejected"] == 1
    plainly(data_directory)
    assert stored(data_directory).read_hour(REJECTED_EVENTS, HOUR)["reason"].to_list() == ["unknown_kind"]
    assert stored(data_directory).read_hour(TASKS, HOUR).height == 0
    plainly(data_directory, NEXT)
    assert stored(data_directory).read_hour(TASKS, NEXT)["event_id"].to_list() == [early.id]


def test_a_redrive_of_late_events_loads_them(data_directory: Path, spool: Path) -> None:
    emitter = Emitter()
    emitter.write(spool, *emitter.task("t", AT))
    plainly(data_directory)
    assert (hour_folder(default_archive().directory, HOUR) / LOADED_MARK).exists()
    late = emitter.write(spool, *emitter.task("u", AT))
    age(late, HOUR.end + timedelta(days=9))
    plainly(data_directory)
    assert stored(data_directory).read_hour(DATA_POINTS, HOUR)["task_id"].to_list() == ["t"]
    assert "6 of 6 rejected line(s) could be loaded; add --yes" in redriven("--reason", "late")
    assert "--partition 2026-11-20-10:00" in redriven("--reason", "late", "--yes")
    plainly(data_directory)
    points = stored(data_directory).read_hour(DATA_POINTS, HOUR)
    assert points["task_id"].to_list() == ["t", "u"]
    row = stored(data_directory).read_hour(RECORDER_PROCESSES, HOUR).row(0, named=True)
    assert (row["emitted"], row["loaded"], row["waiting"], row["gap"]) == (12, 12, 0, 0)
