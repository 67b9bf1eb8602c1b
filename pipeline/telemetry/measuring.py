"""How well an hour was collected: ``telemetry.collection_metrics`` and their targets.

What belongs here: counting. What does not: telling somebody (``alerting``). Coverage has three denominators:
the registry (which agents, how many tasks), the application's own counter (in recorder reports) and the
sequence numbers of recording processes.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from typing import Any

import duckdb
import polars as pl

from pipeline.hours import Hour
from pipeline.settings.telemetry import Registry, Targets, TelemetrySettings
from pipeline.telemetry.aggregate_tables import COLLECTION_METRICS, METRIC_TARGETS
from pipeline.telemetry.behind_the_door import Scanned

KNOWN_AGENT_DAYS = 7
"""Where nobody registered agents, those of so many days are expected."""

_MINUTES, _HOURS, _MEGABYTE = 60, 24, 1e6

_POINTS = """
    SELECT count(*) AS tasks, count(received_at) AS received, count(*) FILTER (NOT is_valid) AS invalid,
        count(*) FILTER (len(validation_warnings) > 0) AS inconsistent,
        count(DISTINCT task_type) AS task_types,
        count(*) FILTER (complexity = 'trivial') AS trivial,
        count(*) FILTER (complexity = 'standard') AS standard,
        count(*) FILTER (complexity = 'complex') AS complex,
        count(routed_at) AS routed, count(*) FILTER (attempts > 0) AS executed,
        count(success) AS finished, count(*) FILTER (evaluated AND success IS NOT NULL) AS evaluated
    FROM telemetry.data_points WHERE hour = $hour AND synthetic = $synthetic
"""
_EVENTS = """
    SELECT coalesce(sum(loaded), 0)::BIGINT AS events, coalesce(sum(duplicates), 0)::BIGINT AS duplicates,
        coalesce(sum(line_bytes), 0)::BIGINT AS bytes
    FROM telemetry.event_counts WHERE hour = $hour AND synthetic = $synthetic
"""
_PROCESSES = """
    SELECT count(*) AS processes, coalesce(sum(emitted), 0)::BIGINT AS emitted,
        coalesce(sum(gap), 0)::BIGINT AS gap
    FROM telemetry.recorder_processes WHERE hour = $hour AND synthetic = $synthetic
"""
_TASKS_SINCE = """
    SELECT coalesce(sum(tasks), 0)::BIGINT AS tasks,
        coalesce(sum(tasks) FILTER (hour >= $day), 0)::BIGINT AS today
    FROM telemetry.agent_stats WHERE grain = 'agent' AND hour <= $hour AND synthetic = $synthetic
"""
_AGENTS = """
    SELECT DISTINCT agent FROM telemetry.agent_stats
    WHERE grain = 'agent' AND hour > $since AND hour <= $hour AND synthetic = $synthetic
        AND agent <> '(unknown)'
    ORDER BY agent
