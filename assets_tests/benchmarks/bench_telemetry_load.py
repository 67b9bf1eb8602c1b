"""Events per second from segments to data points, peak memory, size of all kept copies, and SIGKILLs survived.

The load runs in a process of its own, without Dagster: archive, event tables, law, data points. Beside it, in the
same run and likewise in a process of its own, DuckDB's ``read_json`` of the same lines with explicit columns into
a table, which is the least that anyone would do. The lines are made here: six events of about 1 KB a task.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a file, the tests are no package yet

from assets_tests.telemetry.events import HOUR, Emitter, archive_in, taken
from pipeline.capture.spool import checked, line_of
from pipeline.settings.telemetry import Loading
from pipeline.telemetry import loading, projecting, summaries
from pipeline.telemetry.archiving import archived_hours
from pipeline.telemetry.conservation import processes
from pipeline.telemetry.tables import (
    DATA_POINTS,
    EVENT_COUNTS,
    EVENT_SEGMENTS,
    RECORDER_PROCESSES,
    RECORDER_REPORTS,
    REJECTED_EVENTS,
    TASK_EXECUTIONS,
)
from pipeline.warehouse.store import Warehouse

TASKS_PER_PROCESS = 5_000
WORDS = [
    "the",
    "agent",
    "reads",
    "a",
    "module",
    "and",
    "finds",
    "that",
    "its",
    "parser",
    "returns",
    "no",
    "value",
    "when",
    "an",
    "index",
    "is",
    "missing",
    "so",
    "it",
    "writes",
    "a",
    "test",
    "which",
    "fails",
    "then",
    "mends",
    "the",
    "function",
    "runs",
    "every",
    "test",
    "again",
    "and",
    "says",
    "what",
    "was",
    "changed",
    "and",
    "why",
]


def make_segments(spool: Path, tasks: int, evaluation_bytes: int, begin: int = 0) -> int:
    """Segments with six events a task, of about 1 KB but for the evaluation; how many events."""
    draw, made = random.Random(7), 0
    for first in range(begin, begin + tasks, TASKS_PER_PROCESS):
        emitter, lines = Emitter(f"bench {first}"), []
        for number in range(first, min(begin + tasks, first + TASKS_PER_PROCESS)):
            at = HOUR.start + timedelta(milliseconds=(number - begin) * 3_500_000 // max(tasks, 1))
            for event in emitter.task(f"task-{number}", at, score=draw.random()):
                size = evaluation_bytes if event.kind == "evaluation_finished" else 1000
                lines.append(_filled(line_of(event), event.kind, size, draw))
        made += len(lines)
        emitter.write_bytes(spool, b"".join(lines), HOUR)
    return made


_TEXT_FIELD = {
    "task_received": "description",
    "routing_decided": "rationale",
    "tool_called": "result",
    "execution_completed": "output",
    "evaluation_finished": "feedback",
}


def _filled(line: bytes, kind: str, size: int, draw: random.Random) -> bytes:
    """The line with a text in it, so that it has about ``size`` bytes."""
    event = json.loads(line[9:])
    if kind in _TEXT_FIELD:
        event["body"][_TEXT_FIELD[kind]] = " ".join(draw.choices(WORDS, k=max(1, (size - len(line)) // 5)))
    return checked(json.dumps(event, separators=(",", ":")).encode())


def load(folder: Path) -> dict[str, float]:
    """Seconds of each step of loading every hour of the spool."""
    archive, warehouse = archive_in(folder), Warehouse(folder / "warehouse.duckdb")
    seconds: dict[str, float] = {}
    started = time.perf_counter()
    taken(archive, folder / "spool")
    seconds["archive"] = time.perf_counter() - started
    hours = archived_hours(archive.directory)
    for hour in hours:
        for kind, table in projecting.ONE_KIND.items():
            warehouse.replace_hour(table, hour, projecting.table_rows(archive, kind, hour))
        warehouse.replace_hour(TASK_EXECUTIONS, hour, loading.task_executions(archive, hour, 6))
        warehouse.replace_hour(RECORDER_REPORTS, hour, projecting.reports(archive, hour))
    seconds["tables"] = time.perf_counter() - started - sum(seconds.values())
    for hour in hours:
        warehouse.replace_hour(EVENT_SEGMENTS, hour, summaries.event_segments(archive, hour, {}))
        warehouse.replace_hour(EVENT_COUNTS, hour, summaries.event_counts(archive, hour))
        warehouse.replace_hour(REJECTED_EVENTS, hour, summaries.rejected_events(archive, hour))
        warehouse.replace_hour(RECORDER_PROCESSES, hour, processes(archive, hour))
    seconds["law"] = time.perf_counter() - started - sum(seconds.values())
    for hour in hours:
        points = loading.data_points(archive, warehouse, hour, Loading())
        warehouse.replace_hour(DATA_POINTS, hour, points)
    seconds["points"] = time.perf_counter() - started - sum(seconds.values())
    return seconds


def bare(folder: Path) -> dict[str, float]:
    """DuckDB's read_json of the same lines (checksums cut off beforehand) into a table."""
    import duckdb

    columns = (
        "{id: 'VARCHAR', kind: 'VARCHAR', subject: 'VARCHAR', 'at': 'BIGINT', process: 'VARCHAR', "
        "sequence: 'BIGINT', content_hash: 'VARCHAR', body: 'JSON', synthetic: 'BOOLEAN'}"
    )
    started = time.perf_counter()
    with duckdb.connect(str(folder / "bare.duckdb")) as connection:
        connection.execute(
            "CREATE TABLE events AS SELECT * FROM read_json($files, columns = "
            + columns
            + ", format = 'newline_delimited')",
            {"files": str(folder / "plain" / "*.jsonl")},
        )
    return {"read_json": time.perf_counter() - started}


