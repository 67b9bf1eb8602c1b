"""Adding records to the journal while a run goes on: written at once, synced in groups.

What belongs here: the two threads behind a run's records. What does not: the file, its tables and reading
back (``journal``), what a record means (``records``).

A record is *written* as soon as the file system has it, which a killed process cannot undo: from then on it
is not asked again. It *counts* once its group is synced, which a power cut cannot undo either, at most
``group_seconds`` and one sync later.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path

from pipeline.collector.journal import Journal, JournalError, failed
from pipeline.collector.records import ATTEMPT_COLUMNS, RECORD_COLUMNS, Record, RequestAttempt

GROUP_SECONDS = 0.02
"""Records of this long share one sync."""

_INSERT_RECORD = (
    f"INSERT INTO records ({', '.join(RECORD_COLUMNS)}) VALUES ({', '.join('?' * len(RECORD_COLUMNS))})"
)
_INSERT_ATTEMPT = (
    f"INSERT INTO attempts ({', '.join(ATTEMPT_COLUMNS)}) VALUES ({', '.join('?' * len(ATTEMPT_COLUMNS))})"
)
_record_values = attrgetter(*RECORD_COLUMNS)
_attempt_values = attrgetter(*ATTEMPT_COLUMNS)
_sync = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync

Entry = tuple[Record, tuple[RequestAttempt, ...]]
Counted = Callable[[], None]


class JournalWriter:
    """Adds records from an event loop. Use as an async context manager; leaving it syncs everything.

    ``add`` returns a future that is done once the record is written; where writing or syncing fails, that
    future, every later ``add`` or leaving raise ``JournalError``. An urgent record is written at once,
    another within ``group_seconds``.
    """

    def __init__(self, journal: Journal, group_seconds: float = GROUP_SECONDS) -> None:
        self._journal = journal
        self._group_seconds = group_seconds
        self._condition = threading.Condition()
        self._waiting: list[tuple[Entry, asyncio.Future[None], Counted | None]] = []
        self._urgent = False
        self._closing = False
        self._failure: JournalError | None = None
        self._unsynced: list[Counted | None] = []
        self._written = threading.Event()
        self._all_written = False
        self._closed = threading.Event()
        self._in_wal_mode = False
        self._threads = [
            threading.Thread(target=work, name=f"collector-journal-{name}", daemon=True)
            for name, work in (("writer", self._write_forever), ("syncer", self._sync_forever))
        ]
        self.commits = 0
        self.syncs = 0

    async def __aenter__(self) -> JournalWriter:
        self._loop = asyncio.get_running_loop()
        for thread in self._threads:
            thread.start()
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        with self._condition:
            self._closing = True
            self._condition.notify()
        self._closed.set()
        for thread in self._threads:
            await asyncio.to_thread(thread.join)
        if self._failure is not None and kind is None:
            raise self._failure

    def add(
        self,
        record: Record,
        attempts: tuple[RequestAttempt, ...] = (),
        *,
        urgent: bool = True,
        counted: Counted | None = None,
    ) -> asyncio.Future[None]:
        """Queue a record; await the future where the next step must not go before it is written.

        ``counted`` is called on the event loop once the record is synced.
        """
        future: asyncio.Future[None] = self._loop.create_future()
        with self._condition:
            if self._failure is not None:
                raise self._failure
            self._waiting.append(((record, attempts), future, counted))
            if urgent and not self._urgent:
                self._urgent = True
                self._condition.notify()
        return future

    def _write_forever(self) -> None:
        try:
            with self._journal.connection() as connection:
                # The sync is the other thread's; without a WAL there is nothing it could sync apart.
                mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
                self._in_wal_mode = mode == "wal"
                if self._in_wal_mode:
                    connection.execute("PRAGMA synchronous = NORMAL")
                while self._write_next(connection):
                    self.commits += 1
                # The syncer is waited for with the connection open: closing the last one removes the WAL.
                self._all_written = True
                self._written.set()
                self._threads[1].join()
        except JournalError as error:
            self._fail(error)
        finally:
            self._all_written = True
            self._written.set()

    def _write_next(self, connection: sqlite3.Connection) -> bool:
        with self._condition:
            while not self._urgent and not self._closing:
                # Woken at once by an urgent record, else when the interval has passed.
                if not self._condition.wait(self._group_seconds) and self._waiting:
                    break
            group, self._waiting, self._urgent = self._waiting, [], False
        if not group:
            return False
        try:
            _write(connection, [entry for entry, _, _ in group])
        except sqlite3.Error as error:
            with self._condition:
                self._waiting = [*group, *self._waiting]
            raise failed(self._journal.path, error) from error
        with self._condition:
            self._unsynced += [counted for _, _, counted in group]
        self._written.set()
        self._loop.call_soon_threadsafe(_settle, [future for _, future, _ in group], None)
        return True

    def _sync_forever(self) -> None:
        wal = self._journal.path.with_name(f"{self._journal.path.name}-wal")
        descriptor: int | None = None
        try:
            while True:
                self._written.wait()
                self._closed.wait(self._group_seconds)  # others join the group, unless the run is at its end
                self._written.clear()
                with self._condition:
                    group, self._unsynced = self._unsynced, []
                if group and self._in_wal_mode:
                    descriptor = _opened(wal) if descriptor is None else descriptor
                    _sync(descriptor)
                    self.syncs += 1
                self._loop.call_soon_threadsafe(_call, [counted for counted in group if counted])
                if self._all_written and not self._unsynced:
                    return
        except OSError as error:
            self._fail(failed(self._journal.path, error))
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def _fail(self, error: JournalError) -> None:
        with self._condition:
            self._failure = self._failure or error
            futures = [future for _, future, _ in self._waiting]
            self._waiting = []
        self._loop.call_soon_threadsafe(_settle, futures, error)


def _opened(wal: Path) -> int:
    """The write-ahead log for syncing, its name in the folder synced too."""
    folder = os.open(wal.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return os.open(wal, os.O_RDWR)


def _call(counted: list[Counted]) -> None:
    for one in counted:
        one()


def _settle(futures: list[asyncio.Future[None]], error: JournalError | None) -> None:
    for future in futures:
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)


def _write(connection: sqlite3.Connection, entries: list[Entry]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for run_id in {record.run_id for record, _ in entries if record.synthetic}:
            connection.execute("UPDATE runs SET synthetic = 1 WHERE run_id = ? AND synthetic = 0", (run_id,))
        connection.executemany(_INSERT_RECORD, (_record_values(record) for record, _ in entries))
        attempts = [attempt for _, made in entries for attempt in made]
        if attempts:
            connection.executemany(_INSERT_ATTEMPT, map(_attempt_values, attempts))
    except sqlite3.Error:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
