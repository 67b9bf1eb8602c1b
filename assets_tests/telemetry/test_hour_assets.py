"""The hour as Dagster runs it: from loaded tables to alerts, metrics with denominators, a privacy find, a
report.
"""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from click.testing import CliRunner

from assets_tests.telemetry.points import HOUR, load, point, warehouse_in
from pipeline.cli.alerts import alerts as alerts_command
from pipeline.cli.telemetry import telemetry as telemetry_command
from pipeline.hours import Hour
from pipeline.privacy.tables import FINDINGS
from pipeline.schedules import alert_deliveries
from pipeline.settings.alerts import load_alerts
from pipeline.telemetry.aggregate_tables import (
    AGENT_STATS,
    ALERTS,
    CODE_METRICS,
    COLLECTION_METRICS,
    HOUR_TABLES,
    METRIC_TARGETS,
    RETENTION_STEPS,
)
from pipeline.telemetry.halting import standing_halts
from pipeline.telemetry.hour_assets import ASSETS, retention_steps
from pipeline.telemetry.policies import read_log
from pipeline.telemetry.retaining import read_warm, warm_file
from pipeline.telemetry.tables import DATA_POINTS, EVENT_SEGMENTS
from pipeline.warehouse.resource import WarehouseResource

ULID = "01ARZ3NDEKTSV4RRFFQ69G5FA"


def event(number: int, **values: Any) -> dict[str, Any]:
    return {
        "hour": HOUR.start,
        "event_id": f"{ULID}{number % 10}",
        "process": f"{ULID}V",
        "sequence": number,
        "happened_at": HOUR.start,
        "synthetic": False,
        "task_id": f"task-{number}",
        "host": "h",
        "application": "a",
        "library": "1",
    } | values


def task(number: int, description: str) -> dict[str, Any]:
    return event(number, task_type="fix_bug", complexity="standard", description=description, requirements=[])


def report_event(number: int, **report: Any) -> dict[str, Any]:
    return event(number, kind="recorder_report", report=json.dumps(report))


PROCESS = {
    "hour": HOUR.start,
    "process": f"{ULID}V",
    "host": "h",
    "application": "a",
    "synthetic": False,
    "first_sequence": 1,
    "last_sequence": 200,
    "emitted": 200,
    "loaded": 198,
    "duplicates": 0,
    "rejected": 0,
    "waiting": 0,
    "gap": 2,
    "gap_ranges": "5-6",
    "clashes": 0,
    "broken_some": 0,
    "broken_lines": 0,
    "unexplained_gap": 2,
    "started_at": HOUR.start,
    "stopped": False,
}
COUNT = {
    "hour": HOUR.start,
    "minute": 3,
    "kind": "task_received",
    "synthetic": False,
    "loaded": 198,
    "duplicates": 2,
    "line_bytes": 1_000_000,
}


def run(
    *keys: str, apply: bool = False, remove_raw: bool = False, only: dg.AssetsDefinition | None = None
) -> dg.ExecuteInProcessResult:
    """The assets of the hour over one key or a range; ``only`` one of them, which is quicker."""
    tags = (
        {"dagster/asset_partition_range_start": keys[0], "dagster/asset_partition_range_end": keys[-1]}
        if len(keys) > 1
        else {}
    )
    return dg.materialize(
        list(ASSETS) if only is None else [only],
        partition_key=keys[0] if len(keys) == 1 else None,
        tags=tags,
        resources={"warehouse": WarehouseResource()},
        run_config={
            "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            "ops": {"telemetry_retention_steps": {"config": {"apply": apply, "remove_raw": remove_raw}}},
        },
        raise_on_error=False,
    )


