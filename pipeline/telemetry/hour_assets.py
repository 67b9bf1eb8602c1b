"""Assets of the hour: flags, statistics, trends, arms, code, metrics, alerts, retention.

What belongs here: wiring. What does not: computing; those are plain functions of this domain.
"""

import logging
from collections.abc import Callable

import dagster as dg
import polars as pl

from pipeline.capture.otel.spans import SPAN_KIND
from pipeline.errors import PipelineError
from pipeline.settings.alerts import load_alerts
from pipeline.settings.places import data_directory
from pipeline.settings.telemetry import load_telemetry
from pipeline.telemetry import hour_charts
from pipeline.telemetry.aggregate_tables import (
    AGENT_STATS,
    AGENT_TRENDS,
    ALERTS,
    CODE_METRICS,
    COLLECTION_METRICS,
    FLAGGED_POINTS,
    HOUR_TABLES,
    METRIC_TARGETS,
    RETENTION_STEPS,
    ROUTING_ARMS,
)
from pipeline.telemetry.aggregating import summarise_agents
from pipeline.telemetry.alerting import evaluate, halt_for, read_inputs
from pipeline.telemetry.archive import read_events
from pipeline.telemetry.arms import pool_arms
from pipeline.telemetry.behind_the_door import open_door, scan_hour, store_scan
from pipeline.telemetry.cleaning import count_flags, flag_points
from pipeline.telemetry.code_trees import measure_analyses
from pipeline.telemetry.measuring import compare_with_targets, measure
from pipeline.telemetry.notifying import acknowledged_ids
from pipeline.telemetry.retaining import apply_steps, due_steps
from pipeline.telemetry.span_tables import SPANS, span_rows
from pipeline.telemetry.tables import (
    DATA_POINTS,
    DEEP_ANALYSES,
    EVENT_COUNTS,
    EVENT_SEGMENTS,
    EVENT_TABLES,
    LOADED_TABLES,
    RECORDER_PROCESSES,
    REJECTED_EVENTS,
)
from pipeline.telemetry.trending import compare_agents
from pipeline.warehouse.assets import Check, Computed, Finding, Output, Step, preview, table_assets
from pipeline.warehouse.statements import ensure_table

log = logging.getLogger("pipeline.alerts")

ERRORS = ("error", "critical")


def _flagged_points(step: Step) -> list[Computed]:
    step.read(EVENT_COUNTS)  # refuses, with a sentence, an hour that was never loaded
    with step.warehouse.writing() as connection:
        # Where a gap stopped the loader there may be no data points yet; the hour is measured all the same.
        for table in (*LOADED_TABLES, SPANS, *HOUR_TABLES):
            ensure_table(connection, table)
    with step.warehouse.reading() as connection:
        return [Computed(flag_points(connection, step.hour, load_telemetry().cleaning))]


def _agent_stats(step: Step) -> list[Computed]:
    with step.warehouse.reading() as connection:
        return [Computed(summarise_agents(connection, step.hour))]


def _agent_trends(step: Step) -> list[Computed]:
    with step.warehouse.reading() as connection:
        return [Computed(compare_agents(connection, step.hour, load_telemetry().trends))]


def _routing_arms(step: Step) -> list[Computed]:
    with step.warehouse.reading() as connection:
        return [Computed(pool_arms(connection, step.hour, load_telemetry().arms))]


def _code_metrics(step: Step) -> list[Computed]:
    return [Computed(measure_analyses(step.read(DEEP_ANALYSES)[0]))]


def _collection_metrics(step: Step) -> list[Computed]:
    settings = load_telemetry()
    with step.warehouse.reading() as connection:
        scanned = scan_hour(connection, step.hour, settings.privacy_scan, open_door())
        metrics = measure(connection, step.hour, settings, scanned)
    store_scan(step.warehouse, step.hour, scanned)
    return [Computed(metrics), Computed(compare_with_targets(metrics, settings.targets))]


def _alerts(step: Step) -> list[Computed]:
    settings = load_alerts()
    exist = step.warehouse.newest_hour(ALERTS) is not None
    with step.warehouse.reading() as connection:
        inputs = read_inputs(connection, step.hour, settings, alerts_exist=exist)
    alerts = evaluate(step.hour, settings, *inputs)
    for alert_id in halt_for(alerts, acknowledged_ids(step.warehouse)):
        step.log(f"Alert {alert_id} halts exports and text until it is acknowledged.")
    for row in alerts.filter(pl.col("state") == "fired").iter_rows(named=True):
        log.warning(
            "%s: %s%s at %s (%s): %s; %s", row["severity"], row["name"],
            f" of {row['subject']}" if row["subject"] else "", step.hour, row["alert_id"], row["facts"],
            row["action"],
        )  # fmt: skip
    return [Computed(alerts)]


def _retention_steps(step: Step) -> list[Computed]:
    steps = due_steps(step.warehouse, step.hour, load_telemetry().retention, data_directory())
    for what, count in steps["step"].value_counts().iter_rows():
        step.log(f"{what}: {count} hour(s) of tables are due.")
    if steps.height and step.config["apply"]:
        steps = apply_steps(step.warehouse, steps, data_directory(), remove_raw=step.config["remove_raw"])
        step.log(f"Done: {steps['applied'].sum()} step(s) of {steps.height} were applied.")
    return [Computed(steps)]


