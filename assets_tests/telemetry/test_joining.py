"""Data points: which events make a task, where it belongs, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from assets_tests.telemetry.events import HOUR, NEXT, Emitter, archive_in, hour_of, taken
from pipeline.capture.envelope import Envelope
from pipeline.hours import Hour
from pipeline.settings.telemetry import Loading
from pipeline.telemetry.archive import Archive
from pipeline.telemetry.loading import audited_tasks, data_points, task_executions
from pipeline.telemetry.projecting import ONE_KIND, table_rows
from pipeline.telemetry.tables import DATA_POINTS, TASK_EXECUTIONS
from pipeline.warehouse.store import Warehouse

AT = HOUR.start + timedelta(minutes=5)
BORDER = HOUR.end - timedelta(seconds=2)
ALL = Loading(audited_share=1)


def load(folder: Path, archive: Archive, hour: Hour = HOUR, settings: Loading = ALL) -> list[dict[str, Any]]:
    """The hour's data points, loaded into a real warehouse."""
    warehouse = Warehouse(folder / "warehouse.duckdb")
    for kind, table in ONE_KIND.items():
        warehouse.replace_hour(table, hour, table_rows(archive, kind, hour))
    warehouse.replace_hour(TASK_EXECUTIONS, hour, task_executions(archive, hour, 6))
    written = warehouse.replace_hour(DATA_POINTS, hour, data_points(archive, warehouse, hour, settings))
    assert written.rejected.height == 0
    return written.frame.to_dicts()


def points_of(
    folder: Path, events: list[Envelope], emitter: Emitter, hour: Hour = HOUR
) -> list[dict[str, Any]]:
    """The data points of ``hour`` when ``events`` are all there is."""
    archive = archive_in(folder)
    for own in sorted({hour_of(event) for event in events}):
        emitter.write(folder / "spool", *[event for event in events if hour_of(event) == own])
    taken(archive, folder / "spool")
    return load(folder, archive, hour)


def test_a_task_is_joined_and_its_labels_are_normalised(tmp_path: Path) -> None:
    emitter = Emitter()
    (point,) = points_of(tmp_path, emitter.task("t", AT), emitter)
    expected = {
        "task_id": "t",
        "task_type": "bug_fix",
        "strategy": "thompson_sampling",
        "selected_agent": "coder",
        "complexity": "complex",
        "propensity": 0.5,
        "success": True,
        "latency_ms": 2000.0,
        "tokens_total": 120,
        "cost_usd": 0.01,
        "tool_calls": 1,
        "tool_successes": 1,
        "attempts": 1,
        "overall_score": 0.8,
        "compliant": False,
        "rubric_task": 0.5,
        "evaluated": True,
        "event_count": 6,
        "quarantined_events": 0,
        "received_at": AT,
        "evaluated_at": AT + timedelta(seconds=5),
        "late": False,
        "is_complete": True,
        "validation_errors": [],
        "validation_warnings": [],
    }
    assert {name: point[name] for name in expected} == expected


def keep(*kinds: str) -> Callable[[list[Envelope]], list[Envelope]]:
    return lambda events: [event for event in events if event.kind in kinds]


def without(*kinds: str) -> Callable[[list[Envelope]], list[Envelope]]:
    return lambda events: [event for event in events if event.kind not in kinds]


@pytest.mark.parametrize(
    ("kept", "errors", "warnings"),
    [
        (without("evaluation_finished"), [], ["not_evaluated"]),
        (without("task_received"), ["missing_task"], []),
        (without("routing_decided"), ["missing_routing"], []),
        (keep("task_received"), ["missing_routing", "missing_execution"], ["not_evaluated"]),
        (without("execution_completed"), [], ["unfinished"]),
        (without("execution_started"), [], []),
        (keep("tool_called"), ["missing_task", "missing_routing", "missing_execution"], ["not_evaluated"]),
    ],
)
def test_a_task_that_lacks_events_is_there_all_the_same(
    tmp_path: Path, kept: Callable[[list[Envelope]], list[Envelope]], errors: list[str], warnings: list[str]
) -> None:
    emitter = Emitter()
    (point,) = points_of(tmp_path, kept(emitter.task("t", AT)), emitter)
    assert (point["validation_errors"], point["validation_warnings"]) == (errors, warnings)
    assert point["is_valid"] is (not errors)
    assert point["is_complete"] is (point["evaluated"] and point["success"] is not None and not errors)


@pytest.mark.parametrize(
    ("succeeds", "score", "warnings"),
    [
        (True, 0.49, ["success_with_low_score"]),
        (True, 0.5, []),
        (False, 0.91, ["failure_with_high_score"]),
        (False, 0.1, []),
    ],
)
def test_an_outcome_that_does_not_fit_its_score_is_a_warning(
    tmp_path: Path, succeeds: bool, score: float, warnings: list[str]
) -> None:
    emitter = Emitter()
    (point,) = points_of(tmp_path, emitter.task("t", AT, succeeds=succeeds, score=score), emitter)
    assert point["validation_warnings"] == warnings
    assert point["is_valid"]


