"""Segments of the real recorder loaded: simulated, killed, in the second directory, quarantined, halted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from assets_tests.telemetry.events import HOUR, archive_in
from assets_tests.telemetry.loaded import load_hour
from pipeline.capture.recorder import Recorder
from pipeline.capture.simulating.arbiter import simulate
from pipeline.privacy.acting import PolicyRule, Redactor
from pipeline.privacy.detect import default_detector
from pipeline.telemetry.archive import Archive
from pipeline.telemetry.tables import (
    RECORDER_PROCESSES,
    RECORDER_REPORTS,
    REJECTED_EVENTS,
    ROUTING_DECISIONS,
    TASK_EXECUTIONS,
    TASKS,
    TOOL_CALLS,
)
from pipeline.warehouse.store import Warehouse

NOON = int(HOUR.start.timestamp()) * 10**9


@pytest.fixture
def spool(tmp_path: Path, data_directory: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return archive_in(tmp_path)


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "warehouse.duckdb")


def recorder_in(spool: Path, **other: Any) -> Recorder:
    """A recorder whose clock stands in the hour and goes on a millisecond an event."""
    ticks = iter(range(NOON, NOON + 3600 * 10**9, 10**6))
    return Recorder(
        spool, application="tests", clock=lambda: next(ticks), **{"second": [spool / "none"], **other}
    )


def law(warehouse: Warehouse) -> dict[str, Any]:
    """The only process of the hour."""
    return warehouse.read_hour(RECORDER_PROCESSES, HOUR).row(0, named=True)


def test_what_the_simulator_records_is_loaded_to_the_last_event(
    spool: Path, archive: Archive, warehouse: Warehouse
) -> None:
    with recorder_in(spool, synthetic=True) as recorder:
        simulate(recorder, 60, 1)
    points = load_hour(archive, warehouse, spool)
    row = law(warehouse)
    told = recorder.report()
    assert (row["emitted"], row["loaded"], row["gap"], row["stopped"]) == (
        told["written"],
        told["written"],
        0,
        True,
    )
    assert warehouse.read_hour(REJECTED_EVENTS, HOUR).height == 0
    assert points["task_id"].to_list() == sorted(f"task-1-{number}" for number in range(1, 61))
    assert points["synthetic"].all()
    assert points["is_valid"].all()
    assert points["event_count"].sum() == told["written"] - warehouse.read_hour(RECORDER_REPORTS, HOUR).height
    assert points["attempts"].sum() == warehouse.read_hour(TASK_EXECUTIONS, HOUR).height > 60
    assert points["tool_calls"].sum() == warehouse.read_hour(TOOL_CALLS, HOUR).height > 60


RECORDING = """
import sys
from pipeline.capture.recorder import Recorder
recorder = Recorder(sys.argv[1], second=[])
for number in range(100_000):
    if recorder.task_received(f"t{number}", task_type="x", description="word " * 40):
        print(number, flush=True)
"""


def test_what_a_killed_recorder_acknowledged_is_loaded(
    spool: Path, archive: Archive, warehouse: Warehouse
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", RECORDING, str(spool)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PIPELINE_NOW": HOUR.start.isoformat()},
    )
    assert process.stdout is not None
    acknowledged = {int(process.stdout.readline()) for _ in range(500)}
    load_hour(archive, warehouse, spool)  # while it writes
    assert law(warehouse)["loaded"] >= len(acknowledged)
    os.kill(process.pid, signal.SIGKILL)
    acknowledged |= {int(line) for line in process.stdout.read().splitlines() if line.strip()}
    process.wait()
    process.stdout.close()
    load_hour(archive, warehouse, spool)
    loaded = warehouse.read_hour(TASKS, HOUR)["task_id"]
    assert loaded.n_unique() == loaded.len()
    assert {f"t{number}" for number in acknowledged} <= set(loaded)
    row = law(warehouse)
    assert (row["gap"], row["stopped"]) == (0, False)
    assert row["loaded"] == loaded.len() + 1  # and that it started


def test_events_in_the_second_directory_are_loaded_with_the_first_ones(
    tmp_path: Path, spool: Path, archive: Archive, warehouse: Warehouse
) -> None:
    second = tmp_path / "second"
    with recorder_in(spool, second=[second]) as recorder:
        recorder.task_received("first", task_type="x")
        recorder._journal._writer.close()
        (spool / "2026-11-20-10").rename(tmp_path / "aside")
        (spool / "2026-11-20-10").write_text("no folder can be made here")
        recorder.task_received("second", task_type="x")
    (spool / "2026-11-20-10").unlink()
    (tmp_path / "aside").rename(spool / "2026-11-20-10")
    assert recorder.report()["in_second_directory"] >= 1
    load_hour(archive, warehouse, second)
    assert law(warehouse)["gap"] == 2  # the first directory's are missing until it is read too
    load_hour(archive, warehouse, spool)
    assert law(warehouse)["gap"] == 0
    assert sorted(warehouse.read_hour(TASKS, HOUR)["task_id"]) == ["first", "second"]


def test_an_event_that_the_recorder_quarantined_flags_its_task(
    spool: Path, archive: Archive, warehouse: Warehouse
) -> None:
    redactor = Redactor(
        default_detector(), [PolicyRule("quarantine")], surface="capture", placeholder_key=b"k" * 32
    )
    with recorder_in(spool, redactor=redactor) as recorder:
        recorder.task_received("t", task_type="x", description="write to jane.roe@example-mail.net")
        recorder.routing_decided("t", selected_agent="a")
    (point,) = load_hour(archive, warehouse, spool).to_dicts()
    assert (point["task_id"], point["event_count"], point["quarantined_events"]) == ("t", 2, 1)
    assert "missing_task" in point["validation_errors"]
    assert "privacy" in point["validation_warnings"]
    assert "event_quarantined" in warehouse.read_hour(RECORDER_REPORTS, HOUR)["kind"].to_list()
    assert law(warehouse)["gap"] == 0


def test_events_under_a_halt_are_loaded_without_their_texts(
    spool: Path, archive: Archive, warehouse: Warehouse
) -> None:
    spool.mkdir()
    (spool / "halt.json").write_text("{}")
    with recorder_in(spool) as recorder:
        recorder.task_received("t", task_type="x", description="spoken words")
        recorder.routing_decided("t", selected_agent="a", rationale="spoken words")
    load_hour(archive, warehouse, spool)
    assert warehouse.read_hour(TASKS, HOUR)["description"].to_list() == [None]
    assert warehouse.read_hour(ROUTING_DECISIONS, HOUR)["rationale"].to_list() == [None]
    assert (law(warehouse)["gap"], law(warehouse)["rejected"]) == (0, 0)
