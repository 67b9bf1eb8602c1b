"""The recorder: one call takes an event, checks it, and appends it to the spool before it returns.

What belongs here: the order of the steps, the locks, the report on itself. What does not: the steps
(``bodies``, ``door``, ``controls``, ``segments``), typed helpers for tasks (``recording``).

``emit`` never raises for what it is given or for what the disk does, and never waits for a network. It
returns True once the event is in the file (the kernel has it: it survives the process, and with
``sync_every_ms`` soon a loss of power). It may be called from threads, forks, coroutines and signal
handlers.
"""

from __future__ import annotations

import atexit
import hashlib
import logging
import os
import platform
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

import pipeline.capture.events  # noqa: F401 - registers the kinds of a task's events
from pipeline import __version__
from pipeline.capture.bodies import Prepared, Refused, encode, prepare, without, without_texts
from pipeline.capture.controls import Controls, Rate, draw
from pipeline.capture.door import Door
from pipeline.capture.envelope import SCHEMA_VERSION, Provenance
from pipeline.capture.kinds import Body, body_type
from pipeline.capture.recording import TaskRecording
from pipeline.capture.reports import EventQuarantined, RecorderReport, RecorderStarted, RecorderStopped
from pipeline.capture.segments import SegmentWriter
from pipeline.capture.signal_helpers import SignalRecording
from pipeline.capture.spool import checked, fallback_directories, hour_folder, spool_directory
from pipeline.capture.tally import Tally
from pipeline.hours import CLOCK_VARIABLE, now
from pipeline.privacy.acting import Redactor

log = logging.getLogger("pipeline.capture")

LARGEST_SEGMENT = 64_000_000
LOG_SECONDS = 60.0
_TASKS_REMEMBERED = 10_000
_HOUR = 3_600_000_000_000