def _few_are_left_out(_: Step, frame: pl.DataFrame) -> Finding:
    counts = count_flags(frame)
    named = "; ".join(
        f"{row['tasks']} {row['field']} {row['reason']}" for row in counts.iter_rows(named=True)
    )
    return Finding(
        passed=not counts["left_out"].any(),
        description=named or "no data point is invalid, an outlier or inconsistent",
        metadata={"flags": preview(counts, 20)} if counts.height else {},
    )


def _targets_are_met(_: Step, frame: pl.DataFrame) -> Finding:
    missed = frame.filter(~pl.col("met") & ~pl.col("synthetic"))
    named = ", ".join(
        f"{row['metric']} {row['value']:.3g} ({row['comparison']} {row['target']:g})"
        for row in missed.iter_rows(named=True)
    )
    return Finding(passed=missed.height == 0, description=named or "every target that has a value is met")


def _alert_checks() -> dict[str, Check]:
    """One check per alert of alerts.yaml, as the file stands when definitions are loaded, and one for all.

    Of a file that cannot be read only the latter is left: the asset then fails with the sentence that says
    why.
    """
    together = {"nothing_fired": Check("No alert of alerts.yaml fired.", _did_not_fire(None))}
    try:
        configured = load_alerts().alerts
    except PipelineError as error:
        log.error("alerts have no checks of their own: %s", error)
        return together
    return together | {
        alert.name.replace("-", "_"): Check(
            f"{alert.condition}: {alert.severity}. {alert.action}.", _did_not_fire(alert.name)
        )
        for alert in configured
    }


def _did_not_fire(name: str | None) -> Callable[[Step, pl.DataFrame], Finding]:
    return lambda _, frame: _fired(frame if name is None else frame.filter(pl.col("name") == name))


def _fired(frame: pl.DataFrame) -> Finding:
    fired = frame.filter(pl.col("state") == "fired")
    severe = fired.filter(pl.col("severity").is_in(ERRORS)).height
    return Finding(
        passed=fired.height == 0,
        description=", ".join(fired["name"].unique().sort()) or "no alert fired",
        metadata={"alerts": preview(fired.drop("hour"), 20)} if fired.height else {},
        severity=dg.AssetCheckSeverity.ERROR if severe else dg.AssetCheckSeverity.WARN,
    )


def _spans(step: Step) -> list[Computed]:
    step.read(EVENT_SEGMENTS)
    return [Computed(span_rows(read_events(step.hour, {SPAN_KIND})))]


spans = table_assets(
    outputs=[Output(SPANS)],
    compute=_spans,
    upstream=[EVENT_SEGMENTS],
    reusable=False,
    kinds=frozenset({"duckdb", "polars", "parquet"}),
)
flagged_points = table_assets(
    outputs=[
        Output(
            FLAGGED_POINTS,
            checks={
                "nothing_is_left_out": Check(
                    "No data point is invalid or an outlier; odd ones are counted.", _few_are_left_out
                )
            },
        )
    ],
    compute=_flagged_points,
    upstream=[DATA_POINTS, EVENT_COUNTS],
    reusable=False,
)
agent_stats = table_assets(
    outputs=[Output(AGENT_STATS, plot=hour_charts.agent_stats)],
    compute=_agent_stats,
    upstream=[DATA_POINTS, FLAGGED_POINTS],
    reusable=False,
)
agent_trends = table_assets(
    outputs=[Output(AGENT_TRENDS)], compute=_agent_trends, upstream=[AGENT_STATS], reusable=False
)
routing_arms = table_assets(
    outputs=[Output(ROUTING_ARMS, plot=hour_charts.routing_arms)],
    compute=_routing_arms,
    upstream=[AGENT_STATS],
    reusable=False,
)
code_metrics = table_assets(
    outputs=[Output(CODE_METRICS)], compute=_code_metrics, upstream=[DEEP_ANALYSES], reusable=False
)
collection_metrics = table_assets(
    outputs=[
        Output(COLLECTION_METRICS, plot=hour_charts.collection_metrics),
        Output(
            METRIC_TARGETS,
            checks={"targets_are_met": Check("Real rows reach the targets.", _targets_are_met)},
        ),
    ],
    compute=_collection_metrics,
    upstream=[AGENT_STATS, FLAGGED_POINTS, RECORDER_PROCESSES, REJECTED_EVENTS, SPANS, *EVENT_TABLES],
    reusable=False,
)
alerts = table_assets(
    outputs=[Output(ALERTS, checks=_alert_checks())],
    compute=_alerts,
    upstream=[COLLECTION_METRICS, AGENT_STATS, AGENT_TRENDS],
    reusable=False,
)
retention_steps = table_assets(
    outputs=[Output(RETENTION_STEPS)],
    compute=_retention_steps,
    upstream=[ALERTS],
    reusable=False,
    config_schema={
        "apply": dg.Field(bool, default_value=False, description="Do what is due, not only show it."),
        "remove_raw": dg.Field(
            bool, default_value=False, description="With apply: raw segments beyond the warm window too."
        ),
    },
)

ASSETS = (
    spans,
    flagged_points,
    agent_stats,
    agent_trends,
    routing_arms,
    code_metrics,
    collection_metrics,
    alerts,
    retention_steps,
)
