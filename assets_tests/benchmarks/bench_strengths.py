"""Bradley-Terry strengths over all comparisons of 1,000,000 records, and the projection of an hour of them.

Strengths are computed again over all hours each hour. The state: RECORDS / 10 sessions, each comparing two pairs of
100 competitors. Baseline in the same run: counting wins with polars. The projection decodes RECORDS / 10 events of
one kind into rows; its baseline is msgspec decoding the same bodies. Peak memory is that of the process.
"""

from __future__ import annotations

import os
import resource
import time
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import polars as pl

from pipeline.capture import signals
from pipeline.hours import Hour
from pipeline.training.derived.strengths import strengths
from pipeline.training.projecting import EVENTS_SCHEMA, project

RECORDS = int(os.environ.get("BENCH_STRENGTHS_RECORDS", "1000000"))
COMPETITORS = 100
HOUR = Hour(datetime(2026, 11, 20, 10, tzinfo=UTC))


def comparisons(count: int) -> pl.DataFrame:
    """Two comparisons a session, won with the probability of the model."""
    draw = np.random.default_rng(1)
    true = np.linspace(-1.5, 1.5, COMPETITORS)
    left = draw.integers(0, COMPETITORS, count)
    right = (left + draw.integers(1, COMPETITORS, count)) % COMPETITORS
    won = draw.random(count) < 1 / (1 + np.exp(true[right] - true[left]))
    names = np.array([f"agent-{number:03d}" for number in range(COMPETITORS)])
    sessions = pl.Series(np.arange(count) // 2).cast(pl.String)
    return pl.DataFrame(
        {"left": names[left], "right": names[right], "left_wins": won.astype(float), "session_id": sessions}
    )


def events(count: int) -> pl.DataFrame:
    """Evaluations of one hour."""
    bodies = [
        msgspec.json.encode(
            signals.EvaluationGiven(evaluation_id=f"e{number}", artifact_id=f"a{number}", score=7)
        )
        for number in range(count)
    ]
    return pl.DataFrame(
        {
            "event_id": [f"01K{number:023d}" for number in range(count)],
            "kind": ["evaluation_given"] * count,
            "subject": [f"s{number // 10}" for number in range(count)],
            "happened_at": [HOUR.start + timedelta(microseconds=number) for number in range(count)],
            "synthetic": [False] * count,
            "application": ["bench"] * count,
            "content_hash": [f"{number:032x}" for number in range(count)],
            "body": [body.decode() for body in bodies],
        },
        schema=EVENTS_SCHEMA,
    )


def main() -> None:
    """Print seconds, ratios and memory."""
    compared = comparisons(RECORDS)
    started = time.perf_counter()
    compared.group_by("left").agg(pl.col("left_wins").sum())
    bare = time.perf_counter() - started
    started = time.perf_counter()
    found = strengths(compared)
    took = time.perf_counter() - started
    print(
        f"strengths: {compared.height:,} comparisons of {found.height} competitors in {took:.2f} s, "
        f"{took / bare:.0f} x counting wins"
    )
    recorded = events(RECORDS // 10)
    decoder = msgspec.json.Decoder(signals.EvaluationGiven)
    started = time.perf_counter()
    for body in recorded["body"]:
        decoder.decode(body)
    bare = time.perf_counter() - started
    started = time.perf_counter()
    projected = project(recorded, HOUR)
    took = time.perf_counter() - started
    rows = projected["training.evaluations"].frame.height
    print(
        f"projection: {rows:,} rows in {took:.2f} s, {took / bare:.1f} x decoding, {rows / took:,.0f} rows/s"
    )
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2:.2f} GB")


if __name__ == "__main__":
    main()