"""


def measure(
    connection: duckdb.DuckDBPyConnection, hour: Hour, settings: TelemetrySettings, scanned: Scanned
) -> pl.DataFrame:
    """Rows of ``telemetry.collection_metrics``: real and synthetic."""
    rows = [
        {"hour": hour.start, "synthetic": synthetic}
        | _row(connection, hour, synthetic, settings.registry, scanned)
        for synthetic in (False, True)
    ]
    return COLLECTION_METRICS.frame(rows)


def compare_with_targets(metrics: pl.DataFrame, targets: Targets) -> pl.DataFrame:
    """Rows of ``telemetry.metric_targets``: each metric that has a target, met or not."""
    aims = [
        ("tasks_this_hour", "at least", targets.tasks_per_hour),
        ("validation_failure_rate", "at most", targets.validation_failure_rate),
        ("privacy_violations", "at most", targets.privacy_violations),
        ("duplicate_rate", "at most", targets.duplicate_rate),
        ("agent_coverage", "at least", targets.agent_coverage),
        ("task_types", "at least", targets.task_types),
        ("task_coverage", "at least", targets.execution_coverage),
        ("execution_coverage", "at least", targets.execution_coverage),
        ("routing_coverage", "at least", targets.routing_coverage),
        ("evaluation_coverage", "at least", targets.evaluation_coverage),
        ("collection_ms_per_task", "at most", targets.collection_latency_ms),
        ("storage_megabytes_per_day", "at most", targets.storage_megabytes_per_day),
    ]
    rows = []
    for measured in metrics.iter_rows(named=True):
        for metric, comparison, target in aims:
            value = measured[metric]
            reached = value is not None and (value >= target if comparison == "at least" else value <= target)
            met = None if value is None else reached
            rows.append(
                {
                    "hour": measured["hour"],
                    "synthetic": measured["synthetic"],
                    "metric": metric,
                    "value": value,
                    "comparison": comparison,
                    "target": target,
                    "met": met,
                }
            )
    return METRIC_TARGETS.frame(rows)


def _row(
    connection: duckdb.DuckDBPyConnection, hour: Hour, synthetic: bool, registry: Registry, scanned: Scanned
) -> dict[str, Any]:
    values = {"hour": hour.start, "synthetic": synthetic}
    points = _one(connection, _POINTS, values)
    events = _one(connection, _EVENTS, values)
    processes = _one(connection, _PROCESSES, values)
    day = hour.start.replace(hour=0)
    since = _one(connection, _TASKS_SINCE, values | {"day": day})
    flags = _one(
        connection,
        "SELECT count(DISTINCT task_id) FILTER (left_out) AS left_out FROM telemetry.flagged_points "
        "WHERE hour = $hour AND synthetic = $synthetic",
        values,
    )
    rejected = 0 if synthetic else _rejected(connection, hour)
    reports = _reports(connection, hour, synthetic)
    return {
        "tasks_this_hour": points["tasks"],
        "tasks_today": since["today"],
        "tasks_total": since["tasks"],
        "events_this_hour": events["events"],
        "rejected_events": rejected,
        "inconsistent_tasks": points["inconsistent"],
        "left_out_tasks": flags["left_out"],
        "privacy_violations": scanned.violations[synthetic],
        "privacy_scanned": scanned.looked_at[synthetic],
        "privacy_unscanned": scanned.left_out[synthetic],
        "duplicate_events": events["duplicates"],
        "duplicate_rate": _share(events["duplicates"], events["events"] + events["duplicates"]),
        "task_types": points["task_types"],
        **{name: points[name] for name in ("trivial", "standard", "complex")},
        **_validation(points, events["events"], rejected, reports["refused"]),
        **_agents(connection, values, registry),
        **_coverage(points, registry, reports["expected_tasks"]),
        "processes": processes["processes"],
        "events_emitted": processes["emitted"],
        "events_missing": processes["gap"],
        "event_coverage": _share(max(0, processes["emitted"] - processes["gap"]), processes["emitted"]),
        **_recorder(reports, events["events"], points["tasks"]),
        "storage_bytes": events["bytes"],
        "storage_megabytes_per_day": events["bytes"] * _HOURS / _MEGABYTE,
    }


def _one(connection: duckdb.DuckDBPyConnection, query: str, values: dict[str, Any]) -> dict[str, Any]:
    used = {name: value for name, value in values.items() if f"${name}" in query}
    return connection.execute(query, used).pl().row(0, named=True)


def _rejected(connection: duckdb.DuckDBPyConnection, hour: Hour) -> int:
    query = "SELECT count(*) AS n FROM telemetry.rejected_events WHERE hour = $hour"
    return int(_one(connection, query, {"hour": hour.start})["n"])


def _validation(points: dict[str, Any], events: int, rejected: int, refused: int) -> dict[str, Any]:
    offered = events + rejected + refused
    shares = [_share(rejected + refused, offered), _share(points["invalid"], points["tasks"])]
    return {
        "invalid_tasks": points["invalid"],
        "validation_failures": rejected + refused + points["invalid"],
        "validation_failure_rate": max((share for share in shares if share is not None), default=None),
    }


def _agents(
    connection: duckdb.DuckDBPyConnection, values: dict[str, Any], registry: Registry
) -> dict[str, Any]:
    start = values["hour"]
    seen = _names(connection, values | {"since": start - timedelta(hours=1)})
    registered = [agent.name for agent in registry.agents]
    if registered and not values["synthetic"]:
        expected = registered
    else:
        expected = _names(connection, values | {"since": start - timedelta(days=KNOWN_AGENT_DAYS)})
    missing = [agent for agent in expected if agent not in set(seen)]
    strangers = [agent for agent in seen if agent not in set(expected)]
    return {
        "agents_expected": len(expected),
        "agents_covered": len(expected) - len(missing),
        "agents_missing": ", ".join(missing) or None,
        "agents_unregistered": ", ".join(strangers) or None,
        "agent_coverage": _share(len(expected) - len(missing), len(expected)),
    }


def _names(connection: duckdb.DuckDBPyConnection, values: dict[str, Any]) -> list[str]:
    return [name for (name,) in connection.execute(_AGENTS, values).fetchall()]


def _coverage(points: dict[str, Any], registry: Registry, counted: int | None) -> dict[str, Any]:
    usual = [agent.tasks_per_hour for agent in registry.agents]
    known = [tasks for tasks in usual if tasks is not None]
    expected = sum(known) if usual and len(known) == len(usual) else None
    below = counted if counted is not None else expected
    return {
        "tasks_expected": expected,
        "tasks_counted": counted,
        "task_coverage": points["received"] / below if below else None,
        "routing_coverage": _share(points["routed"], points["tasks"]),
        "execution_coverage": _share(points["executed"], points["tasks"]),
        "evaluation_coverage": _share(points["evaluated"], points["finished"]),
    }


def _recorder(reports: dict[str, Any], events: int, tasks: int) -> dict[str, Any]:
    mean = reports["latency_us"] / reports["timed"] / 1000 if reports["timed"] else None
    return {
        "events_failed": reports["failed"],
        "collection_latency_ms": mean,
        "collection_ms_per_task": mean * events / tasks if mean is not None and tasks else None,
        "collection_latency_max_ms": None if reports["longest"] is None else reports["longest"] / 1000,
        "flushes_per_minute": (reports["written"] or events) / _MINUTES,
    }


def _reports(connection: duckdb.DuckDBPyConnection, hour: Hour, synthetic: bool) -> dict[str, Any]:
    """Sums over the hour's recorder reports (``pipeline.capture.reports.RecorderReport``)."""
    found = connection.execute(
        "SELECT report FROM telemetry.recorder_reports WHERE hour = $hour AND synthetic = $synthetic",
        {"hour": hour.start, "synthetic": synthetic},
    ).fetchall()
    sums: Counter[str] = Counter()
    longest: float | None = None
    counted: int | None = None
    latency = 0.0
    for (text,) in found:
        report = json.loads(text)
        sums["refused"] += sum(report.get("refused", {}).values())
        sums["failed"] += sum(report.get("failed", {}).values())
        sums["written"] += report.get("written", 0)
        if report.get("mean_latency_us") is not None:
            sums["timed"] += report.get("emitted", 0)
            latency += report["mean_latency_us"] * report.get("emitted", 0)
        if report.get("max_latency_us") is not None:
            longest = max(longest or 0.0, report["max_latency_us"])
        if report.get("expected_tasks") is not None:
            counted = (counted or 0) + report["expected_tasks"]
    return {
        **{name: sums[name] for name in ("refused", "failed", "written", "timed")},
        "latency_us": latency,
        "longest": longest,
        "expected_tasks": counted,
    }


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None
