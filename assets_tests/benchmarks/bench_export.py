"""Export of 50,000 examples from 1,000,000 training records: seconds and peak memory of whole processes.

The state: 58,823 sessions of 3 answers each, 1,000,000 rows over seven tables, texts of about 120 and 900 characters
of random words, so that nothing is a near-duplicate. The baseline, in the same run: a bare process that selects the
same number of artifacts with DuckDB and writes prompt and completion as Parquet and JSONL, without door, checks,
duplicates, splits, provenance, card or checksums. Both export twice; the two must be the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from pipeline.hours import Hour
from pipeline.training import tables
from pipeline.warehouse.statements import ensure_table, insert_rows
from pipeline.warehouse.store import Warehouse
from pipeline.warehouse.tables import Table

RECORDS = int(os.environ.get("BENCH_EXPORT_RECORDS", "1000000"))
SESSIONS = RECORDS // 17
ANSWERS = SESSIONS * 3
HOUR = Hour(datetime(2026, 11, 20, 10, tzinfo=UTC))
KINDS = ("sft", "preferences", "kto")

BARE = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1], read_only=True)
rows = connection.execute(
    "SELECT t.prompt, a.content AS completion FROM training.evaluations e JOIN training.artifacts a USING (artifact_id)"
    " JOIN training.attempts t USING (attempt_id) WHERE e.score >= 7 ORDER BY a.artifact_id LIMIT 50000").pl()
rows.write_parquet(sys.argv[2] + ".parquet")
rows.write_ndjson(sys.argv[2] + ".jsonl")
"""


def _texts(count: int, words: int, seed: int) -> list[str]:
    """Random words, about 6.5 characters each."""
    generator = random.Random(seed)
    vocabulary = np.array(
        [
            "".join(generator.choices("abcdefghijklmnoprstuvwy", k=generator.randint(3, 9)))
            for _ in range(20_000)
        ]
    )
    chosen = np.random.default_rng(seed).integers(0, len(vocabulary), (count, words))
    return [" ".join(row) for row in vocabulary[chosen]]


