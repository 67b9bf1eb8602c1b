"""What a recorder says of itself: that it started, what it did since its last report, that it stopped.

What belongs here: the bodies of these events. What does not: counting (``tally``).

They travel through the spool like every event (subject: the process's ULID) and use up sequence numbers, so
the hourly coverage has its denominators in the same place as what it measures.
"""

from __future__ import annotations

from pipeline.capture.kinds import Amount, Body, Count, Name, register


class RecorderStarted(Body, frozen=True, kw_only=True):
    """A process began to record; its first event. ``parent_process`` is set by a fork."""

    host: Name
    pid: Count
    library: Name
    python: Name
    application: str = ""
    parent_process: Name | None = None


class RecorderReport(Body, frozen=True, kw_only=True):
    """What a process did since its last report; written at every rotation, so sums over reports are totals.

    ``since`` and ``until`` are wall clocks in nanoseconds: the first and the last event counted, both of one
    hour unless the clock was moved. ``emitted`` events got a sequence number, ``written`` ones are in a
    segment (``in_second_directory`` of them in the second one), ``failed`` ones are lost, by reason:
    emitted = written + the sum of failed. ``refused`` (by kind) did not pass validation, ``sampled_out``
    (by kind, or kind.field) were not drawn; neither got a number. ``quarantined`` events were replaced by
    ``event_quarantined``, ``redacted`` ones lost private values, ``dropped_text`` ones their text fields
    while a halt stood: each of them counts as emitted. ``faults`` of extractors and interceptors by reason.
    Latencies are of ``emit``, in microseconds. ``received_tasks`` counts task_received events,
    ``expected_tasks`` what the application itself counted (``Recorder.expect_tasks``). ``last_sequence`` is
    the number of the last event counted.
    """

    since: int = 0
    until: int = 0
    emitted: Count = 0
    written: Count = 0
    in_second_directory: Count = 0
    failed: dict[str, Count] = {}
    refused: dict[str, Count] = {}
    sampled_out: dict[str, Count] = {}
    quarantined: Count = 0
    redacted: Count = 0
    dropped_text: Count = 0
    faults: dict[str, Count] = {}
    bytes_written: Count = 0
    mean_latency_us: Amount | None = None
    max_latency_us: Amount | None = None
    received_tasks: Count = 0
    expected_tasks: Count | None = None
    last_sequence: Count = 0


class RecorderStopped(RecorderReport, frozen=True, kw_only=True):
    """The last report of a process that ended in order; a process without one was killed or still runs."""


class EventQuarantined(Body, frozen=True, kw_only=True):
    """Stands for an event that could not be made safe to keep: its kind, its size and why; none of its
    fields."""

    event_kind: Name
    reason: Name
    size_bytes: Count = 0


RECORDER_KINDS: dict[str, type[Body]] = {
    "recorder_started": RecorderStarted,
    "recorder_report": RecorderReport,
    "recorder_stopped": RecorderStopped,
    "event_quarantined": EventQuarantined,
}
"""The kinds of events that recorders write of their own accord."""

for _kind, _body in RECORDER_KINDS.items():
    register(_kind, _body)
