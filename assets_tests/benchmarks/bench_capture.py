"""What recording costs beside a bare append, Python's logging and SQLite, in one run.

Run: ``python -m assets_tests.benchmarks.bench_capture``.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from pipeline.capture.recorder import Recorder

REASON = "has done well on similar tasks during the last week and knows the language"
BODY = {
    "selected_agent": "agent-3",
    "candidates": [{"agent": f"agent-{n}", "score": 0.5 + n / 10, "reason": REASON} for n in range(5)],
    "strategy": "epsilon_greedy",
    "propensity": 0.8,
    "rationale": "The task asks for a change in the parser of the configuration file. " * 3,
}


def spread(call: Callable[[int], object], count: int = 20_000) -> tuple[float, float, float]:
    """p50, p99 and p99.9 of a call in microseconds."""
    for number in range(200):
        call(number)
    times = []
    for number in range(count):
        begun = time.perf_counter_ns()
        call(number)
        times.append(time.perf_counter_ns() - begun)
    times.sort()
    return times[count // 2] / 1e3, times[int(count * 0.99)] / 1e3, times[int(count * 0.999)] / 1e3


def main() -> None:
    """Print one line for each way to keep an event."""
    place = Path(tempfile.mkdtemp())
    os.environ["PIPELINE_DATA_DIR"] = str(place)
    descriptor = os.open(place / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    bare = spread(lambda n: os.write(descriptor, msgspec.json.encode(BODY) + b"\n"))
    logger = logging.getLogger("bench")
    logger.propagate = False
    logger.addHandler(logging.FileHandler(place / "log"))
    logger.setLevel(logging.INFO)
    database = sqlite3.connect(place / "events.sqlite", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE events (body TEXT)")
    insert = "INSERT INTO events VALUES (?)"
    whole, open_door = Recorder(place / "s"), Recorder(place / "t", door=False)
    rows = {
        "bare append": bare,
        "recorder": spread(lambda n: whole.emit("routing_decided", f"t{n}", BODY)),
        "recorder, no door": spread(lambda n: open_door.emit("routing_decided", f"t{n}", BODY)),
        "logging": spread(lambda n: logger.info("%s", msgspec.json.encode(BODY).decode())),
        "sqlite (WAL)": spread(lambda n: database.execute(insert, (msgspec.json.encode(BODY),)), 5000),
    }
    for name, (half, most, nearly_all) in rows.items():
        print(
            f"{name:<20} p50 {half:8.1f}  p99 {most:8.1f}  p99.9 {nearly_all:8.1f} us  {half / bare[0]:5.1f} x bare"
        )
    feedback = {"overall_score": 0.7, "feedback": f"{REASON}. " * (16_000 // (len(REASON) + 2))}

    def task(number: int) -> None:
        for _ in range(6):
            whole.emit("routing_decided", f"t{number}", BODY)
        whole.emit("evaluation_finished", f"t{number}", feedback)

    print(
        "six events and a 16 KB evaluation: p50 {:.0f}  p99 {:.0f}  p99.9 {:.0f} us".format(
            *spread(task, 2000)
        )
    )
    for text in ("pass", "import pipeline.capture.recorder"):
        begun = time.perf_counter()
        for _ in range(5):
            subprocess.run([sys.executable, "-c", text], check=True)
        print(f"python -c {text!r}: {(time.perf_counter() - begun) / 5 * 1000:.0f} ms")


if __name__ == "__main__":
    main()
