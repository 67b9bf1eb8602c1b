"""From an OpenTelemetry exporter to the report: intake, loader, statistics, all as Dagster runs them."""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
from click.testing import CliRunner
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from assets_tests.capture.test_otel import a_span, intake, traced, writer_in
from pipeline.capture.otel.translating import occurrences
from pipeline.capture.spool import segments
from pipeline.cli.telemetry import telemetry
from pipeline.definitions import defs
from pipeline.hours import Hour
from pipeline.schedules import HOUR_JOB, failed_hours
from pipeline.telemetry.aggregate_tables import ALERTS, COLLECTION_METRICS
from pipeline.telemetry.span_tables import SPANS
from pipeline.telemetry.tables import DATA_POINTS, RECORDER_PROCESSES, TASK_EXECUTIONS, TOOL_CALLS
from pipeline.warehouse.store import Warehouse

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def test_an_instrumented_agent_is_in_the_report_without_code_of_ours(data_directory: Path) -> None:
    before = Hour.current()
    with intake(data_directory / "spool") as address:
        for agent in ("mender", "mender", "writer"):
            traced(SimpleSpanProcessor(OTLPSpanExporter(address)), agent)
    hours = {before, Hour.current()}
    for hour in hours:
        result = defs.resolve_job_def("telemetry").execute_in_process(
            partition_key=hour.key,
            run_config=QUIET,
            raise_on_error=False,
        )
        assert result.success, [
            event.step_failure_data for event in result.all_events if event.is_step_failure
        ]
    warehouse = Warehouse(data_directory / "warehouse.duckdb")
    points = warehouse.read_all(DATA_POINTS)
    assert sorted(points["selected_agent"]) == ["mender", "mender", "writer"]
    assert points["is_valid"].all()
    assert points["tool_calls"].to_list() == [2, 2, 2]
    assert points["tokens_total"].to_list() == [150, 150, 150]
    kept = warehouse.read_all(SPANS)
    assert sorted(kept["operation"]) == ["agent"] * 3 + ["model"] * 3 + ["tool"] * 6
    assert kept.filter(operation="model")["tokens_input"].to_list() == [120] * 3
    assert warehouse.read_all(TASK_EXECUTIONS)["has_end"].all()
    assert warehouse.read_all(TOOL_CALLS)["outcome"].value_counts(sort=True).height == 2
    assert warehouse.read_all(RECORDER_PROCESSES)["gap"].sum() == 0
    metrics = warehouse.read_all(COLLECTION_METRICS).filter(synthetic=False)
    assert metrics["privacy_violations"].sum() == 0
    assert metrics["rejected_events"].sum() == 0
    report = json.loads(CliRunner().invoke(telemetry, ["report", max(hours).key, "--json"]).output)
    assert {row["agent"] for row in report["agents"]} <= {"mender", "writer"}


def test_an_hour_whose_events_are_missing_stops_the_loader_but_not_the_alert(data_directory: Path) -> None:
    spool, hour = data_directory / "spool", Hour.parse("2026-02-02-02:00")
    writer = writer_in(spool)
    for number in range(1, 5):
        span = a_span(trace_id=f"{number:032x}", attributes={"gen_ai.operation.name": "chat"})
        writer.write(occurrences([span]))
    writer.close()
    place = next(segment.path for segment in segments([spool]) if segment.hour == hour.key)
    lines = place.read_bytes().splitlines(keepends=True)
    place.write_bytes(b"".join(lines[:3] + lines[6:]))
    with dg.DagsterInstance.ephemeral() as instance:
        loaded = defs.resolve_job_def("telemetry").execute_in_process(
            partition_key=hour.key, run_config=QUIET, raise_on_error=False, instance=instance
        )
        assert not loaded.success
        context = dg.build_run_status_sensor_context(
            sensor_name="failed_hours",
            dagster_instance=instance,
            dagster_run=loaded.dagster_run,
            dagster_event=loaded.get_run_failure_event(),
        ).for_run_failure()
        request = failed_hours(context)
        assert isinstance(request, dg.RunRequest)
        told = defs.resolve_job_def(HOUR_JOB).execute_in_process(
            partition_key=request.partition_key, run_config=QUIET, raise_on_error=False, instance=instance
        )
        assert told.success
    alerts = Warehouse(data_directory / "warehouse.duckdb").read_hour(ALERTS, hour)
    assert "events-missing" in alerts["name"].to_list()
