"""One hour from loaded to alerted: 1,000,000 events and 1,000,000 tasks; aggregation beside the bare group-by.

Run: ``python -m assets_tests.benchmarks.bench_telemetry_hour``. Data points, tasks and tool calls are made as frames
and written first; what is timed is every asset of the hour as its compute function and its checked write, the same as
in Dagster without Dagster's own log. The baseline is DuckDB's group-by with the same grains and statistics.
"""

from __future__ import annotations

import os
import random
import resource
import tempfile
import time
from pathlib import Path

import polars as pl

from assets_tests.telemetry.points import HOUR, point
from pipeline.telemetry import hour_assets
from pipeline.telemetry.aggregate_tables import (
    AGENT_STATS,
    AGENT_TRENDS,
    ALERTS,
    CODE_METRICS,
    COLLECTION_METRICS,
    FLAGGED_POINTS,
    METRIC_TARGETS,
    ROUTING_ARMS,
)
from pipeline.telemetry.aggregating import summarise_agents
from pipeline.telemetry.tables import DATA_POINTS, EVENT_COUNTS, LOADED_TABLES, TASKS, TOOL_CALLS
from pipeline.warehouse.assets import Step
from pipeline.warehouse.store import Replacement, Warehouse
from pipeline.warehouse.tables import Table

STEPS = {
    "flags": (hour_assets._flagged_points, [FLAGGED_POINTS]),
    "statistics": (hour_assets._agent_stats, [AGENT_STATS]),
    "trends": (hour_assets._agent_trends, [AGENT_TRENDS]),
    "arms": (hour_assets._routing_arms, [ROUTING_ARMS]),
    "code": (hour_assets._code_metrics, [CODE_METRICS]),
    "metrics and privacy": (hour_assets._collection_metrics, [COLLECTION_METRICS, METRIC_TARGETS]),
    "alerts": (hour_assets._alerts, [ALERTS]),
}

BARE = """
    SELECT selected_agent, synthetic, task_type, complexity, count(*), count(success), count(*) FILTER (success),
        count(overall_score), avg(overall_score), stddev_samp(overall_score), count(latency_ms), avg(latency_ms),
        quantile_cont(latency_ms, [0.5, 0.95, 0.99]), avg(ln(latency_ms)), stddev_samp(ln(latency_ms)),
        sum(tokens_total), avg(tokens_total), sum(cost_usd), sum(tool_calls), sum(tool_successes)
    FROM telemetry.data_points WHERE hour = $hour
    GROUP BY GROUPING SETS ((selected_agent, synthetic), (selected_agent, synthetic, task_type),
        (selected_agent, synthetic, complexity), (selected_agent, synthetic, task_type, complexity))
"""


def points(count: int) -> pl.DataFrame:
    """Data points of 20 agents, 8 task types, log-normal latencies."""
    draw = random.Random(7)
    base = DATA_POINTS.frame([point(0)]).drop("task_id")
    frame = pl.DataFrame({"task_id": [f"task-{n:07d}" for n in range(count)]}).join(base, how="cross")
    drawn = frame.with_columns(
        selected_agent=pl.Series([f"agent-{draw.randrange(20)}" for _ in range(count)]),
        task_type=pl.Series([f"type_{draw.randrange(8)}" for _ in range(count)]),
        complexity=pl.Series(draw.choices(["trivial", "standard", "complex"], k=count)),
        latency_ms=pl.Series([draw.lognormvariate(7, 1) for _ in range(count)]),
        tokens_total=pl.Series([int(draw.lognormvariate(7, 0.7)) + 1 for _ in range(count)]),
        overall_score=pl.Series([draw.betavariate(5, 2) for _ in range(count)]),
        success=pl.Series([draw.random() < 0.85 for _ in range(count)]),
    )
    return drawn.select(list(DATA_POINTS.polars_schema)).cast(DATA_POINTS.polars_schema)  # type: ignore[arg-type]