def test_an_hour_from_loaded_to_alerted(data_directory: Path) -> None:
    warehouse = warehouse_in(data_directory)
    points = [
        point(n, selected_agent=["coder", "writer"][n % 2], task_type=f"type_{n % 6}", success=n % 5 != 0)
        for n in range(60)
    ]
    deep = event(
        1,
        agent="coder",
        message_count=0,
        language="python",
        code_before="def f(x):\n    return x\n",
        code_after="def f(x):\n    if x:\n        return x\n    return 0\n",
    )
    reports = [
        report_event(
            1, emitted=100, written=100, mean_latency_us=20.0, max_latency_us=900.0, expected_tasks=64
        ),
        report_event(
            2, emitted=100, written=99, mean_latency_us=40.0, failed={"ENOSPC": 1}, refused={"x": 3}
        ),
    ]
    load(
        warehouse,
        points,
        tasks=[task(3, "Please write to jane.doe@example-mail.com about it"), task(4, "clean")],
        recorder_processes=[PROCESS],
        event_counts=[COUNT],
        recorder_reports=reports,
        deep_analyses=[deep],
    )
    result = run(HOUR.key)
    assert result.success, [event.step_failure_data for event in result.all_events if event.is_step_failure]
    for table in HOUR_TABLES:
        assert warehouse.rejected_rows(table, HOUR).is_empty(), table.name

    metrics = warehouse.read_hour(COLLECTION_METRICS, HOUR).row(0, named=True)
    expected = {
        "synthetic": False,
        "tasks_this_hour": 60,
        "tasks_today": 60,
        "tasks_total": 60,
        "events_this_hour": 198,
        "duplicate_rate": 0.01,
        "privacy_violations": 1,
        "privacy_unscanned": 0,
        "task_types": 6,
        "agents_covered": 2,
        "agent_coverage": 1.0,
        "tasks_counted": 64,
        "task_coverage": 60 / 64,
        "events_emitted": 200,
        "events_missing": 2,
        "event_coverage": 0.99,
        "events_failed": 1,
        "collection_latency_ms": 0.03,
        "collection_latency_max_ms": 0.9,
        "storage_megabytes_per_day": 24.0,
        "validation_failure_rate": 3 / 201,
        "evaluation_coverage": 1.0,
        "standard": 60,
    }
    assert {name: metrics[name] for name in expected} == pytest.approx(expected)
    targets = {
        r["metric"]: r["met"]
        for r in warehouse.read_hour(METRIC_TARGETS, HOUR).filter(synthetic=False).to_dicts()
    }
    assert targets["task_types"] is True
    assert targets["privacy_violations"] is False
    assert targets["task_coverage"] is False

    code = warehouse.read_hour(CODE_METRICS, HOUR).row(0, named=True)
    assert (code["complexity_before"], code["complexity_after"], code["errors_after"]) == (1, 2, 0)
    assert 0.3 < code["similarity"] < 1

    finding = warehouse.read_hour(FINDINGS, HOUR).row(0, named=True)
    assert (finding["surface"], finding["type"], finding["field"]) == (
        "telemetry",
        "EMAIL_ADDRESS",
        "description",
    )
    names = set(warehouse.read_hour(ALERTS, HOUR)["name"])
    assert names == {"privacy-violation", "events-missing", "events-not-written", "low-task-coverage"}
    checks = {e.check_name: e.passed for e in result.get_asset_check_evaluations()}
    assert checks["nothing_fired"] is False
    assert checks["privacy_violation"] is False
    assert checks["events_missing"] is False
    assert checks["low_collection_rate"] is True
    assert {alert.name.replace("-", "_") for alert in load_alerts().alerts} < set(checks)
    assert checks["targets_are_met"] is False
    assert len(standing_halts()) == 1

    listed = CliRunner().invoke(alerts_command, ["list", "--json", "--days", "9999"])
    halting = [row["alert_id"] for row in json.loads(listed.output) if row["halts"]]
    assert CliRunner().invoke(alerts_command, ["acknowledge", halting[0], "--by", "me"]).exit_code == 0
    assert standing_halts() == []
    run(HOUR.key)
    assert standing_halts() == []  # an acknowledged alert does not halt again

    report = CliRunner().invoke(telemetry_command, ["report", HOUR.key])
    assert report.exit_code == 0
    assert "coder" in report.output
    assert "privacy-violation" in report.output
    parts = json.loads(CliRunner().invoke(telemetry_command, ["report", "--json"]).output)
    assert {row["agent"] for row in parts["agents"]} == {"coder", "writer"}


def test_an_hour_that_was_never_loaded_is_refused_in_a_sentence(data_directory: Path) -> None:
    result = run(HOUR.key)
    failures = [
        event.step_failure_data.user_failure_data.description or ""
        for event in result.all_events
        if event.is_step_failure and event.step_failure_data.user_failure_data
    ]
    assert not result.success
    assert "never materialised" in failures[0]


def test_an_empty_hour_is_measured_and_says_so(data_directory: Path) -> None:
    warehouse = warehouse_in(data_directory)
    load(warehouse, [])
    assert run(HOUR.key).success
    assert warehouse.read_hour(ALERTS, HOUR)["name"].to_list() == ["low-collection-rate"]


