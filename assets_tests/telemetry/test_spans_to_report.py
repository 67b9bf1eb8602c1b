"""From an OpenTelemetry exporter to the hour's report: intake, loader, statistics, all as Dagster runs them."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from assets_tests.capture.test_otel import intake, traced
from pipeline.cli.telemetry import telemetry
from pipeline.definitions import defs
from pipeline.hours import Hour
from pipeline.telemetry.aggregate_tables import COLLECTION_METRICS
from pipeline.telemetry.tables import DATA_POINTS, RECORDER_PROCESSES, TASK_EXECUTIONS, TOOL_CALLS
from pipeline.warehouse.store import Warehouse


def test_an_instrumented_agent_is_in_the_report_without_code_of_ours(data_directory: Path) -> None:
    before = Hour.current()
    with intake(data_directory / "spool") as address:
        for agent in ("mender", "mender", "writer"):
            traced(SimpleSpanProcessor(OTLPSpanExporter(address)), agent)
    hours = {before, Hour.current()}
    for hour in hours:
        result = defs.resolve_job_def("telemetry").execute_in_process(
            partition_key=hour.key,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
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
    assert warehouse.read_all(TASK_EXECUTIONS)["has_end"].all()
    assert warehouse.read_all(TOOL_CALLS)["outcome"].value_counts(sort=True).height == 2
    assert warehouse.read_all(RECORDER_PROCESSES)["gap"].sum() == 0
    metrics = warehouse.read_all(COLLECTION_METRICS).filter(synthetic=False)
    assert metrics["privacy_violations"].sum() == 0
    assert metrics["rejected_events"].sum() == 0
    report = json.loads(CliRunner().invoke(telemetry, ["report", max(hours).key, "--json"]).output)
    assert {row["agent"] for row in report["agents"]} <= {"mender", "writer"}
