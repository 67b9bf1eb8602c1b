"""The recorder: one call takes an event, checks it, and appends it to the spool before it returns.

What belongs here: what a program calls, and that nothing raises. What does not: what may be written
(``admitting``), writing it (``journal``), typed helpers for tasks (``recording``).

``emit`` never raises for what it is given or for what the disk does, and never waits for a network. It
returns True once the event is in the file (the kernel has it: it survives the process, and with
``sync_every_ms`` soon a loss of power). It may be called from threads, forks, coroutines and signal
handlers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter, perf_counter_ns
from typing import TYPE_CHECKING, Any

import pipeline.capture.events  # noqa: F401 - registers the kinds of a task's events
from pipeline.capture.admitting import Admission
from pipeline.capture.controls import Controls, Rate
from pipeline.capture.door import Door, open_door
from pipeline.capture.journal import Journal, Setup
from pipeline.capture.kinds import Body, kind_of
from pipeline.capture.processes import calling_module, wall_clock, watch
from pipeline.capture.recording import TaskRecording
from pipeline.capture.signal_helpers import SignalRecording
from pipeline.capture.spool import fallback_directories, spool_directory
from pipeline.capture.syncing import Syncer
from pipeline.capture.tally import Tallies

if TYPE_CHECKING:
    from pipeline.privacy.acting import Redactor

LARGEST_SEGMENT = 64_000_000

_frame = sys._getframe


class Recorder(TaskRecording, SignalRecording):
    """Records events of this process into a spool.

    ``directory`` is the spool (by default that of the data folder), ``second`` the directories used while it
    is full or read-only. ``privacy_file`` names a file like ``configs/privacy.yaml`` whose policies and
    patterns the door applies on the surface ``capture`` (by default the file that ``PIPELINE_PRIVACY_FILE``
    names; without one every find becomes a placeholder); ``redactor`` is one made by the caller;
    ``door=False`` leaves the door out (measuring only). ``rates`` replaces the default sampling until
    ``sampling.json`` says otherwise. ``clock`` gives nanoseconds since 1970. ``sync_every_ms`` brings what
    was written to the disk that often.

    Making a recorder loads and warms the door (some hundredths of a second), so that no event waits for it.
    Raises ``ConfigurationError`` for a privacy file that cannot be used: recording without the policies that
    somebody wrote would be worse than not starting.
    """

    def __init__(
        self,
        directory: Path | str | None = None,
        *,
        application: str = "",
        second: Sequence[Path | str] | None = None,
        redactor: Redactor | None = None,
        privacy_file: Path | str | None = None,
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
        self._door: Door | None = open_door(redactor, privacy_file) if door else None
        self._setup = Setup(
            directories=self.directories,
            application=application[:200],
            synthetic=synthetic,
            sync=sync_every_ms is not None,
            largest_segment=largest_segment,
            clock=clock or wall_clock(),
            shown=str if self._door is None else self._door.text,
        )
        self._sync_every = sync_every_ms
        self.stopwatch = perf_counter
        self._begin("")
        watch(self)

    def _begin(self, parent: str) -> None:
        """State of one process; a fork begins anew."""
        self._tallies = Tallies()
        self._admission = Admission(self.controls, self._door, self._tallies)
        self._journal = Journal(self._setup, self._tallies, parent)
        self._syncer = None if self._sync_every is None else Syncer(self._journal.sync, self._sync_every)

    @property
    def process(self) -> str:
        """The ULID under which this process records."""
        return self._journal.process

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
        begun = perf_counter_ns()
        try:
            admitted = self._admission.admit(kind, subject, body, complexity)
            if admitted is None:
                return False
            caller: str = _frame(1).f_globals.get("__name__", "")
            if caller.startswith("pipeline.capture"):
                caller = calling_module(1)
            named, about, data = admitted
            if self._syncer is not None:
                self._syncer.start()
            return self._journal.append(named, caller, about, data, begun)
        except Exception as error:  # noqa: BLE001 - the caller's work must go on whatever is wrong with recording
            self.fault(f"emit: {type(error).__name__}")
            return False

    def record(self, subject: str, body: Body) -> bool:
        """``emit`` for a body whose type says the kind."""
        kind = kind_of(type(body))
        if kind is None:
            self._tallies.refuse("unregistered", f"{type(body).__name__} is registered as no kind")
            return False
        return self.emit(kind, subject, body)

    def sampled(self, subject: str, name: str, complexity: str | None = None) -> bool:
        """Whether a task is drawn for a kind or kind.field, to spare the work where it is not."""
        return self._admission.drawn(subject, name, complexity)

    def as_kept(self, text: str) -> str:
        """The text as the door lets it pass, so that it can be named by the hash of what is kept."""
        return text if self._door is None else self._door.kept(text)

    def fault(self, reason: str) -> None:
        """Count something that went wrong beside an event, such as an extractor; logged once a minute."""
        self._tallies.fault(reason)

    def expect_tasks(self, count: int = 1) -> None:
        """Tell how many tasks the application itself has seen: the denominator of the coverage."""
        with self._tallies.lock:
            self._tallies.period.expected_tasks = (self._tallies.period.expected_tasks or 0) + count

    def report(self) -> dict[str, Any]:
        """What this process did since it began to record; fields as in ``RecorderReport``."""
        problem = {"sampling": self.controls.problem} if self.controls.problem else {}
        counts = self._tallies.whole()
        return {"process": self.process, "halted": self.controls.halted, **counts, **problem}

    def sync(self) -> None:
        """Bring what was written to the disk now; counts a failure, raises nothing."""
        self._journal.sync()

    def close(self) -> None:
        """Write the last report and close the segment; recording again afterwards opens a new one."""
        if self._syncer is not None:
            self._syncer.stop()
        self._journal.close()

    def after_fork(self) -> None:
        """In the child: its own process id, sequence, counts and segment; the parent's are let go."""
        self._journal.abandon()
        self._begin(self.process if self._journal.sequence else "")

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
