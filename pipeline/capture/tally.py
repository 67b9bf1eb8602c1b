"""Counting what a recorder did.

What belongs here: counters of a period and their sum, saying once a minute what is wrong. What does not: the
event that carries the counts (``reports``, which says what each means).
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any

import msgspec

LOG_SECONDS = 60.0


class Tally(msgspec.Struct):
    """The counts of a period; names and meaning are those of ``RecorderReport``."""

    since: int = 0
    until: int = 0
    emitted: int = 0
    written: int = 0
    in_second_directory: int = 0
    failed: Counter[str] = msgspec.field(default_factory=Counter)
    refused: Counter[str] = msgspec.field(default_factory=Counter)
    sampled_out: Counter[str] = msgspec.field(default_factory=Counter)
    quarantined: int = 0
    redacted: int = 0
    dropped_text: int = 0
    faults: Counter[str] = msgspec.field(default_factory=Counter)
    bytes_written: int = 0
    latency_ns: int = 0
    longest_ns: int = 0
    received_tasks: int = 0
    expected_tasks: int | None = None
    last_sequence: int = 0

    def add(self, other: Tally) -> None:
        """Take another period's counts in; that period follows this one."""
        self.since = self.since or other.since
        self.until = other.until or self.until
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in _COUNTERS:
            getattr(self, name).update(getattr(other, name))
        self.longest_ns = max(self.longest_ns, other.longest_ns)
        self.last_sequence = max(self.last_sequence, other.last_sequence)
        if other.expected_tasks is not None:
            self.expected_tasks = (self.expected_tasks or 0) + other.expected_tasks

    def fields(self) -> dict[str, Any]:
        """The counts as the fields of a ``RecorderReport``."""
        counts = {name: dict(getattr(self, name)) for name in _COUNTERS}
        sums = {name: getattr(self, name) for name in _SUMS if name != "latency_ns"}
        seen = self.written > 0
        return {
            **counts,
            **sums,
            "since": self.since,
            "until": self.until,
            "mean_latency_us": self.latency_ns / self.written / 1000 if seen else None,
            "max_latency_us": self.longest_ns / 1000 if seen else None,
            "expected_tasks": self.expected_tasks,
            "last_sequence": self.last_sequence,
        }


_COUNTERS = ("failed", "refused", "sampled_out", "faults")
_SUMS = (
    "emitted",
    "written",
    "in_second_directory",
    "quarantined",
    "redacted",
    "dropped_text",
    "bytes_written",
    "latency_ns",
    "received_tasks",
)


class Tallies:
    """The running period's counts, the sum of those before it, and the lock that guards both.

    The lock is also the one under which events are written; it may be taken again by the thread that has
    it (signal handlers).
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.period, self._total = Tally(), Tally()
        self._said_at: dict[str, float] = {}

    def close_period(self) -> Tally:
        """The period's counts; a new period begins. The caller holds the lock."""
        ended, self.period = self.period, Tally()
        self._total.add(ended)
        return ended

    def whole(self) -> dict[str, Any]:
        """All counts so far, as the fields of a ``RecorderReport``."""
        with self.lock:
            whole = Tally()
            whole.add(self._total)
            whole.add(self.period)
        return whole.fields()

    def count(self, counter: str, name: str) -> None:
        """One more ``name`` in the counter ``failed``, ``refused``, ``sampled_out`` or ``faults``."""
        with self.lock:
            getattr(self.period, counter)[name[:100]] += 1

    def refuse(self, kind: str, reason: str) -> None:
        """Count and log an event that was not accepted; the reason names field and rule, never a value."""
        self.count("refused", kind)
        self.say(f"refused {kind}", f"an event {kind} was refused: {reason}")

    def fault(self, reason: str) -> None:
        """Count and log something that went wrong beside an event."""
        self.count("faults", reason)
        self.say(f"fault {reason}", reason)

    def say(self, topic: str, text: str) -> None:
        """Log a warning, once a minute for a topic; counts where the application's log handlers raise."""
        now = time.monotonic()
        if now < self._said_at.get(topic, 0.0):
            return
        if len(self._said_at) > 1000:
            self._said_at.clear()
        self._said_at[topic] = now + LOG_SECONDS  # before logging: a handler may record events itself
        import logging  # a recorder that has nothing to say does not load it

        try:
            logging.getLogger("pipeline.capture").warning(
                "Recording: %s; the application goes on (said once a minute at most).", text
            )
        except Exception:  # noqa: BLE001 - a broken log handler is not the caller's fault either
            self.count("faults", "logging")
