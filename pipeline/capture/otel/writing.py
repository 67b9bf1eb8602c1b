"""Events of spans into the spool: redacted, numbered, and on the disk before anybody is told so.

What belongs here: one process's events, numbers and reports. What does not: which events there are
(``translating``), the files (``synced_segments``). Where the spool is full or read-only the second directory
is written, as by a recorder; where that fails too, the caller is told and nothing counts as written.
"""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import secrets
import socket
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from pipeline import __version__
from pipeline.capture.envelope import SCHEMA_VERSION, Envelope, Provenance
from pipeline.capture.kinds import Body
from pipeline.capture.otel.synced_segments import SyncedSegments
from pipeline.capture.otel.translating import CROCKFORD, Occurrence
from pipeline.capture.reports import EventQuarantined, RecorderReport, RecorderStarted, RecorderStopped
from pipeline.capture.spool import fallback_directories, hour_folder, line_of, spool_directory
from pipeline.capture.tally import Tally
from pipeline.privacy.acting import Redactor

REMEMBERED_IDS = 500_000
"""Ids of written events that a copy is recognised by; older copies are left out by the loader."""

HALT_FILE = "halt.json"

REPORT_SECONDS = 600
"""A writer that is busy reports at least this often, so that a killed one leaves little untold."""

_encode = msgspec.json.Encoder().encode


