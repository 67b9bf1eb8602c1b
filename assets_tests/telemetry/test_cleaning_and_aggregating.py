"""What is flagged, what is left out, and what the statistics of an hour are."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from assets_tests.telemetry.points import HOUR, load, point, warehouse_in
from pipeline.hours import Hour
from pipeline.settings.telemetry import Arms, Cleaning, Trends
from pipeline.telemetry.aggregate_tables import AGENT_STATS, EVERY, FLAGGED_POINTS
from pipeline.telemetry.aggregating import summarise_agents
from pipeline.telemetry.arms import pool_arms
from pipeline.telemetry.cleaning import count_flags, flag_points
from pipeline.telemetry.statistics import wilson_interval
from pipeline.telemetry.trending import compare_agents
from pipeline.warehouse.store import Warehouse


def flagged(warehouse: Warehouse, hour: Hour = HOUR) -> pl.DataFrame:
    with warehouse.reading() as connection:
        flags = flag_points(connection, hour, Cleaning())
    return warehouse.replace_hour(FLAGGED_POINTS, hour, flags).frame


def aggregated(warehouse: Warehouse, hour: Hour = HOUR) -> pl.DataFrame:
    flagged(warehouse, hour=hour)
    with warehouse.reading() as connection:
        stats = summarise_agents(connection, hour)
    written = warehouse.replace_hour(AGENT_STATS, hour, stats)
    assert written.rejected.is_empty()
    return written.frame


def spread_points(count: int, seed: int = 1, **values: Any) -> list[dict[str, Any]]:
    draw = random.Random(seed)
    return [
        point(n, latency_ms=draw.lognormvariate(7, 0.8), tokens_total=int(draw.lognormvariate(6, 0.5)) + 1)
        | values
        for n in range(count)
    ]


@pytest.mark.parametrize(
    ("changed", "field", "reason"),
    [
        ({"latency_ms": 0.0}, "latency_ms", "not_positive"),
        ({"tokens_total": 0}, "tokens_total", "not_positive"),
        ({"latency_ms": 1e9}, "latency_ms", "too_high"),
        ({"latency_ms": 1e-4}, "latency_ms", "too_low"),
        ({"tokens_total": 10**9}, "tokens_total", "too_high"),
    ],
)
def test_a_bad_value_is_flagged_and_left_out_but_kept(
    tmp_path: Path, changed: dict[str, Any], field: str, reason: str
) -> None:
    warehouse = warehouse_in(tmp_path)
    load(warehouse, [*spread_points(200), point(999, **changed)])
    found = flagged(warehouse).filter(pl.col("left_out"))
    assert found.select("task_id", "field", "reason").rows() == [("task-999", field, reason)]
    stats = aggregated(warehouse).filter(pl.col("grain") == "agent").row(0, named=True)
    assert (stats["tasks"], stats["left_out"], stats["finished"]) == (201, 1, 200)


def test_good_data_of_a_heavy_tail_is_not_dropped(tmp_path: Path) -> None:
    warehouse = warehouse_in(tmp_path)
    load(warehouse, spread_points(20_000))
    assert flagged(warehouse).filter(pl.col("left_out")).height <= 1


def test_a_small_sample_and_a_constant_one_have_no_outliers(tmp_path: Path) -> None:
    warehouse = warehouse_in(tmp_path)
    small = [point(n, latency_ms=float(10**n), tokens_total=500) for n in range(8)]
    constant = [point(100 + n, selected_agent="other", latency_ms=5.0, tokens_total=7) for n in range(60)]
    load(
        warehouse, [*small, *constant, point(900, selected_agent="other", latency_ms=5000.0, tokens_total=7)]
    )
    assert flagged(warehouse).is_empty()


def test_what_is_slow_for_one_agent_is_usual_for_another(tmp_path: Path) -> None:
    warehouse = warehouse_in(tmp_path)
    fast = spread_points(100)
    slow = [
        row
        | {
            "task_id": f"slow-{row['task_id']}",
            "selected_agent": "slow",
            "latency_ms": row["latency_ms"] * 1e4,
        }
        for row in fast
    ]
    load(warehouse, [*fast, *slow])
    assert flagged(warehouse).is_empty()


def test_consistency_is_a_warning_with_a_count(tmp_path: Path) -> None:
    warehouse = warehouse_in(tmp_path)
    odd = [point(n, overall_score=0.1, validation_warnings=["success_with_low_score"]) for n in range(3)]
    load(warehouse, [*odd, point(9)])
    flags = flagged(warehouse)
    assert count_flags(flags).rows() == [("consistency", "success_with_low_score", False, 3, 1)]
    assert aggregated(warehouse)["left_out"].sum() == 0


def test_an_unfinished_task_is_not_invalid(tmp_path: Path) -> None:
    warehouse = warehouse_in(tmp_path)
    load(
        warehouse,
        [point(1, success=None, latency_ms=None, tokens_total=None, evaluated=False, overall_score=None)],
    )
    assert flagged(warehouse).is_empty()
    row = aggregated(warehouse).filter(pl.col("grain") == "agent").row(0, named=True)
    assert (row["tasks"], row["finished"], row["success_rate"], row["latency_p50"]) == (1, 0, None, None)


def test_statistics_at_every_grain_agree_with_a_count_by_hand(tmp_path: Path) -> None:
    warehouse = warehouse_in(tmp_path)
    rows = [
        point(
            n, selected_agent="coder" if n % 3 else "writer", task_type="a" if n % 2 else "b",
            complexity=["trivial", "standard", "complex"][n % 5 % 3], success=n % 4 != 0, synthetic=n >= 80,
        )
        for n in range(100)
    ]  # fmt: skip
    load(warehouse, rows)
    stats = aggregated(warehouse)
    assert stats.group_by("grain").agg(pl.col("tasks").sum())["tasks"].to_list() == [100] * 4
    for row in stats.iter_rows(named=True):
        own = [
            r for r in rows
            if r["selected_agent"] == row["agent"] and r["synthetic"] == row["synthetic"]
            and row["task_type"] in (EVERY, r["task_type"]) and row["complexity"] in (EVERY, r["complexity"])
        ]  # fmt: skip
        assert row["tasks"] == len(own)
        assert row["successes"] == sum(r["success"] for r in own)
        assert (row["success_lower"], row["success_upper"]) == pytest.approx(
            wilson_interval(row["successes"], row["finished"])
        )
        latencies = sorted(r["latency_ms"] for r in own)
        place = 0.95 * (len(latencies) - 1)
        low = latencies[math.floor(place)]
        assert row["latency_p95"] == pytest.approx(low + (latencies[math.ceil(place)] - low) * (place % 1))
        assert row["cost_usd"] == pytest.approx(0.01 * len(own))
        assert row["tool_success_rate"] == 0.5


def test_an_hour_without_tasks_has_empty_statistics(tmp_path: Path) -> None:
    warehouse = warehouse_in(tmp_path)
    load(warehouse, [])
    assert aggregated(warehouse).is_empty()


def rebased(rows: list[dict[str, Any]], hour: Hour) -> list[dict[str, Any]]:
    return [row | {"hour": hour.start} for row in rows]


@pytest.mark.parametrize(("share", "significant"), [(0.4, True), (0.9, False)])
def test_a_collapse_is_a_significant_trend_and_sameness_is_none(
    tmp_path: Path, share: float, significant: bool
) -> None:
    warehouse = warehouse_in(tmp_path)
    for back in (1, 3, 24, 50):
        hour = Hour.of(HOUR.start.replace(day=4 - back // 24, hour=10 - back % 24))
        rows = [row | {"success": n % 10 != 0} for n, row in enumerate(spread_points(100, back))]
        load(warehouse, rebased(rows, hour), hour)
        aggregated(warehouse, hour)
    load(warehouse, [r | {"success": n % 100 < share * 100} for n, r in enumerate(spread_points(100, 99))])
    aggregated(warehouse)
    with warehouse.reading() as connection:
        trends = compare_agents(connection, HOUR, Trends())
    success = {row["baseline"]: row for row in trends.filter(metric="success_rate").iter_rows(named=True)}
    assert success["previous_day"]["baseline_tasks"] == 300
    assert success["previous_week"]["baseline_tasks"] == 400
    assert all(row["significant"] is significant for row in success.values())
    assert not trends.filter(metric="latency")["significant"].any()


def test_few_tasks_are_not_compared(tmp_path: Path) -> None:
    warehouse = warehouse_in(tmp_path)
    load(warehouse, rebased(spread_points(100), HOUR.previous()), HOUR.previous())
    aggregated(warehouse, HOUR.previous())
    load(warehouse, spread_points(5))
    aggregated(warehouse)
    with warehouse.reading() as connection:
        assert compare_agents(connection, HOUR, Trends()).is_empty()


def test_arms_pool_the_window_and_know_the_posterior(tmp_path: Path) -> None:
    warehouse = warehouse_in(tmp_path)
    scores = [0.2, 0.4, 0.9, 1.0]
    load(
        warehouse,
        [point(n, HOUR.previous(), overall_score=s, success=s > 0.3) for n, s in enumerate(scores[:2])],
        HOUR.previous(),
    )
    aggregated(warehouse, HOUR.previous())
    load(warehouse, [point(n, overall_score=s) for n, s in enumerate(scores[2:])])
    aggregated(warehouse)
    with warehouse.reading() as connection:
        arm = pool_arms(connection, HOUR, Arms()).row(0, named=True)
    assert (arm["pulls"], arm["pulls_this_hour"], arm["alpha"], arm["beta"]) == (4, 2, 4.0, 2.0)
    assert arm["posterior_mean"] == pytest.approx(0.625)
    deviation = (sum((s - 0.625) ** 2 for s in scores) / 3) ** 0.5
    assert arm["reward_deviation"] == pytest.approx(deviation)
    assert arm["posterior_deviation"] == pytest.approx(deviation / 2)
