"""The journal of runs: what was collected, on disk before it counts, and never overwritten.

What belongs here: one SQLite file in the data folder (``collector/journal.sqlite``), runs, reading back. It
is there whether or not answers are cached. What does not: adding records while a run goes on
(``journal_writer``), what a record means (``records``), the answers' cache (``cache``).

Records are only ever added; a record asked again has a newer row, and the newest counts.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.collector.records import ATTEMPT_COLUMNS, DONE, RECORD_COLUMNS
from pipeline.errors import PipelineError
from pipeline.settings.places import data_directory

BUSY_SECONDS = 30.0

_DONE = ", ".join(f"'{status}'" for status in DONE)
_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS runs (run_id TEXT PRIMARY KEY, run_key TEXT NOT NULL, generation INTEGER
    NOT NULL,
       status TEXT NOT NULL, started_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, seconds REAL NOT NULL,
       planned INTEGER NOT NULL, demo INTEGER NOT NULL, synthetic INTEGER NOT NULL, model TEXT NOT NULL,
       dataset TEXT NOT NULL, split TEXT NOT NULL, description TEXT NOT NULL, result TEXT)""",
    "CREATE INDEX IF NOT EXISTS runs_by_key ON runs (run_key, generation)",
    f"CREATE TABLE IF NOT EXISTS records (number INTEGER PRIMARY KEY, {', '.join(RECORD_COLUMNS)})",
    "CREATE INDEX IF NOT EXISTS records_of_run ON records (run_id, position, repetition, number, status)",
    "CREATE INDEX IF NOT EXISTS records_by_time ON records (completed_at)",
    f"""CREATE TABLE IF NOT EXISTS attempts (sequence INTEGER PRIMARY KEY, {", ".join(ATTEMPT_COLUMNS)})""",
    "CREATE INDEX IF NOT EXISTS attempts_by_time ON attempts (started_at)",
)
NEWEST = """FROM records AS r WHERE r.run_id = ? AND r.number = (SELECT max(s.number) FROM records AS s
    WHERE s.run_id = r.run_id AND s.position = r.position AND s.repetition = r.repetition)"""
"""The records of a run as they stand now."""


class JournalError(PipelineError):
    """The journal could not be read or written; what is on disk stays good."""


@dataclass(frozen=True)
class RunEntry:
    """One run as the journal knows it; ``description`` holds model, dataset, evaluator and fingerprints."""

    run_id: str
    run_key: str
    generation: int
    status: str
    started_at: int
    updated_at: int
    seconds: float
    planned: int
    demo: bool
    synthetic: bool
    model: str
    dataset: str
    split: str
    description: dict[str, Any]
    result: str | None


def journal_path() -> Path:
    """``collector/journal.sqlite`` in the data folder."""
    return data_directory() / "collector" / "journal.sqlite"


class Journal:
    """The file at ``path``, made where it is missing; every call opens it briefly."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or journal_path()

    @property
    def exists(self) -> bool:
        """Whether anything was ever collected."""
        return self.path.exists()

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """A connection in autocommit mode; SQLite's errors come out as ``JournalError``."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(connect(self.path)) as opened:
                yield opened
        except (sqlite3.Error, OSError) as error:
            raise failed(self.path, error) from error

    def newest_run(self, run_key: str) -> RunEntry | None:
        """The newest generation of a run."""
        found = self.runs("WHERE run_key = ? ORDER BY generation DESC LIMIT 1", (run_key,))
        return found[0] if found else None

    def runs(
        self, condition: str = "ORDER BY started_at, run_id", values: tuple[Any, ...] = ()
    ) -> list[RunEntry]:
        """Runs, in the order they began unless ``condition`` (SQL from this module's callers) says
        otherwise."""
        if not self.exists:
            return []
        with self.connection() as connection:
            rows = connection.execute(
                "SELECT run_id, run_key, generation, status, started_at, updated_at, seconds, planned, demo, "
                f"synthetic, model, dataset, split, description, result FROM runs {condition}",
                values,
            ).fetchall()
        return [_entry(row) for row in rows]

    def begin_run(self, entry: RunEntry) -> None:
        """Write a run down, or bring what changes of one that continues up to date."""
        with self.connection() as connection:
            connection.execute(
                "INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (run_id) DO "
                "UPDATE SET status = excluded.status, updated_at = excluded.updated_at, "
                "planned = excluded.planned, "
                "demo = excluded.demo",
                (
                    entry.run_id, entry.run_key, entry.generation, entry.status, entry.started_at,
                    entry.updated_at,
                    entry.seconds, entry.planned, entry.demo, entry.synthetic, entry.model, entry.dataset,
                    entry.split, json.dumps(entry.description, ensure_ascii=False), entry.result,
                ),
            )  # fmt: skip

    def end_run(self, run_id: str, *, status: str, at: int, seconds: float, result: str | None) -> None:
        """Note how far a run came; ``seconds`` are added to those it took before."""
        with self.connection() as connection:
            connection.execute(
                "UPDATE runs SET status = ?, updated_at = ?, seconds = seconds + ?, "
                "result = coalesce(?, result) "
                "WHERE run_id = ?",
                (status, at, seconds, result, run_id),
            )

    def done(self, run_id: str) -> set[tuple[int, int]]:
        """Position and repetition of every record that stays."""
        if not self.exists:
            return set()
        with self.connection() as connection:
            rows = connection.execute(
                f"SELECT r.position, r.repetition {NEWEST} AND r.status IN ({_DONE})", (run_id,)
            )
            return set(rows)

    def records(self, run_id: str) -> Iterator[dict[str, Any]]:
        """The records of a run as they stand, by position and repetition, as a stream."""
        columns = ", ".join(f"r.{name}" for name in RECORD_COLUMNS)
        with self.connection() as connection:
            cursor = connection.execute(
                f"SELECT {columns} {NEWEST} ORDER BY r.position, r.repetition", (run_id,)
            )
            for row in cursor:
                yield dict(zip(RECORD_COLUMNS, row, strict=True))

    def forget(self, run_ids: list[str]) -> int:
        """Remove runs with all they hold; returns how many records went."""
        gone = 0
        with self.connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            for run_id in run_ids:
                gone += connection.execute("DELETE FROM records WHERE run_id = ?", (run_id,)).rowcount
                connection.execute("DELETE FROM attempts WHERE run_id = ?", (run_id,))
                connection.execute("DELETE FROM runs WHERE run_id = ?", (run_id,))
            connection.execute("COMMIT")
        return gone


def connect(path: Path) -> sqlite3.Connection:
    """A connection whose every commit is on disk when it returns; the tables are made where missing."""
    fresh = not path.exists()
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    if (
        fresh
        or not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'attempts_by_time'").fetchall()
    ):
        connection.execute("BEGIN IMMEDIATE")
        for statement in _SCHEMA:
            connection.execute(statement)
        connection.execute("COMMIT")
    return connection


def _entry(row: tuple[Any, ...]) -> RunEntry:
    (run_id, key, generation, status, started, updated, seconds, planned, demo, synthetic, *names) = row
    model, dataset, split, description, result = names
    return RunEntry(
        run_id, key, generation, status, started, updated, seconds, planned, bool(demo), bool(synthetic),
        model,
        dataset, split, json.loads(description), result,
    )  # fmt: skip


def failed(path: Path, error: Exception) -> JournalError:
    """A fault of SQLite or the disk as a sentence."""
    return JournalError(
        f"Writing the collector's journal {path.name}: {error}; check the disk's space and permissions, "
        "then run "
        "the same command again: what was committed is kept."
    )