def new_ulid() -> str:
    """A ULID of now."""
    number = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    return "".join(CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


class SpanWriter:
    """Writes occurrences into the spool; safe to share between threads."""

    def __init__(
        self,
        directory: Path | None = None,
        *,
        redactor: Redactor,
        application: str = "opentelemetry",
        second: Sequence[Path] | None = None,
    ) -> None:
        self.directory = directory or spool_directory()
        others = fallback_directories(self.directory) if second is None else second
        self.directories = (self.directory, *others)
        self._redactor, self._application = redactor, application
        self._begin(None)
        _WRITERS.add(self)

    def _begin(self, parent: str | None) -> None:
        """State of one process; a fork begins anew."""
        self.process = new_ulid()
        self._provenance = Provenance(
            host=socket.gethostname() or "unknown",
            pid=os.getpid(),
            library=__version__,
            application=self._application,
        )
        self._lock = threading.Lock()
        self._segments = SyncedSegments(self.directories, self.process)
        self._sequence = 0
        self._written: OrderedDict[str, None] = OrderedDict()
        self._period = Tally()
        self._parent, self._introduced = parent, False
        if parent is None:
            with self._lock:
                self._introduce()

    def _introduce(self) -> None:
        """The first event of a process; a fork writes it when it first has something to say."""
        if self._introduced:
            return
        started = RecorderStarted(
            host=self._provenance.host,
            pid=os.getpid(),
            library=__version__,
            python=platform.python_version(),
            application=self._application,
            parent_process=self._parent,
        )
        self._append([self._own("recorder_started", started)])
        self._introduced = True

    def after_fork(self) -> None:
        """In the child: its own process id, numbers, counts and segments; the parent's are let go."""
        self._segments.close()
        self._begin(self.process)

    def write(self, found: Sequence[Occurrence]) -> int:
        """Make the events durable; how many were new. Raises ``OSError`` where the disk refuses: nothing is
        lost silently, the caller says so to whoever sent them."""
        halted = (self.directory / HALT_FILE).exists()
        with self._lock:
            self._introduce()
            self._report_if_due()
            new = [
                each for each in {each.id: each for each in found}.values() if each.id not in self._written
            ]
            self._append([self._safe(each, halted) for each in new])
            for each in new:
                self._written[each.id] = None
            while len(self._written) > REMEMBERED_IDS:
                self._written.popitem(last=False)
            return len(new)

    def note_lost(self, count: int, error: OSError) -> None:
        """Count events that no directory took and that nobody will send again; the next report says so."""
        with self._lock:
            # They use up numbers, as a recorder's do, so that the hour's coverage knows of them.
            self._sequence += count
            self._period.emitted += count
            self._period.failed[errno.errorcode.get(error.errno or 0, type(error).__name__)] += count

    def close(self) -> None:
        """Write the last report and close every segment; ``OSError`` where no directory takes the report."""
        with self._lock:
            try:
                self._introduce()
                self._say("recorder_stopped", RecorderStopped)
            finally:
                self._segments.close()

    def _append(self, events: list[Occurrence]) -> None:
        by_hour: dict[str, list[Occurrence]] = {}
        for event in events:
            by_hour.setdefault(hour_folder(event.at), []).append(event)
        for folder, group in by_hour.items():
            before = self._sequence
            data = b"".join([line_of(self._envelope(event)) for event in group])
            try:
                place = self._segments.append(folder, data)
            except OSError:
                # Numbers of lines that are in no segment would look like lost events.
                self._sequence = before
                raise
            self._count(group, len(data), place)

    def _count(self, written: list[Occurrence], size: int, place: int) -> None:
        period, now = self._period, time.time_ns()
        period.since = period.since or now
        period.until, period.last_sequence = now, self._sequence
        period.emitted += len(written)
        period.written += len(written)
        period.bytes_written += size
        period.in_second_directory += len(written) if place else 0
        period.received_tasks += sum(event.kind == "task_received" for event in written)

    def _report_if_due(self) -> None:
        """A report in the first batch of an hour, and every ``REPORT_SECONDS`` while spans come."""
        now = time.time_ns()
        since = self._period.since or now
        if hour_folder(now) == hour_folder(since) and now - since < REPORT_SECONDS * 1_000_000_000:
            return
        self._say("recorder_report", RecorderReport)

    def _envelope(self, event: Occurrence) -> Envelope:
        self._sequence += 1
        body = _encode(event.body)
        return Envelope(
            id=event.id,
            kind=event.kind,
            schema_version=SCHEMA_VERSION,
            subject=event.subject,
            at=event.at,
            monotonic_ns=time.monotonic_ns(),
            process=self.process,
            sequence=self._sequence,
            content_hash=hashlib.blake2b(body, digest_size=16).hexdigest(),
            provenance=self._provenance,
            body=msgspec.Raw(body),
        )

    def _safe(self, event: Occurrence, halted: bool) -> Occurrence:
        """The event behind privacy's door; what cannot be made safe is replaced by a mark of it."""
        record: dict[str, Any] = msgspec.to_builtins(event.body)
        if halted and any(name in record for name in event.body.text_fields):
            record = {name: value for name, value in record.items() if name not in event.body.text_fields}
            self._period.dropped_text += 1
        outcome = self._redactor.apply(record)
        reason = "the door refused it" if outcome.status == "quarantined" else ""
        if outcome.status == "changed":
            self._period.redacted += 1
        if not reason:
            try:
                body = msgspec.convert(outcome.record, type(event.body))
                return event._replace(body=body, subject=self._safe_subject(event.subject))
            except msgspec.ValidationError:
                reason = "what the door left is no event"
        self._period.quarantined += 1
        mark = EventQuarantined(event_kind=event.kind, reason=reason, size_bytes=len(_encode(event.body)))
        return event._replace(kind="event_quarantined", body=mark, subject=self._safe_subject(event.subject))

    def _safe_subject(self, subject: str) -> str:
        outcome = self._redactor.apply(subject)
        return str(outcome.record) if outcome.record else "withheld"

    def _own(self, kind: str, body: Body) -> Occurrence:
        return Occurrence(new_ulid(), kind, self.process, time.time_ns(), body)

    def _say(self, kind: str, body: type[RecorderReport]) -> None:
        """Write the counts since the last report; counting begins again once they are written."""
        counted, self._period = self._period, Tally()
        try:
            self._append([self._own(kind, body(**counted.fields()))])
        except OSError:
            self._period = counted
            raise


def _after_fork() -> None:
    for writer in list(_WRITERS):
        writer.after_fork()


_WRITERS: weakref.WeakSet[SpanWriter] = weakref.WeakSet()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
