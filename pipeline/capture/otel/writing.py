"""Events of spans into the spool: redacted, numbered, and on the disk before anybody is told so.

What belongs here: one process's segments with an fsync for each batch. What does not: which events there
are (``translating``). The form of segments and lines is the spool's: a hidden name, a lock, then the
segment's name.
"""

from __future__ import annotations

import hashlib
import os
import platform
import secrets
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from pipeline import __version__
from pipeline.capture.envelope import SCHEMA_VERSION, Envelope, Provenance
from pipeline.capture.kinds import Body
from pipeline.capture.otel.translating import CROCKFORD, Occurrence
from pipeline.capture.reports import EventQuarantined, RecorderReport, RecorderStarted, RecorderStopped
from pipeline.capture.spool import hour_folder, line_of, segment_name, spool_directory
from pipeline.privacy.acting import Redactor

try:
    import fcntl
except ImportError:  # Windows has no flock; the segment's name says so
    fcntl = None  # type: ignore[assignment]

REMEMBERED_IDS = 500_000
"""Ids of written events that a copy is recognised by; older copies are left out by the loader."""

OPEN_SEGMENTS = 3
"""Hours that may be written at a time; a span that ended hours ago belongs to its own hour."""

LARGEST_SEGMENT = 64_000_000
"""Bytes after which a segment is closed and the next one begun."""

HALT_FILE = "halt.json"

_encode = msgspec.json.Encoder().encode


def new_ulid() -> str:
    """A ULID of now."""
    number = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    return "".join(CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


class _Segment:
    """A locked file that one process appends to."""

    def __init__(self, folder: Path, process: str, number: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        place = folder / segment_name(process, number, locks=fcntl is not None)
        hidden = folder / f".{place.name}"
        self.size = 0
        self.descriptor = os.open(
            hidden, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600
        )
        if fcntl is not None:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX)
        hidden.rename(place)
        for directory in (folder, folder.parent):
            _sync_directory(directory)

    def append(self, data: bytes) -> None:
        """Append and wait for the disk."""
        view = memoryview(data)
        while view:
            view = view[os.write(self.descriptor, view) :]
        os.fsync(self.descriptor)
        self.size += len(data)

    def cut(self) -> None:
        """Take back what a failed append may have left."""
        os.ftruncate(self.descriptor, self.size)

    def close(self) -> None:
        """Drop the lock: nobody will append any more."""
        os.close(self.descriptor)


class SpanWriter:
    """Writes occurrences into the spool; safe to share between threads."""

    def __init__(
        self, directory: Path | None = None, *, redactor: Redactor, application: str = "opentelemetry"
    ) -> None:
        self.directory = directory or spool_directory()
        self.process = new_ulid()
        self._redactor = redactor
        self._provenance = Provenance(
            host=socket.gethostname() or "unknown",
            pid=os.getpid(),
            library=__version__,
            application=application,
        )
        self._lock = threading.Lock()
        self._segments: OrderedDict[str, _Segment] = OrderedDict()
        self._number = self._sequence = 0
        self._written: OrderedDict[str, None] = OrderedDict()
        self._tally: dict[str, int] = dict.fromkeys(("emitted", "redacted", "quarantined", "dropped_text"), 0)
        self._since = time.time_ns()
        started = RecorderStarted(
            host=self._provenance.host,
            pid=os.getpid(),
            library=__version__,
            python=platform.python_version(),
            application=application,
        )
        with self._lock:
            self._append([self._own("recorder_started", started)])

    def write(self, found: Sequence[Occurrence]) -> int:
        """Make the events durable; how many were new. Raises ``OSError`` where the disk refuses: nothing is
        lost silently, the caller says so to whoever sent them."""
        halted = (self.directory / HALT_FILE).exists()
        with self._lock:
            new = [
                each for each in {each.id: each for each in found}.values() if each.id not in self._written
            ]
            self._append([self._safe(each, halted) for each in new])
            for each in new:
                self._written[each.id] = None
            while len(self._written) > REMEMBERED_IDS:
                self._written.popitem(last=False)
            return len(new)

    def close(self) -> None:
        """Write the last report and close every segment."""
        with self._lock:
            self._append([self._own("recorder_stopped", self._report(RecorderStopped))])
            while self._segments:
                self._segments.popitem()[1].close()

    def _append(self, events: list[Occurrence]) -> None:
        by_hour: dict[str, list[Occurrence]] = {}
        for event in events:
            by_hour.setdefault(hour_folder(event.at), []).append(event)
        for folder, group in by_hour.items():
            before = self._sequence
            try:
                self._segment(folder).append(b"".join([line_of(self._envelope(event)) for event in group]))
            except OSError:
                # Numbers of lines that are in no segment would look like lost events.
                self._sequence = before
                self._give_up(folder)
                raise
            self._tally["emitted"] += len(group)

    def _give_up(self, folder: str) -> None:
        """Close a segment that could not be written, without the part of a line that may stand at its end."""
        segment = self._segments.pop(folder, None)
        if segment is not None:
            segment.cut()
            segment.close()

    def _segment(self, folder: str) -> _Segment:
        segment = self._segments.get(folder)
        if segment is not None and segment.size < LARGEST_SEGMENT:
            self._segments.move_to_end(folder)
            return segment
        if segment is not None:
            self._segments.pop(folder).close()
        self._number += 1
        opened = _Segment(self.directory / folder, self.process, self._number)
        self._segments[folder] = opened
        now = hour_folder(time.time_ns())
        for old in [name for name in self._segments if name not in (folder, now)][
            : -OPEN_SEGMENTS + 1 or None
        ]:
            self._segments.pop(old).close()
        return opened

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
            self._tally["dropped_text"] += 1
        outcome = self._redactor.apply(record)
        reason = "the door refused it" if outcome.status == "quarantined" else ""
        if outcome.status == "changed":
            self._tally["redacted"] += 1
        if not reason:
            try:
                body = msgspec.convert(outcome.record, type(event.body))
                return event._replace(body=body, subject=self._safe_subject(event.subject))
            except msgspec.ValidationError:
                reason = "what the door left is no event"
        self._tally["quarantined"] += 1
        mark = EventQuarantined(event_kind=event.kind, reason=reason, size_bytes=len(_encode(event.body)))
        return event._replace(kind="event_quarantined", body=mark, subject=self._safe_subject(event.subject))

    def _safe_subject(self, subject: str) -> str:
        outcome = self._redactor.apply(subject)
        return str(outcome.record) if outcome.record else "withheld"

    def _own(self, kind: str, body: Body) -> Occurrence:
        return Occurrence(new_ulid(), kind, self.process, time.time_ns(), body)

    def _report(self, kind: type[RecorderReport]) -> RecorderReport:
        counted = self._tally
        return kind(
            since=self._since,
            until=time.time_ns(),
            emitted=counted["emitted"],
            written=counted["emitted"],
            redacted=counted["redacted"],
            quarantined=counted["quarantined"],
            dropped_text=counted["dropped_text"],
            last_sequence=self._sequence,
        )


def _sync_directory(directory: Path) -> None:
    if os.name == "nt":
        return  # Windows cannot open a directory, and writes its entries through
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
