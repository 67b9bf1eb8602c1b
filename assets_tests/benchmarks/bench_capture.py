"""What recording costs beside other ways to keep an event, in one run; and 100 processes killed.

Run: ``python -m assets_tests.benchmarks.bench_capture [--kills 100] [--rounds 3]``. The best of the rounds is
printed for each way, so that a busy machine counts less; ratios are to the bare append of the same run.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from pipeline.capture.envelope import Envelope
from pipeline.capture.recorder import Recorder
from pipeline.capture.spool import read_segment, segments
from pipeline.capture.verifying import PROBLEM, verify

REASON = "has done well on similar tasks during the last week and knows the language"
BODY = {
    "selected_agent": "agent-3",
    "candidates": [{"agent": f"agent-{n}", "score": 0.5 + n / 10, "reason": REASON} for n in range(5)],
    "strategy": "epsilon_greedy",
    "propensity": 0.8,
    "rationale": "The task asks for a change in the parser of the configuration file. " * 3,
}
FEEDBACK = {"overall_score": 0.7, "feedback": f"{REASON}. " * (16_000 // (len(REASON) + 2))}
Spread = tuple[float, float, float]
Way = tuple[str, Callable[[int], object], int]


def spread(call: Callable[[int], object], count: int) -> Spread:
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


def measured(ways: Sequence[Way], rounds: int) -> dict[str, Spread]:
    """For each way the best p50, p99 and p99.9 of the rounds; the ways take turns."""
    best: dict[str, Spread] = {}
    for _ in range(rounds):
        for name, call, count in ways:
            found = spread(call, count)
            best[name] = tuple(map(min, found, best.get(name, found)))  # type: ignore[assignment]
    return best


def spans(place: Path) -> Callable[[int], object] | None:
    """OpenTelemetry's batch processor with an exporter that appends JSON to a file; None where it is absent."""
    try:
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
    except ImportError:
        print("opentelemetry-sdk is not installed, so its batch processor is left out")
        return None
    file = (place / "spans").open("a")

    class ToFile(SpanExporter):
        def export(self, spans: Sequence[Any]) -> SpanExportResult:
            file.write("".join(f"{dict(span.attributes)}\n" for span in spans))
            return SpanExportResult.SUCCESS

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(ToFile()))
    tracer = provider.get_tracer("bench")

    def record(number: int) -> None:
        with tracer.start_as_current_span("routing_decided") as span:
            span.set_attribute("task", f"t{number}")
            span.set_attribute("body", msgspec.json.encode(BODY).decode())

    return record


def ways_in(place: Path) -> list[Way]:
    """Every way to keep the event, ready to be called."""
    descriptor = os.open(place / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    logger = logging.getLogger("bench")
    logger.propagate = False
    logger.addHandler(logging.FileHandler(place / "log"))
    logger.setLevel(logging.INFO)
    database = sqlite3.connect(place / "events.sqlite", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE events (body TEXT)")
    insert = "INSERT INTO events VALUES (?)"
    whole, open_door = Recorder(place / "s"), Recorder(place / "t", door=False)

    def task(number: int) -> None:
        for _ in range(6):
            whole.emit("routing_decided", f"t{number}", BODY)
        whole.emit("evaluation_finished", f"t{number}", FEEDBACK)

    otel = spans(place)
    return [
        ("bare append", lambda n: os.write(descriptor, msgspec.json.encode(BODY) + b"\n"), 20_000),
        ("recorder", lambda n: whole.emit("routing_decided", f"t{n}", BODY), 20_000),
        ("recorder, no door", lambda n: open_door.emit("routing_decided", f"t{n}", BODY), 20_000),
        *([("opentelemetry batch", otel, 10_000)] if otel else []),
        ("logging", lambda n: logger.info("%s", msgspec.json.encode(BODY).decode()), 20_000),
        ("sqlite (WAL)", lambda n: database.execute(insert, (msgspec.json.encode(BODY),)), 2000),
        ("a task's six events + 16 KB", task, 2000),
    ]


def imports() -> str:
    """Milliseconds that an import takes beyond the interpreter's start: best of 20."""

    def best(program: str) -> float:
        times = []
        for _ in range(20):
            begun = time.perf_counter()
            subprocess.run([sys.executable, "-c", program], check=True)
            times.append(time.perf_counter() - begun)
        return min(times) * 1000

    bare = best("pass")
    parts = {"import msgspec": "msgspec alone", "import pipeline.capture.recorder": "the recorder",
             "from pipeline.capture.recorder import Recorder; Recorder('/dev/null')": "and one made"}  # fmt: skip
    return ", ".join(f"{name} {best(program) - bare:.0f} ms" for program, name in parts.items())


KILLED = """
import os, sys
from pipeline.capture.recorder import Recorder
recorder = Recorder(sys.argv[1], largest_segment=200_000)
number = 0
while True:
    number += 1
    if recorder.task_received(f"task-{number}", task_type="x", description="words " * 100):
        os.write(1, b"%d\\n" % number)
"""


def kills(count: int, place: Path) -> str:
    """Emitters killed at random points: what was acknowledged and is not in the spool, or twice."""
    draw = random.Random(1)
    acknowledged_all = lost = doubled = problems = torn = 0
    for number in range(count):
        spool = place / f"killed-{number}"
        child = subprocess.Popen([sys.executable, "-c", KILLED, str(spool)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(draw.uniform(0, 0.05))
        child.send_signal(signal.SIGKILL)
        acknowledged = {1} | {int(line) for line in child.stdout.read().splitlines()}
        child.wait()
        found = [
            line.event.subject
            for part in segments([spool])
            for line in read_segment(part.path)
            if isinstance(line.event, Envelope) and line.event.kind == "task_received"
        ]
        findings = verify([spool])
        acknowledged_all += len(acknowledged)
        lost += len({f"task-{one}" for one in acknowledged} - set(found))
        doubled += len(found) - len(set(found))
        problems += sum(finding.severity == PROBLEM for finding in findings)
        torn += sum(finding.severity != PROBLEM for finding in findings)
    return (
        f"{count} SIGKILLs: {acknowledged_all:,} events acknowledged, {lost} lost, {doubled} doubled, "
        f"{problems} problems, {torn} unfinished last lines"
    )


def main() -> None:
    """Print one line for each way to keep an event, then imports and kills."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    place = Path(tempfile.mkdtemp())
    os.environ["PIPELINE_DATA_DIR"] = str(place)
    found = measured(ways_in(place), chosen.rounds)
    bare = found["bare append"][0]
    for name, (half, most, nearly_all) in found.items():
        print(
            f"{name:<28} p50 {half:8.1f}  p99 {most:8.1f}  p99.9 {nearly_all:8.1f} us  {half / bare:6.1f} x bare"
        )
    print(f"import, beyond the interpreter's start: {imports()}")
    print(kills(chosen.kills, place))


if __name__ == "__main__":
    main()