def _apart(what: str, folder: Path) -> tuple[dict[str, float], float]:
    """``load`` or ``bare`` in a process of its own: its seconds, and its peak memory in MB."""
    done = subprocess.run(
        [sys.executable, __file__, "--step", what, "--folder", str(folder)],
        check=True,
        stdout=subprocess.PIPE,
    )
    answer = json.loads(done.stdout)
    return answer["seconds"], answer["megabytes"]


def measure_load(tasks: int) -> None:
    """Print events per second, peak memory and the ratio to ``read_json``."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        events = make_segments(folder / "spool", tasks, 1000)
        (folder / "plain").mkdir()
        size = 0
        for segment in (folder / "spool").glob("*/*.events"):
            lines = segment.read_bytes().splitlines(keepends=True)
            size += segment.stat().st_size
            (folder / "plain" / f"{segment.stem}.jsonl").write_bytes(b"".join(line[9:] for line in lines))
        base, _ = _apart("bare", folder)
        seconds, megabytes = _apart("load", folder)
        total = sum(seconds.values())
        tables = seconds["tables"]
        print(f"{events:,} events of {size / events:,.0f} bytes")
        print("  " + ", ".join(f"{step} {value:.1f} s" for step, value in seconds.items()))
        print(f"  archived segments to event tables: {events / tables:,.0f} events/s (goal >= 100,000)")
        print(
            f"  spool to data points: {total:.1f} s (goal <= 30 for 1,000,000), {events / total:,.0f} events/s"
        )
        print(f"  peak memory {megabytes:,.0f} MB (goal <= 2,000)")
        print(
            f"  bare read_json into a table: {base['read_json']:.1f} s; ratio {total / base['read_json']:.1f}"
        )


def measure_size(tasks: int, evaluation_bytes: int) -> None:
    """Print the size of archive and tables of so many tasks."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_segments(folder / "spool", tasks, evaluation_bytes)
        raw = sum(place.stat().st_size for place in (folder / "spool").glob("*/*.events"))
        _apart("load", folder)
        _print_size(folder, f"{tasks:,} tasks, evaluations of {evaluation_bytes:,} bytes", raw)


def measure_simulated(tasks: int) -> None:
    """Print the size of all kept copies of tasks that the simulator drove through the real recorder."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [sys.executable, "-m", "pipeline", "capture", "simulate", "--seed", "1"]
        subprocess.run(
            [*command, "--tasks", str(tasks), "--directory", str(folder / "spool")],
            check=True,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PIPELINE_DATA_DIR": name},
        )
        raw = sum(place.stat().st_size for place in (folder / "spool").glob("*/*.events"))
        seconds, _ = _apart("load", folder)
        _print_size(folder, f"{tasks:,} tasks of the simulator, loaded in {sum(seconds.values()):.1f} s", raw)


def _print_size(folder: Path, what: str, raw: int) -> None:
    kept = sum(place.stat().st_size for place in (folder / "archive").rglob("*.parquet"))
    tables = (folder / "warehouse.duckdb").stat().st_size
    print(
        f"{what}: {raw / 1e6:.0f} MB of lines kept in {(kept + tables) / 1e6:.1f} MB "
        f"(archive {kept / 1e6:.1f}, tables {tables / 1e6:.1f}; goal <= 100)"
    )


def measure_kills(kills: int) -> None:
    """Kill a loading process at random moments, then load once more and count."""
    draw = random.Random(11)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        events, killed = 0, 0
        for number in range(kills):
            events += make_segments(folder / "spool", 100, 1000, begin=number * 100)
            process = subprocess.Popen(
                [sys.executable, __file__, "--step", "load", "--folder", str(folder)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            time.sleep(draw.uniform(0.6, 2.4))
            killed += process.poll() is None
            process.kill()
            process.wait()
        _apart("load", folder)
        row = Warehouse(folder / "warehouse.duckdb").read_hour(RECORDER_PROCESSES, HOUR)
        loaded = int(row["loaded"].sum())
        points = int(Warehouse(folder / "warehouse.duckdb").read_hour(DATA_POINTS, HOUR)["event_count"].sum())
        print(
            f"{killed} of {kills} loaders killed while they worked: {events - loaded} of {events:,} events lost, "
            f"{points - events} doubled (goal 0 and 0)"
        )


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=166_667)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--step", choices=["load", "bare"])
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    if options.step:
        seconds = load(options.folder) if options.step == "load" else bare(options.folder)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"seconds": seconds, "megabytes": peak}))
        return
    print(f"{os.cpu_count()} processors")
    measure_load(options.tasks)
    for size in (1000, 16_000):
        measure_size(10_000, size)
    measure_simulated(10_000)
    measure_kills(options.kills)


if __name__ == "__main__":
    main()
