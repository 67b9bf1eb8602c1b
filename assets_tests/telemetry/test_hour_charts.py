"""Pictures of the hour: real rows first, synthetic ones in pictures of their own."""

from __future__ import annotations

import base64

import polars as pl
import pytest

from pipeline.telemetry import hour_charts

AGENTS = pl.DataFrame(
    {
        "grain": ["agent", "agent", "agent_task_type"],
        "agent": ["coder", "stand-in", "coder"],
        "synthetic": [False, True, False],
        "tasks": [3, 900, 3],
        "success_rate": [1.0, 0.5, 1.0],
        "latency_p95": [10.0, None, 10.0],
        "cost_usd": [0.0, 1.0, 0.0],
    }
)
METRICS = pl.DataFrame(
    {
        "synthetic": [False, True],
        "tasks_this_hour": [3, 900],
        "events_this_hour": [18, 5400],
        **{
            name: [1, 0]
            for name in ("rejected_events", "duplicate_events", "events_missing", "events_failed")
        },
    }
)
ARMS = pl.DataFrame(
    {
        "synthetic": [False, True],
        "agent": ["coder", "stand-in"],
        "task_type": "fix_bug",
        "complexity": "standard",
        "pulls": [3, 900],
        "posterior_mean": [0.8, 0.2],
    }
)


def drawn(picture: str) -> str:
    return base64.b64decode(picture.split("base64,")[1].rstrip(")")).decode()


@pytest.mark.parametrize(
    ("pictures", "keys"),
    [
        (hour_charts.agent_stats(AGENTS), ["volume", "success", "latency", "cost"]),
        (hour_charts.collection_metrics(METRICS), ["volume", "rejected"]),
        (hour_charts.routing_arms(ARMS), ["mean reward per arm"]),
    ],
)
def test_synthetic_rows_have_pictures_of_their_own(pictures: dict[str, str], keys: list[str]) -> None:
    assert list(pictures) == [*keys, *(f"{key} (synthetic)" for key in keys)]
    for key in keys:
        assert "stand-in" not in drawn(pictures[key])
        assert "(synthetic)" in drawn(pictures[f"{key} (synthetic)"])


def test_what_has_no_rows_is_not_drawn() -> None:
    assert list(hour_charts.routing_arms(ARMS.filter(~pl.col("synthetic")))) == ["mean reward per arm"]
    assert hour_charts.agent_stats(AGENTS.clear()) == {}