def events(table: Table, count: int, **values: object) -> pl.DataFrame:
    """Event rows with texts of some 120 characters."""
    base = {
        "hour": HOUR.start,
        "process": "0" * 26,
        "happened_at": HOUR.start,
        "synthetic": False,
        "host": "h",
    }
    row = table.frame([base | values]).drop("event_id", "task_id", "sequence")
    names = pl.DataFrame(
        {
            "event_id": [f"{n:026d}" for n in range(count)],
            "task_id": [f"task-{n:07d}" for n in range(count)],
            "sequence": range(count),
        }
    )
    frame = names.join(row, how="cross").select(list(table.polars_schema)).cast(table.polars_schema)  # type: ignore[arg-type]
    number = pl.col("sequence").cast(pl.String)
    words = pl.lit(
        " the parser loses the last line of a file without a line feed; mend it and add a test case "
    )
    texts = (
        {"description": words + number}
        if table is TASKS
        else {"arguments": number + words, "result": words + number}
    )
    return frame.with_columns(**texts)


def prepare(folder: Path, tasks: int, calls: int) -> Warehouse:
    """An hour as the loader leaves it."""
    warehouse = Warehouse(folder / "warehouse.duckdb")
    count = {
        "hour": HOUR.start,
        "minute": 1,
        "kind": "x",
        "synthetic": False,
        "loaded": tasks * 6,
        "duplicates": 0,
    }
    frames = {
        DATA_POINTS.name: points(tasks),
        TASKS.name: events(TASKS, tasks, task_type="a", complexity="standard", requirements=[]),
        TOOL_CALLS.name: events(TOOL_CALLS, calls, tool="t", outcome="success"),
        EVENT_COUNTS.name: EVENT_COUNTS.frame([count | {"line_bytes": tasks * 6000}]),
    }
    warehouse.replace_hours(
        HOUR, [Replacement(table, frames.get(table.name, table.empty())) for table in LOADED_TABLES]
    )
    return warehouse


def run(label: str, tasks: int, calls: int) -> None:
    """Time every step and the baseline; peak memory of a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        os.environ["PIPELINE_DATA_DIR"] = name
        child = os.fork()
        if child == 0:
            prepare(Path(name), tasks, calls)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        warehouse = Warehouse(Path(name) / "warehouse.duckdb")
        total = 0.0
        for step, (compute, tables) in STEPS.items():
            start = time.perf_counter()
            computed = compute(Step(HOUR, warehouse, {}, lambda _: None))
            replacements = [
                Replacement(t, c.frame, c.rejected) for t, c in zip(tables, computed, strict=True)
            ]
            warehouse.replace_hours(HOUR, replacements)
            seconds = time.perf_counter() - start
            total += seconds
            print(f"  {step:22} {seconds:7.2f} s   {sum(c.frame.height for c in computed):,} rows")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{label}: loaded to alerted {total:.2f} s, peak {peak:,.0f} MB")
        bare, ours = _compared(warehouse)
        print(f"  bare DuckDB group-by {bare:.2f} s, aggregation {ours:.2f} s: ratio {ours / bare:.2f}")


def _compared(warehouse: Warehouse) -> tuple[float, float]:
    """Best of five each, in turn, after one of each to warm up."""
    bare, ours = [], []
    with warehouse.reading() as connection:
        for _ in range(6):
            start = time.perf_counter()
            connection.execute(BARE, {"hour": HOUR.start}).pl()
            bare.append(time.perf_counter() - start)
            start = time.perf_counter()
            summarise_agents(connection, HOUR)
            ours.append(time.perf_counter() - start)
    return min(bare[1:]), min(ours[1:])


def main() -> None:
    """Both sizes, each in a process of its own so that peaks do not mix."""
    for label, tasks, calls in (
        ("1,000,000 events (167,000 tasks)", 167_000, 167_000),
        ("1,000,000 tasks", 1_000_000, 1_000_000),
    ):
        child = os.fork()
        if child == 0:
            run(label, tasks, calls)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0


if __name__ == "__main__":
    main()