def test_a_range_of_hours_is_one_run_and_again_changes_nothing(data_directory: Path) -> None:
    warehouse = warehouse_in(data_directory)
    hours = [Hour(HOUR.start + timedelta(hours=n)) for n in range(2)]
    for hour in hours:
        load(warehouse, [point(n, hour, synthetic=n % 2 == 0) for n in range(30)], hour)
    assert run(hours[0].key, hours[-1].key).success
    first = [warehouse.read_all(table) for table in (AGENT_STATS, ALERTS)]
    assert [warehouse.read_hour(AGENT_STATS, hour).height for hour in hours] == [8, 8]
    assert run(hours[0].key, hours[-1].key).success
    for before, table in zip(first, (AGENT_STATS, ALERTS), strict=True):
        assert before.sort(pl.all()).equals(warehouse.read_all(table).sort(pl.all()))


def test_retention_shows_first_and_moves_when_told(data_directory: Path) -> None:
    warehouse = warehouse_in(data_directory)
    old = Hour(HOUR.start - timedelta(days=8))
    load(warehouse, [point(n, old) for n in range(5)], old)
    load(warehouse, [point(n) for n in range(5)])
    before = warehouse.read_hour(DATA_POINTS, old)
    assert run(HOUR.key).success
    steps = warehouse.read_hour(RETENTION_STEPS, HOUR)
    assert set(steps["step"]) == {"move_to_parquet"}
    assert not steps["applied"].any()
    assert warehouse.read_hour(DATA_POINTS, old).height == 5

    assert run(HOUR.key, apply=True, only=retention_steps).success
    assert warehouse.read_hour(RETENTION_STEPS, HOUR)["applied"].all()
    assert warehouse.read_all(DATA_POINTS)["hour"].unique().to_list() == [HOUR.start]
    assert warehouse.newest_hour(EVENT_SEGMENTS, before=HOUR) == old
    kept = read_warm(data_directory, DATA_POINTS, old)
    assert kept is not None
    assert kept.equals(before)

    def logged(start: Hour) -> int:
        return read_log(warehouse, data_directory, start, HOUR, reward="quality", synthetic=False).height

    assert logged(old) == 10
    assert logged(HOUR) == 5
    load(warehouse, [point(n, old) for n in range(3)], old)  # loaded again: the table counts, not the file
    assert logged(old) == 8

    later = Hour(HOUR.start + timedelta(days=180))
    load(warehouse, [], later)
    raw = data_directory / "raw" / "events" / f"{old.start:%Y-%m-%d-%H}"
    raw.mkdir(parents=True)
    assert run(later.key, apply=True, only=retention_steps).success
    shown = warehouse.read_hour(RETENTION_STEPS, later).filter(step="remove_raw")
    assert shown.select("file", "applied").rows() == [(str(raw.relative_to(data_directory)), False)]
    assert raw.is_dir()
    assert run(later.key, apply=True, remove_raw=True, only=retention_steps).success
    assert not raw.exists()
    assert not (data_directory / warm_file(DATA_POINTS, old)).exists()
    assert warehouse.newest_hour(AGENT_STATS) is not None


def test_a_policy_is_judged_from_the_command_line(data_directory: Path, tmp_path: Path) -> None:
    warehouse = warehouse_in(data_directory)
    rows = [
        point(
            n,
            selected_agent=["coder", "writer"][n % 2],
            overall_score=[0.9, 0.3][n % 2] + 0.01 * (n % 5),
        )
        for n in range(200)
    ]
    load(warehouse, rows)
    assert run(HOUR.key).success
    policy = tmp_path / "always.yaml"
    policy.write_text("kind: always\nagent: coder\n")
    done = CliRunner().invoke(telemetry_command, ["evaluate-policy", str(policy), "--json"])
    assert done.exit_code == 0, done.output
    found = {row["estimator"]: row for row in json.loads(done.output)}
    assert found["logged"]["value"] == pytest.approx(0.62)
    assert found["dr"]["value"] == pytest.approx(0.92, abs=0.02)
    assert found["snips"]["effective_sample_size"] == pytest.approx(100)
    policy.write_text("kind: always\nagent: stranger\n")
    refused = CliRunner().invoke(telemetry_command, ["evaluate-policy", str(policy)])
    assert "never tried" in str(refused.exception)


def test_the_sensor_posts_what_is_due_and_starts_no_run(
    data_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIPELINE_ALERT_WEBHOOK", raising=False)
    with dg.DagsterInstance.ephemeral() as instance:
        answer = alert_deliveries(dg.build_sensor_context(instance=instance))
    assert isinstance(answer, dg.SkipReason)
    assert "0 alert(s) delivered" in (answer.skip_message or "")