def test_private_data_behind_the_door_makes_a_point_invalid(tmp_path: Path) -> None:
    emitter = Emitter()
    events = emitter.task("t", AT)
    leak = emitter.event("tool_called", "t", AT, {"tool": "mail", "result": "to jane.roe@example-mail.net"})
    (point,) = points_of(tmp_path, [*events, leak], emitter)
    assert point["validation_errors"] == ["private_data"]


@pytest.mark.parametrize(("tasks", "scanned"), [(8, 8), (9, 1)])
def test_a_small_hour_is_scanned_whole_and_of_a_large_one_a_share(tasks: int, scanned: int) -> None:
    settings = Loading(audited_whole_events=48, audited_share=0.2)
    frame = pl.DataFrame({"subject": [f"t{n}" for n in range(tasks)], "event_count": [6] * tasks})
    assert audited_tasks(frame, settings).height == scanned
    assert audited_tasks(frame, Loading(audited_share=0)).height == 0


@pytest.mark.parametrize("at", [AT, NEXT.start], ids=["in its hour", "an hour later"])
def test_a_task_with_an_event_that_the_door_kept_back_says_so(tmp_path: Path, at: datetime) -> None:
    emitter = Emitter()
    events = emitter.task("t", AT)[:5]
    body = {"event_kind": "evaluation_finished", "reason": "its body was dropped", "size_bytes": 9}
    events.append(emitter.event("event_quarantined", "t", at, body))
    (point,) = points_of(tmp_path, events, emitter)
    assert (point["event_count"], point["quarantined_events"]) == (6, 1)
    assert point["validation_warnings"] == ["not_evaluated", "privacy"]
    assert point["is_valid"]


def test_a_task_of_which_nothing_could_be_kept_is_there_all_the_same(tmp_path: Path) -> None:
    emitter = Emitter()
    body = {"event_kind": "task_received", "reason": "its body was dropped"}
    (point,) = points_of(tmp_path, [emitter.event("event_quarantined", "t", AT, body)], emitter)
    assert (point["task_id"], point["event_count"], point["quarantined_events"]) == ("t", 1, 1)
    assert point["validation_errors"] == ["missing_task", "missing_routing", "missing_execution"]
    assert "privacy" in point["validation_warnings"]


def test_a_retry_is_counted_and_the_last_outcome_holds(tmp_path: Path) -> None:
    emitter = Emitter()
    events = emitter.task("t", AT, succeeds=False)
    again = AT + timedelta(minutes=1)
    second = {"execution_id": "t-2", "agent": "coder", "attempt": 2}
    done = {**second, "success": True, "latency_ms": 7.5, "tokens": {"input": 1, "tool": 2}}
    events.append(emitter.event("execution_started", "t", again, second))
    events.append(emitter.event("execution_completed", "t", again + timedelta(seconds=1), done))
    (point,) = points_of(tmp_path, events, emitter)
    assert (point["attempts"], point["success"], point["latency_ms"], point["tokens_total"]) == (
        2,
        True,
        7.5,
        123,
    )


def test_a_task_over_the_end_of_its_hour_belongs_to_the_hour_it_was_received_in(tmp_path: Path) -> None:
    emitter = Emitter()
    events = emitter.task("t", BORDER)  # received and routed at 10:59, the rest from 11:00 on
    assert {hour_of(event) for event in events} == {HOUR, NEXT}
    (point,) = points_of(tmp_path, events, emitter)
    assert point["is_complete"]
    assert (point["event_count"], point["attempts"], point["latency_ms"]) == (6, 1, 2000.0)
    assert load(tmp_path, archive_in(tmp_path), NEXT) == []


def test_an_execution_that_starts_in_one_hour_and_ends_in_the_next_is_one(tmp_path: Path) -> None:
    emitter = Emitter()
    events = emitter.task("t", HOUR.end - timedelta(seconds=3, milliseconds=500))
    (point,) = points_of(tmp_path, events, emitter)
    assert (point["attempts"], point["success"], point["latency_ms"]) == (1, True, 2000.0)
    assert point["started_at"] < HOUR.end <= point["completed_at"]


def test_an_orphan_stands_in_the_hour_of_its_first_event(tmp_path: Path) -> None:
    emitter = Emitter()
    events = [event for event in emitter.task("t", BORDER) if event.kind != "task_received"]
    (point,) = points_of(tmp_path, events, emitter)
    assert point["event_count"] == 5
    assert load(tmp_path, archive_in(tmp_path), NEXT) == []


def test_events_beyond_the_horizon_are_not_joined(tmp_path: Path) -> None:
    emitter, archive = Emitter(), archive_in(tmp_path)
    far: datetime = HOUR.start + timedelta(hours=3)
    emitter.write(tmp_path / "spool", *emitter.task("t", AT)[:2])
    emitter.write(tmp_path / "spool", emitter.event("tool_called", "t", far, {"tool": "x"}))
    taken(archive, tmp_path / "spool")
    assert load(tmp_path, archive, settings=Loading(task_horizon_hours=2))[0]["tool_calls"] == 0
    assert load(tmp_path, archive, settings=Loading(task_horizon_hours=3))[0]["tool_calls"] == 1
