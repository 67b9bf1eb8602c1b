"""Which alerts an hour fires: ``telemetry.alerts``.

What belongs here: evaluating the conditions of ``configs/alerts.yaml``, cool-downs, the halt. What does
not: telling somebody (``notifying``). A condition is checked word by word before it is compiled; it can
name columns and call plain functions, nothing else.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

import duckdb
import polars as pl

from pipeline.hours import Hour
from pipeline.settings.alerts import Alert, AlertSettings
from pipeline.settings.expressions import check_indicator, parse_expression
from pipeline.telemetry.aggregate_tables import AGENT_STATS, ALERTS, COLLECTION_METRICS
from pipeline.telemetry.halting import halt
from pipeline.warehouse.tables import UTC_DATETIME

AGENT_SCHEMA: dict[str, Any] = {
    **AGENT_STATS.polars_schema,
    "success_change": pl.Float64(),
    "success_change_significant": pl.Boolean(),
}
"""Columns that a condition on agents may name."""

_WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)

_AGENTS = """
    SELECT stats.*, trends.change AS success_change, trends.significant AS success_change_significant
    FROM telemetry.agent_stats AS stats
    LEFT JOIN telemetry.agent_trends AS trends
        ON trends.hour = stats.hour AND trends.agent = stats.agent AND trends.synthetic = stats.synthetic
        AND trends.metric = 'success_rate' AND trends.baseline = 'previous_day'
    WHERE stats.hour = $hour AND stats.grain = 'agent' ORDER BY stats.agent, stats.synthetic
"""
_EARLIER = """
    SELECT name, subject, synthetic, hour FROM telemetry.alerts
    WHERE state = 'fired' AND hour >= $start AND hour < $hour
"""


def check_conditions(alerts: Iterable[Alert]) -> None:
    """Refuse a condition that names what there is not, or answers not true or false
    (``ConfigurationError``).
    """
    for alert in alerts:
        check_indicator(alert.condition, _schema(alert), what=_what(alert))


def evaluate(
    hour: Hour, settings: AlertSettings, metrics: pl.DataFrame, agents: pl.DataFrame, earlier: pl.DataFrame
) -> pl.DataFrame:
    """Rows of ``telemetry.alerts`` for the hour.

    ``metrics`` has the hour's rows of collection_metrics, ``agents`` those of agent_stats with
    ``AGENT_SCHEMA``, ``earlier`` the alerts that fired before: ``name, subject, synthetic, hour``. While
    the hour still runs only alerts with ``early`` fire, since a rate over ten minutes is no hour's.
    """
    check_conditions(settings.alerts)
    rows = [
        row
        for alert in settings.alerts
        if alert.early or not hour.is_current
        for row in _fired(hour, alert, agents if alert.table == "agents" else metrics, earlier)
    ]
    return ALERTS.frame(rows)


def read_inputs(
    connection: duckdb.DuckDBPyConnection, hour: Hour, settings: AlertSettings, *, alerts_exist: bool
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """What ``evaluate`` wants: metrics, agents, earlier alerts within the longest cool-down."""
    values = {"hour": hour.start}
    metrics = connection.execute(
        "SELECT * FROM telemetry.collection_metrics WHERE hour = $hour ORDER BY synthetic", values
    ).pl()
    agents = connection.execute(_AGENTS, values).pl()
    longest = max((alert.cool_down_hours for alert in settings.alerts), default=0)
    earlier = pl.DataFrame(
        schema={"name": pl.String, "subject": pl.String, "synthetic": pl.Boolean, "hour": UTC_DATETIME}
    )
    if alerts_exist:
        start = hour.start - timedelta(hours=longest)
        earlier = connection.execute(_EARLIER, values | {"start": start}).pl().cast(earlier.schema)
    return metrics, agents, earlier


def halt_for(alerts: pl.DataFrame, acknowledged: Sequence[str]) -> list[str]:
    """Halt for each alert that says so and was not acknowledged; their ids."""
    halting = alerts.filter(
        (pl.col("effect") == "halt") & (pl.col("state") == "fired") & ~pl.col("alert_id").is_in(acknowledged)
    )
    for row in halting.iter_rows(named=True):
        halt(row["alert_id"], row["name"], Hour.of(row["hour"]).key)
    return halting["alert_id"].to_list()


def _fired(hour: Hour, alert: Alert, rows: pl.DataFrame, earlier: pl.DataFrame) -> list[dict[str, Any]]:
    condition = parse_expression(alert.condition, _schema(alert), what=_what(alert))
    about = {"real": [False], "synthetic": [True], "any": [False, True]}[alert.about]
    true = rows.filter(pl.col("synthetic").is_in(about)).filter(condition)
    return [_row(hour, alert, row, earlier) for row in true.iter_rows(named=True)]


def _row(hour: Hour, alert: Alert, row: dict[str, Any], earlier: pl.DataFrame) -> dict[str, Any]:
    subject = row["agent"] if alert.table == "agents" else ""
    silent_since = hour.start - timedelta(hours=alert.cool_down_hours)
    recent = earlier.filter(
        (pl.col("name") == alert.name)
        & (pl.col("subject") == subject)
        & (pl.col("synthetic") == row["synthetic"])
        & (pl.col("hour") >= silent_since)
    )
    named = sorted(set(_WORD.findall(alert.condition)) & set(row))
    return {
        "hour": hour.start,
        "alert_id": _identifier(hour, alert.name, subject, row["synthetic"]),
        "name": alert.name,
        "subject": subject,
        "synthetic": row["synthetic"],
        "severity": alert.severity,
        "action": alert.action,
        "effect": alert.effect,
        "state": "cooling_down" if alert.cool_down_hours and recent.height else "fired",
        "condition": alert.condition,
        "facts": json.dumps({name: row[name] for name in named}, default=str),
    }


def _identifier(hour: Hour, name: str, subject: str, synthetic: bool) -> str:
    text = json.dumps([hour.key, name, subject, synthetic])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _schema(alert: Alert) -> dict[str, Any]:
    return AGENT_SCHEMA if alert.table == "agents" else COLLECTION_METRICS.polars_schema


def _what(alert: Alert) -> str:
    return f"the condition of alert {alert.name} in alerts.yaml"