class Recorder(TaskRecording, SignalRecording):
    """Records events of this process into a spool.

    ``directory`` is the spool (by default that of the data folder), ``second`` the directories used while it
    is full or read-only. ``redactor`` applies a privacy policy of its own; ``door=False`` leaves the door out
    (measuring only). ``rates`` replaces the default sampling until ``sampling.json`` says otherwise.
    ``clock`` gives nanoseconds since 1970. ``sync_every_ms`` brings what was written to the disk that
    often.
    """

    def __init__(
        self,
        directory: Path | str | None = None,
        *,
        application: str = "",
        second: Sequence[Path | str] | None = None,
        redactor: Redactor | None = None,
        door: bool = True,
        synthetic: bool = False,
        rates: Mapping[str, Rate] | None = None,
        sync_every_ms: float | None = None,
        largest_segment: int = LARGEST_SEGMENT,
        clock: Callable[[], int] | None = None,
    ) -> None:
        first = Path(directory) if directory is not None else spool_directory()
        others = fallback_directories(first) if second is None else [Path(place) for place in second]
        self.directories = (first.absolute(), *(place.absolute() for place in others))
        self.controls = Controls(first, rates)
        self._redactor, self._with_door = redactor, door
        self._door: Door | None = None
        self._synthetic = synthetic
        self._application = application[:200]
        self._clock = clock or _clock()
        self._largest = largest_segment
        self._sync_every = sync_every_ms
        self._log_at: dict[str, float] = {}
        self._begin("")
        _RECORDERS.add(self)
        atexit.register(_close_at_exit, weakref.ref(self))

    def _begin(self, parent: str) -> None:
        """State of one process; a fork begins anew."""
        from pipeline.capture.ulids import UlidMaker

        self._lock = threading.RLock()
        self._busy = False
        self._waiting: deque[tuple[str, str, bytes, bytes, int]] = deque()
        self._ulids = UlidMaker()
        self.process = self._ulids.next(time.time_ns() // 1_000_000)
        self._parent = parent
        self._sequence = 0
        self._hour = -1
        self._folder = ""
        self._period, self._total = Tally(), Tally()
        self._writer = SegmentWriter(
            self.directories, self.process, largest=self._largest, sync=self._sync_every is not None
        )
        self._provenances: dict[str, bytes] = {}
        self._complexities: dict[str, str] = {}
        self._closed = False
        self._stop = threading.Event()
        self._syncer: threading.Thread | None = None

    def emit(
        self,
        kind: str,
        subject: str,
        body: Body | Mapping[str, Any],
        *,
        complexity: str | None = None,
    ) -> bool:
        """Record one event; True once it is in the spool, False where it is not (see ``report``).

        ``subject`` is the task's or session's id. ``complexity`` matters for sampling only; by default that
        of the task's task_received in this process. From a signal handler that interrupted another ``emit``
        the event is written right after that one, and the answer is False.
        """
        begun = time.perf_counter_ns()
        try:
            return self._emit(kind, subject, body, complexity, begun)
        except Exception as error:  # noqa: BLE001 - the caller's work must go on whatever is wrong with recording
            self.fault(f"emit: {type(error).__name__}")
            return False

    def record(self, subject: str, body: Body) -> bool:
        """``emit`` for a body whose type says the kind."""
        kind = _kind_of(type(body))
        if kind is None:
            self._refuse("unregistered", f"{type(body).__name__} is registered as no kind")
            return False
        return self.emit(kind, subject, body)

    def _emit(
        self, kind: str, subject: str, body: Body | Mapping[str, Any], complexity: str | None, begun: int
    ) -> bool:
        expected = body_type(kind)
        if expected is None:
            self._refuse("unregistered", "the kind is not registered")
            return False
        if not isinstance(subject, str) or not 0 < len(subject) <= 1000:
            self._refuse(kind, "its subject is no text of 1 to 1000 characters")
            return False
        self.controls.look()
        left_out = (
            self._sampled_out(kind, subject, complexity) if kind in self.controls.sampled else frozenset()
        )
        if left_out is None:
            return False
        try:
            prepared = prepare(expected, body)
            data = self._texts_left_out(expected, prepared, left_out)
        except Refused as reason:
            self._refuse(kind, str(reason))
            return False
        if kind == "task_received":
            self._remember(subject, data)
        return self._pass(kind, expected, encode(_sound(subject)), data, begun)

    def _sampled_out(self, kind: str, subject: str, complexity: str | None) -> frozenset[str] | None:
        """Names of fields that this task was not drawn for; None where the whole event was not."""
        complexity = complexity or self._complexities.get(subject)
        number = draw(subject)
        out = set()
        for field in self.controls.sampled[kind]:
            name = f"{kind}.{field}" if field else kind
            if number >= self.controls.rate(name, complexity):
                with self._lock:
                    self._period.sampled_out[name] += 1
                if not field:
                    return None
                out.add(field)
        return frozenset(out)

    def sampled(self, subject: str, name: str, complexity: str | None = None) -> bool:
        """Whether a task is drawn for a kind or kind.field, to spare the work where it is not."""
        self.controls.look()
        return draw(subject) < self.controls.rate(name, complexity or self._complexities.get(subject))

    def _texts_left_out(self, expected: type[Body], prepared: Prepared, fields: frozenset[str]) -> bytes:
        for fault in prepared.faults:
            self.fault(fault)
        data = without(expected, prepared.data, fields) if fields else prepared.data
        if not self.controls.halted:
            return data
        with self._lock:
            self._period.dropped_text += 1
        return without_texts(expected, data)

    def _remember(self, subject: str, data: bytes) -> None:
        if len(self._complexities) >= _TASKS_REMEMBERED:
            self._complexities.clear()
        self._complexities[subject] = msgspec.json.decode(data).get("complexity", "standard")

    def _pass(self, kind: str, expected: type[Body], subject: bytes, data: bytes, begun: int) -> bool:
        """Through the door, then into the file."""
        if not self._with_door:
            return self._append(kind, subject, data, begun)
        door = self._door or self._make_door()
        passed = door.check(subject, data)
        if passed.status == "clean":
            return self._append(kind, subject, data, begun)
        body, status, reason = passed.body, passed.status, passed.reason
        if status == "changed":
            try:
                body = prepare(expected, msgspec.json.decode(body)).data
            except (Refused, AttributeError):
                status, reason = "quarantined", "what was left after redaction is no body of its kind"
        with self._lock:
            if status == "quarantined":
                self._period.quarantined += 1
            else:
                self._period.redacted += 1
        if status == "quarantined":
            body = encode(EventQuarantined(event_kind=kind, reason=reason[:200], size_bytes=len(data)))
            kind = "event_quarantined"
        return self._append(kind, passed.subject, body, begun)

    def as_kept(self, text: str) -> str:
        """The text as the door lets it pass, so that it can be named by the hash of what is kept."""
        if not self._with_door:
            return text
        passed = (self._door or self._make_door()).check(b'""', encode(text))
        kept = msgspec.json.decode(passed.body) if passed.status == "changed" else text
        return kept if isinstance(kept, str) else text

    def _make_door(self) -> Door:
        self._door = Door(self._redactor)
        return self._door

    def _append(self, kind: str, subject: bytes, body: bytes, begun: int) -> bool:
        caller = _caller()
        with self._lock:
            if self._busy:
                # A signal handler or a finaliser interrupted this very thread inside this block.
                self._waiting.append((kind, caller, subject, body, begun))
                return False
            self._busy = True
            try:
                if self._closed:
                    self._closed = False  # recording went on after close(): a new segment, a new stop
                written = self._write(kind, caller, subject, body, begun)
                while self._waiting:
                    self._write(*self._waiting.popleft())
            finally:
                self._busy = False
        return written

    def _write(self, kind: str, caller: str, subject: bytes, body: bytes, begun: int) -> bool:
        at = self._clock()
        hour = at // _HOUR
        if hour != self._hour:
            self._enter(hour, at)
        elif self._writer.is_full(self._folder, len(body) + 1000):
            self._report(RecorderReport, at)
        return self._line(kind, caller, subject, body, begun, at)

    def _enter(self, hour: int, at: int) -> None:
        self._hour, self._folder = hour, hour_folder(at)
        if self._sequence:
            self._report(RecorderReport, at)
        else:
            self._introduce(at)

    def _introduce(self, at: int) -> None:
        host = platform.node()
        body = RecorderStarted(
            host=_named(host),
            pid=os.getpid(),
            library=__version__,
            python=platform.python_version(),
            application=self._shown(self._application),
            parent_process=self._parent or None,
        )
        data = encode(body)
        self._register(data)
        self._own("recorder_started", data, at)
        if self._sync_every is not None and self._syncer is None:
            self._syncer = threading.Thread(target=self._sync, name="capture-sync", daemon=True)
            self._syncer.start()

    def _register(self, data: bytes) -> None:
        """Note in the spool who writes, for people and for the loader; the event says the same."""
        for directory in self.directories:
            place = directory / "processes"
            try:
                place.mkdir(parents=True, exist_ok=True, mode=0o700)
                (place / f"{self.process}.json").write_bytes(data)
            except OSError:
                continue  # the next directory; the event recorder_started holds it in any case
            return

    def _own(self, kind: str, data: bytes, at: int) -> None:
        self._line(kind, "", encode(self.process), data, time.perf_counter_ns(), at)

    def _report(self, body: type[RecorderReport], at: int) -> None:
        fields = self._period.fields()
        self._total.add(self._period)
        self._period = Tally()
        kind = "recorder_stopped" if body is RecorderStopped else "recorder_report"
        self._own(kind, encode(body(**fields)), at)

    def _line(self, kind: str, caller: str, subject: bytes, body: bytes, begun: int, at: int) -> bool:  # noqa: PLR0917
        self._sequence += 1
        line = checked(
            b'{"kind":"%b","subject":%b,"body":%b,"id":"%b","schema_version":%d,"at":%d,"monotonic_ns":%d,'
            b'"process":"%b","sequence":%d,"content_hash":"%b","provenance":%b%b}'
            % (
                kind.encode(),
                subject,
                body,
                self._ulids.next(at // 1_000_000).encode(),
                SCHEMA_VERSION,
                at,
                time.monotonic_ns(),
                self.process.encode(),
                self._sequence,
                hashlib.blake2b(body, digest_size=16).hexdigest().encode(),
                self._provenances.get(caller) or self._provenance(caller),
                b',"synthetic":true' if self._synthetic else b"",
            )
        )
        period = self._period
        period.since = period.since or at
        period.until = at
        period.last_sequence = self._sequence
        period.emitted += 1
        try:
            self._writer.append(self._folder, line)
        except OSError as error:
            reason = _errno_name(error)
            period.failed[reason] += 1
            self._say(
                "lost",
                f"an event could not be written ({reason}), neither to the first nor to a second directory",
            )
            return False
        period.written += 1
        period.bytes_written += len(line)
        period.in_second_directory += self._writer.place > 0
        period.received_tasks += kind == "task_received"
        took = time.perf_counter_ns() - begun
        period.latency_count += 1
        period.latency_ns += took
        period.longest_ns = max(period.longest_ns, took)
        return True

    def _provenance(self, caller: str) -> bytes:
        data = encode(
            Provenance(
                host=_named(platform.node()),
                pid=os.getpid(),
                library=__version__,
                application=self._shown(self._application),
                caller=self._shown(caller),
            )
        )
        if len(self._provenances) < 1000:
            self._provenances[caller] = data
        return data

    def _shown(self, text: str) -> str:
        if not self._with_door or not text:
            return text
        return (self._door or self._make_door()).text(text)

    def _refuse(self, kind: str, reason: str) -> None:
        with self._lock:
            self._period.refused[kind] += 1
        self._say(f"refused {kind}", f"an event {kind} was refused: {reason}")

    def fault(self, reason: str) -> None:
        """Count something that went wrong beside an event, such as an extractor; logged once a minute."""
        with self._lock:
            self._period.faults[reason[:100]] += 1
        self._say(f"fault {reason}", reason)

    def _say(self, topic: str, text: str) -> None:
        now_at = time.monotonic()
        if now_at < self._log_at.get(topic, 0.0):
            return
        if len(self._log_at) > 1000:
            self._log_at.clear()
        self._log_at[topic] = now_at + LOG_SECONDS  # before logging: a handler may record events itself
        try:
            log.warning("Recording: %s; the application goes on (said once a minute at most).", text)
        except Exception:  # noqa: BLE001 - a broken log handler is not the caller's fault either
            self._period.faults["logging"] += 1

    def expect_tasks(self, count: int = 1) -> None:
        """Tell how many tasks the application itself has seen: the denominator of the coverage."""
        with self._lock:
            self._period.expected_tasks = (self._period.expected_tasks or 0) + count

    def report(self) -> dict[str, Any]:
        """What this process did since it began to record; fields as in ``RecorderReport``."""
        with self._lock:
            whole = Tally()
            whole.add(self._total)
            whole.add(self._period)
        problem = {"sampling": self.controls.problem} if self.controls.problem else {}
        return {"process": self.process, "halted": self.controls.halted, **whole.fields(), **problem}

    def _sync(self) -> None:
        """The thread that brings what was written to the disk."""
        stop = self._stop
        while not stop.wait((self._sync_every or 1000) / 1000):
            self.sync()

    def sync(self) -> None:
        """Bring what was written to the disk now; counts a failure, raises nothing."""
        with self._lock:
            descriptor = self._writer.sync_copy()
        if descriptor is None:
            return
        try:
            os.fsync(descriptor)
        except OSError as error:
            self.fault(f"sync: {_errno_name(error)}")
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Write the last report and close the segment; recording again afterwards opens a new one."""
        self._stop.set()
        with self._lock:
            if self._closed or not self._sequence or self._busy:
                return
            self._closed = True
            self._busy = True
            try:
                at = self._clock()
                self._hour, self._folder = at // _HOUR, hour_folder(at)
                self._report(RecorderStopped, at)
                self._writer.close()
            except OSError as error:
                self._period.faults[f"close: {_errno_name(error)}"] += 1
            finally:
                self._busy = False

    def after_fork(self) -> None:
        """In the child: its own process id, sequence, counts and segment; the parent's are let go."""
        self._writer.abandon()
        self._begin(self.process if self._sequence else "")

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_RECORDERS: weakref.WeakSet[Recorder] = weakref.WeakSet()
_KINDS: dict[type[Body], str] = {}


def _kind_of(body: type[Body]) -> str | None:
    if body not in _KINDS:
        from pipeline.capture.kinds import registered_kinds

        _KINDS.update({found: kind for kind in registered_kinds() if (found := body_type(kind)) is not None})
    return _KINDS.get(body)


def _clock() -> Callable[[], int]:
    """The wall clock in nanoseconds, or the instant that ``PIPELINE_NOW`` fixes."""
    if os.environ.get(CLOCK_VARIABLE):
        return lambda: int(now().timestamp()) * 1_000_000_000
    return time.time_ns


def _caller() -> str:
    """The module that called in: the first one outside this package."""
    frame = sys._getframe(2)
    while frame is not None:
        name: str = frame.f_globals.get("__name__", "")
        if not name.startswith("pipeline.capture"):
            return name[:200]
        if frame.f_back is None:
            return ""
        frame = frame.f_back
    return ""


def _sound(subject: str) -> str:
    return subject if subject.isascii() else subject.encode("utf-8", "replace").decode()


def _named(host: str) -> str:
    return _sound(host)[:200] or "unknown"


def _errno_name(error: OSError) -> str:
    import errno

    return errno.errorcode.get(error.errno or 0, type(error).__name__)


def _close_at_exit(reference: weakref.ref[Recorder]) -> None:
    recorder = reference()
    if recorder is None:
        return
    recorder.close()
    counts = recorder.report()
    lost = sum(counts["failed"].values())
    if lost:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(counts["failed"].items()))
        sys.stderr.write(
            f"Recording: {lost} of {counts['emitted']} events are lost, because neither the spool nor its "
            f"second directory could be written ({reasons}); make room or set PIPELINE_SPOOL_FALLBACK.\n"
        )


def _after_fork() -> None:
    for recorder in list(_RECORDERS):
        recorder.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
