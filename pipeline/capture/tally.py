"""Counting what a recorder did.

What belongs here: counters of a period and their sum. What does not: the event that carries them
(``reports``, which says what each means).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Tally:
    """The counts of a period; names and meaning are those of ``RecorderReport``."""

    since: int = 0
    until: int = 0
    emitted: int = 0
    written: int = 0
    in_second_directory: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    sampled_out: Counter[str] = field(default_factory=Counter)
    quarantined: int = 0
    redacted: int = 0
    dropped_text: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    bytes_written: int = 0
    latency_count: int = 0
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
        sums = {name: getattr(self, name) for name in _SUMS if not name.startswith("latency")}
        seen = self.latency_count > 0
        return {
            **counts,
            **sums,
            "since": self.since,
            "until": self.until,
            "mean_latency_us": self.latency_ns / self.latency_count / 1000 if seen else None,
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
    "latency_count",
    "latency_ns",
    "received_tasks",
)