def _ids(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{number:09d}" for number in range(count)]


def _rows(table: Table, count: int, prefix: str, **columns: Any) -> pl.DataFrame:
    """A table's rows: the given columns, common ones made up, all others null or empty."""
    common = {
        "hour": pl.repeat(HOUR.start, count, eager=True),
        "session_id": pl.Series(_ids("session-", SESSIONS)).gather(np.arange(count) % SESSIONS),
        "event_id": _ids(f"01K{prefix}", count),
        "happened_at": [HOUR.start + timedelta(microseconds=3_000 * number) for number in range(count)],
        "source": pl.repeat("bench", count, eager=True),
        "synthetic": pl.repeat(False, count, eager=True),
        "content_hash": pl.repeat("0" * 32, count, eager=True),
    }
    given = {**common, **columns}
    blank = {
        column.name: pl.repeat(None if column.nullable else _blank(column.dtype), count, eager=True)
        for column in table.columns
        if column.name not in given
    }
    return pl.DataFrame({**given, **blank}).select(
        pl.col(name).cast(dtype) for name, dtype in table.polars_schema.items()
    )


def _blank(dtype: pl.DataType) -> Any:
    return {pl.String: "", pl.Int64: 0, pl.Boolean: False}.get(type(dtype))


def build(directory: Path) -> int:
    """Write the state; returns how many records it has."""
    answers = np.arange(ANSWERS)
    session = answers % SESSIONS
    needs = _texts(SESSIONS, 18, 1)
    asked = pl.Series(needs).gather(session)
    lineage, rollout = _ids("lineage-", ANSWERS), _ids("rollout-", ANSWERS)
    frames = {
        tables.SESSIONS: _rows(
            tables.SESSIONS,
            SESSIONS,
            "S",
            user_need=needs,
            constraints=["[]"] * SESSIONS,
            context=["{}"] * SESSIONS,
        ),
        tables.LINEAGES: _rows(tables.LINEAGES, ANSWERS, "L", lineage_id=lineage),
        tables.AGENT_DEFINITIONS: _rows(
            tables.AGENT_DEFINITIONS, SESSIONS, "G", agent_id=_ids("agent-", SESSIONS), version=[1] * SESSIONS
        ),
        tables.ROLLOUTS: _rows(
            tables.ROLLOUTS,
            ANSWERS,
            "R",
            rollout_id=rollout,
            lineage_id=lineage,
            agent_id=pl.Series(_ids("agent-", SESSIONS)).gather(session),
            cycle=[1] * ANSWERS,
        ),
        tables.ATTEMPTS: _rows(
            tables.ATTEMPTS,
            ANSWERS,
            "T",
            attempt_id=_ids("attempt-", ANSWERS),
            rollout_id=rollout,
            user_need=asked,
            constraints=["[]"] * ANSWERS,
            context_documents=["[]"] * ANSWERS,
            metadata=["{}"] * ANSWERS,
            prompt=('[{"role":"user","content":"' + asked + '"}]'),
            number=[1] * ANSWERS,
        ),
        tables.ARTIFACTS: _rows(
            tables.ARTIFACTS,
            ANSWERS,
            "A",
            artifact_id=_ids("artifact-", ANSWERS),
            rollout_id=rollout,
            attempt_id=_ids("attempt-", ANSWERS),
            content=_texts(ANSWERS, 130, 2),
            content_format=["text"] * ANSWERS,
        ),
        tables.EVALUATIONS: _rows(
            tables.EVALUATIONS,
            ANSWERS,
            "E",
            evaluation_id=_ids("evaluation-", ANSWERS),
            artifact_id=_ids("artifact-", ANSWERS),
            score=np.where(answers < SESSIONS, 9.0, np.where(answers < 2 * SESSIONS, 6.0, 2.0)),
            evaluator_kind=["person"] * ANSWERS,
            ranking=["[]"] * ANSWERS,
            directives=["[]"] * ANSWERS,
        ),
    }
    warehouse = Warehouse(directory / "warehouse.duckdb")
    with warehouse.writing() as connection:
        for table, frame in frames.items():
            ensure_table(connection, table)
            insert_rows(connection, table.name, frame)
    return sum(frame.height for frame in frames.values())


def _timed(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Seconds and peak memory in GB of a process."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return time.perf_counter() - started, usage.ru_maxrss / 1024**2


def _digest(directory: Path) -> str:
    return hashlib.sha256((directory / "SHA256SUMS").read_bytes()).hexdigest()


def main() -> None:
    """Print seconds, memory, sameness and the ratio to the bare process."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        started = time.perf_counter()
        # A process's peak counts from its parent's at the fork, so what is large is done in a process of its own.
        built = subprocess.run(
            [sys.executable, __file__, "build", str(folder)], check=True, capture_output=True
        )
        records = int(built.stdout)
        print(f"state: {records:,} records, built in {time.perf_counter() - started:.1f} s")
        environment = {"PIPELINE_DATA_DIR": str(folder)}
        bare, memory = _timed(
            [sys.executable, "-c", BARE, str(folder / "warehouse.duckdb"), str(folder / "bare")], environment
        )
        print(f"bare select and write: {bare:.2f} s, {memory:.2f} GB")
        for kind in KINDS:
            runs = []
            for number in range(2):
                out = folder / f"{kind}{number}"
                command = [sys.executable, "-m", "pipeline", "export", kind, "--out", str(out)]
                runs.append(_timed(command, environment))
            same = _digest(folder / f"{kind}0") == _digest(folder / f"{kind}1")
            rows = sum(1 for path in (folder / f"{kind}0" / "jsonl").iterdir() for _ in path.open("rb"))
            seconds = min(run[0] for run in runs)
            peak = max(run[1] for run in runs)
            print(
                f"{kind}: {rows:,} rows in {seconds:.1f} s (bar 30), {peak:.2f} GB (bar 2), "
                f"{seconds / bare:.0f} x bare, the same bytes twice: {same}"
            )
            check = subprocess.run(
                [sys.executable, "-m", "pipeline", "export", "verify", str(folder / f"{kind}0"), "--json"],
                env={**os.environ, **environment},
                check=False,
                capture_output=True,
            )
            problems = {name: len(found) for name, found in json.loads(check.stdout)["problems"].items()}
            print(
                f"  verified apart: problems {problems or 'none'} (ties, unequal prompts, shared prompts, finds)"
            )


if __name__ == "__main__":
    if sys.argv[1:2] == ["build"]:
        print(build(Path(sys.argv[2])))
    else:
        main()
