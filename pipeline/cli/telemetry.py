"""``pipeline telemetry``: an hour for a person, and policies judged offline."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import click
import polars as pl

from pipeline.cli.parameters import HOUR
from pipeline.cli.printing import format_options, plain, print_frame
from pipeline.errors import InputError
from pipeline.hours import Hour
from pipeline.settings.places import data_directory
from pipeline.telemetry.aggregate_tables import (
    AGENT_STATS,
    AGENT_TRENDS,
    ALERTS,
    COLLECTION_METRICS,
    FLAGGED_POINTS,
    METRIC_TARGETS,
)
from pipeline.warehouse.places import warehouse_path
from pipeline.warehouse.store import Warehouse

AGENT_COLUMNS = [
    "agent",
    "tasks",
    "success_rate",
    "success_lower",
    "success_upper",
    "quality",
    "latency_p50",
    "latency_p95",
    "latency_p99",
    "tokens",
    "cost_usd",
    "tool_success_rate",
    "left_out",
]


SHORT = {
    "success_rate": "success",
    "success_lower": "at least",
    "success_upper": "at most",
    "latency_p50": "p50 ms",
    "latency_p95": "p95 ms",
    "latency_p99": "p99 ms",
    "cost_usd": "cost USD",
    "tool_success_rate": "tools",
}
"""Headings of a terminal's width; JSON keeps the names of the columns."""


@click.group()
def telemetry() -> None:
    """What agents did: an hour's report, policies judged offline."""


@telemetry.command()
@click.argument("hour", type=HOUR, required=False)
@click.option("--synthetic", is_flag=True, help="Report the rows of simulators and stubs instead.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object of all parts.")
def report(hour: Hour | None, synthetic: bool, as_json: bool) -> None:
    """Print HOUR (the newest measured by default): agents, changes, targets, flags, alerts.

    \b
    Examples:
      pipeline telemetry report
      pipeline telemetry report 2026-11-20-10:00 --synthetic
    """
    warehouse = Warehouse(warehouse_path())
    hour = hour or warehouse.newest_hour(ALERTS)
    if hour is None:
        raise InputError("Reporting the hour: none was measured yet; materialise the job telemetry first.")
    parts = _parts(warehouse, hour, synthetic)
    if as_json:
        rows = {name: [plain(row) for row in frame.iter_rows(named=True)] for name, frame in parts.items()}
        click.echo(
            json.dumps({"hour": hour.key, "synthetic": synthetic, **rows}, ensure_ascii=False, indent=1)
        )
        return
    click.echo(f"{hour}, {'synthetic' if synthetic else 'real'} rows")
    for name, frame in parts.items():
        if frame.height:
            print_frame(frame.rename(SHORT, strict=False), None, title=name)
        else:
            click.echo(f"{name}: none")


@telemetry.command("evaluate-policy")
@click.argument("policy", type=click.Path(path_type=Path))
@click.option("--until", type=HOUR, help="Last hour of the log; the newest by default.")
@click.option(
    "--days", default=7.0, show_default=True, type=click.FloatRange(0.04, 730), help="How far back."
)
@click.option("--reward", type=click.Choice(["quality", "success"]), default="quality", show_default=True)
@click.option("--synthetic", is_flag=True, help="Judge on the rows of simulators and stubs instead.")
@format_options
def evaluate_policy(  # noqa: PLR0917 - click hands over each option
    policy: Path, until: Hour | None, days: float, reward: str, synthetic: bool, form: str | None
) -> None:
    """Estimate what POLICY (a YAML file) would have earned, from logged propensities.

    Kinds: uniform; always (agent); table (rules by task_type and complexity); epsilon_greedy (epsilon) and
    softmax (temperature) over the routing arms known before the log begins.

    \b
    Examples:
      pipeline telemetry evaluate-policy always-coder.yaml
      pipeline telemetry evaluate-policy greedy.yaml --days 30 --reward success --json
    """
    from pipeline.telemetry.policies import judge, load_policy, read_arms, read_log

    chosen = load_policy(policy)
    warehouse = Warehouse(warehouse_path())
    last = until or warehouse.newest_hour(AGENT_STATS)
    if last is None:
        raise InputError("Judging a policy: nothing was logged yet; load an hour of telemetry first.")
    start = Hour.of(last.end - timedelta(days=days))
    log = read_log(warehouse, data_directory(), start, last, reward=reward, synthetic=synthetic)
    arms = read_arms(warehouse, start, synthetic=synthetic)
    print_frame(judge(chosen, log, arms), form, title=f"{policy.name}: {reward}, {start} to {last}")


def _parts(warehouse: Warehouse, hour: Hour, synthetic: bool) -> dict[str, pl.DataFrame]:
    tables = (AGENT_STATS, AGENT_TRENDS, COLLECTION_METRICS, METRIC_TARGETS, FLAGGED_POINTS, ALERTS)
    stats, trends, metrics, targets, flags, alerts = (
        frame.filter(pl.col("synthetic") == synthetic) for frame in warehouse.read_hours(tables, hour)
    )
    by_grain = {
        "by task type": ("agent_task_type", "task_type"),
        "by complexity": ("agent_complexity", "complexity"),
    }
    volume = ["tasks_this_hour", "tasks_today", "tasks_total", "events_this_hour", "rejected_events"]
    return {
        "volume": metrics.select(volume),
        "agents": stats.filter(pl.col("grain") == "agent").select(AGENT_COLUMNS),
        **{
            name: stats.filter(pl.col("grain") == grain)
            .group_by(column)
            .agg(pl.col("tasks", "successes", "cost_usd").sum(), finished=pl.col("finished").sum())
            .sort(column)
            for name, (grain, column) in by_grain.items()
        },
        "changes": trends.filter(pl.col("significant")).select(
            "agent", "metric", "baseline", "value", "baseline_value", "p_adjusted"
        ),
        "targets": targets.select("metric", "value", "comparison", "target", "met"),
        "flags": flags.group_by("field", "reason", "left_out")
        .agg(tasks=pl.len())
        .sort("tasks", "field", "reason", descending=[True, False, False]),
        "alerts": alerts.select("alert_id", "severity", "name", "subject", "state", "facts", "action"),
    }
