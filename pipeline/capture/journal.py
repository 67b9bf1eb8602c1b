"""The lines of one process: numbered, stamped and appended, one after the other.

What belongs here: sequence numbers, the envelope of a line, the hour's change, reports between the lines.
What does not: files (``segments``), what may be written at all (``admitting``).
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from pipeline import __version__
from pipeline.capture.bodies import encode
from pipeline.capture.envelope import SCHEMA_VERSION, Provenance
from pipeline.capture.processes import errno_name, host_name
from pipeline.capture.reports import RecorderReport, RecorderStarted, RecorderStopped
from pipeline.capture.segments import SegmentWriter
from pipeline.capture.spool import hour_folder
from pipeline.capture.tally import Tallies
from pipeline.capture.ulids import UlidMaker

_HOUR = 3_600_000_000_000
_ROOM = 4000
"""Bytes kept free in a segment for the rest of a line and for the report that ends it."""


class Setup(NamedTuple):
    """What a recorder was told; ``shown`` passes short texts (application, caller) through the door."""

    directories: tuple[Path, ...]
    application: str
    synthetic: bool
    sync: bool
    largest_segment: int
    clock: Callable[[], int]
    shown: Callable[[str], str]


class Journal:
    """Writes the events of one process, in one sequence without a gap.

    A fork makes a journal of its own; ``parent`` is then its parent's process id.
    """

    def __init__(self, setup: Setup, tallies: Tallies, parent: str = "") -> None:
        self._setup, self._tallies, self._parent = setup, tallies, parent
        self._clock = setup.clock
        self._lock = tallies.lock
        self._busy = False
        self._waiting: deque[tuple[str, str, bytes, bytes, int]] = deque()
        self._ulids = UlidMaker()
        self.process = self._ulids.next(time.time_ns() // 1_000_000).decode()
        self.sequence = 0
        self._hour, self._folder = -1, ""
        self._writer = SegmentWriter(
            setup.directories, self.process, largest=setup.largest_segment, sync=setup.sync
        )
        self._tails: dict[str, bytes] = {}
        self._middle = b',"process":"%b","sequence":' % self.process.encode()
        self._closed = False

    def append(self, kind: str, caller: str, subject: bytes, body: bytes, begun: int) -> bool:
        """Write an event (subject and body as JSON) that was begun at an instant of ``perf_counter_ns``.

        False where no directory took it, and for a signal handler that interrupted another ``append``: its
        event is written right after that one.
        """
        with self._lock:
            if self._busy:
                self._waiting.append((kind, caller, subject, body, begun))
                return False
            self._busy = True
            self._closed = False  # recording may go on after close(): a new segment, a new stop
            try:
                written = self._write(kind, caller, subject, body, begun)
            finally:
                self._busy = False
            while self._waiting:
                self.append(*self._waiting.popleft())
        return written

    def _write(self, kind: str, caller: str, subject: bytes, body: bytes, begun: int) -> bool:
        at = self._clock()
        if at // _HOUR != self._hour:
            self._enter(at)
        elif self._writer.is_full(len(body) + _ROOM):
            self._report(RecorderReport, "recorder_report", at)
            self._writer.close()
        return self._line(kind, caller, subject, body, begun, at)

    def _enter(self, at: int) -> None:
        """Another hour than that of the last event, earlier too when the clock was moved: another segment."""
        self._hour, self._folder = at // _HOUR, hour_folder(at)
        if self.sequence:
            self._report(RecorderReport, "recorder_report", at)
        else:
            self._introduce(at)

    def _introduce(self, at: int) -> None:
        import platform

        started = RecorderStarted(
            host=host_name(),
            pid=os.getpid(),
            library=__version__,
            python=platform.python_version(),
            application=self._setup.shown(self._setup.application),
            parent_process=self._parent or None,
        )
        data = encode(started)
        self._register(data)
        self._own("recorder_started", data, at)

    def _register(self, data: bytes) -> None:
        """Note in the spool who writes, for people and for the loader; the event says the same."""
        for directory in self._setup.directories:
            place = directory / "processes"
            try:
                place.mkdir(parents=True, exist_ok=True, mode=0o700)
                (place / f"{self.process}.json").write_bytes(data)
            except OSError as error:
                self._tallies.count("faults", f"process note: {errno_name(error)}")
            else:
                return

    def _own(self, kind: str, data: bytes, at: int) -> None:
        self._line(kind, "", b'"%b"' % self.process.encode(), data, time.perf_counter_ns(), at)

    def _report(self, body: type[RecorderReport], kind: str, at: int) -> None:
        self._own(kind, encode(body(**self._tallies.close_period().fields())), at)

    def _line(self, kind: str, caller: str, subject: bytes, body: bytes, begun: int, at: int) -> bool:  # noqa: PLR0917
        self.sequence = sequence = self.sequence + 1
        # Joined by hand: the body is encoded once, and nothing else of an envelope needs escaping.
        data = (
            b'{"kind":"%b","subject":%b,"body":%b,"id":"%b","schema_version":%d,"at":%d,"monotonic_ns":%d%b%d,'
            b'"content_hash":"%b"%b'
            % (
                kind.encode(),
                subject,
                body,
                self._ulids.next(at // 1_000_000),
                SCHEMA_VERSION,
                at,
                time.monotonic_ns(),
                self._middle,
                sequence,
                blake2b(body, digest_size=16).hexdigest().encode(),
                self._tails.get(caller) or self._tail(caller),
            )
        )
        try:
            size = self._writer.append(self._folder, b"%08x %b\n" % (crc32(data), data))
        except OSError as error:
            size = 0
            self._lost(error)
        self._count(kind, size, begun, at)
        return size > 0

    def _count(self, kind: str, size: int, begun: int, at: int) -> None:
        """Count an event that got a number; ``size`` is 0 where it was lost."""
        period = self._tallies.period
        if not period.since:
            period.since = at
        period.until = at
        period.last_sequence = self.sequence
        period.emitted += 1
        if not size:
            return
        period.written += 1
        period.bytes_written += size
        if self._writer.place:
            period.in_second_directory += 1
        if kind == "task_received":
            period.received_tasks += 1
        took = time.perf_counter_ns() - begun
        period.latency_ns += took
        if took > period.longest_ns:  # noqa: PLR1730 - a comparison costs a third of max()
            period.longest_ns = took

    def _lost(self, error: OSError) -> None:
        reason = errno_name(error)
        self._tallies.count("failed", reason)
        self._tallies.say(
            "lost",
            f"an event could not be written ({reason}), neither to the first nor to a second directory",
        )

    def _tail(self, caller: str) -> bytes:
        """The end of an envelope: where the event comes from, encoded once for each calling module."""
        shown = self._setup.shown
        provenance = Provenance(
            host=host_name(),
            pid=os.getpid(),
            library=__version__,
            application=shown(self._setup.application),
            caller=shown(caller),
        )
        data = b',"provenance":%b%b}' % (
            encode(provenance),
            b',"synthetic":true' if self._setup.synthetic else b"",
        )
        if len(self._tails) < 1000:
            self._tails[caller] = data
        return data

    def sync(self) -> None:
        """Bring what was written to the disk now; counts a failure, raises nothing."""
        with self._lock:
            descriptor = self._writer.sync_copy()
        if descriptor is None:
            return
        try:
            os.fsync(descriptor)
        except OSError as error:
            self._tallies.fault(f"sync: {errno_name(error)}")
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Write the last report and close the segment; appending afterwards opens a new one."""
        with self._lock:
            if self._closed or not self.sequence or self._busy:
                return
            self._closed = True
            self._busy = True
            try:
                at = self._clock()
                self._hour, self._folder = at // _HOUR, hour_folder(at)
                self._report(RecorderStopped, "recorder_stopped", at)
                self._writer.close()
            except OSError as error:
                self._tallies.count("faults", f"close: {errno_name(error)}")
            finally:
                self._busy = False
            if self._waiting:  # a signal handler recorded meanwhile
                while self._waiting:
                    self.append(*self._waiting.popleft())
                self.close()

    def abandon(self) -> None:
        """In a fork: let go of the parent's segment without touching it."""
        self._writer.abandon()
