"""Shared by the tests of the hour: invented data points, an hour of the loader's tables."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.hours import Hour
from pipeline.telemetry.tables import DATA_POINTS, LOADED_TABLES
from pipeline.warehouse.store import Replacement, Warehouse
from pipeline.warehouse.tables import Table

HOUR = Hour.parse("2026-05-04-10:00")


def point(number: int, hour: Hour = HOUR, **values: Any) -> dict[str, Any]:
    """A whole, good data point; ``values`` change it."""
    at = hour.start + timedelta(seconds=number % 3600)
    return {
        "hour": hour.start, "task_id": f"task-{number}", "synthetic": False, "task_type": "fix_bug",
        "complexity": "standard", "selected_agent": "coder", "strategy": "bandit", "propensity": 0.5,
        "success": True, "attempts": 1, "latency_ms": 1000.0 + number % 7, "tokens_total": 500 + number % 11,
        "cost_usd": 0.01, "tool_calls": 2, "tool_successes": 1, "evaluated": True, "overall_score": 0.8,
        "deep_analyses": 0, "quarantined_events": 0, "received_at": at, "routed_at": at,
        "started_at": at, "completed_at": at,
        "evaluated_at": at, "last_event_at": at, "event_count": 6, "late": False, "is_complete": True,
        "is_valid": True, "validation_errors": [], "validation_warnings": [],
    } | values  # fmt: skip


def load(
    warehouse: Warehouse, points: list[dict[str, Any]], hour: Hour = HOUR, **others: list[dict[str, Any]]
) -> None:
    """Fill every table of the loader for the hour: ``points`` and, by table name, rows of others."""
    rows = {"data_points": points} | others
    warehouse.replace_hours(
        hour, [Replacement(table, frame_of(table, rows.get(table.table_name, []))) for table in LOADED_TABLES]
    )


def frame_of(table: Table, rows: list[dict[str, Any]]) -> pl.DataFrame:
    return table.frame(rows)


def warehouse_in(folder: Path) -> Warehouse:
    return Warehouse(folder / "warehouse.duckdb")


__all__ = ["DATA_POINTS", "HOUR", "frame_of", "load", "point", "warehouse_in"]
