"""Segments for tests, written line by line with the spool's own functions."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from pipeline.capture.envelope import Envelope, Provenance
from pipeline.capture.spool import hour_folder, line_of, segment_name
from pipeline.hours import Hour
from pipeline.telemetry.archive import Archive
from pipeline.telemetry.intake import TakenIn, take_in

HOUR = Hour.parse("2026-11-20-10:00")
NEXT = Hour.parse("2026-11-20-11:00")

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def ulid(milliseconds: int, salt: str) -> str:
    """A ULID that follows from its time and a text."""
    value = milliseconds << 80 | int.from_bytes(hashlib.blake2b(salt.encode(), digest_size=10).digest())
    return "".join(_ALPHABET[value >> shift & 31] for shift in range(125, -5, -5))


class Emitter:
    """A recording process: numbers its events and writes them to segments of a spool."""

    def __init__(self, name: str = "emitter", started: datetime = HOUR.start) -> None:
        self.process = ulid(int(started.timestamp() * 1000), name)
        self.sequence = 0
        self.segments = 0

    def event(self, kind: str, subject: str, at: datetime, body: dict[str, Any], **other: Any) -> Envelope:
        """The next event; a number is used up."""
        self.sequence += 1
        data = msgspec.json.encode(body)
        moment = int((at - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)) * 1000
        fields: dict[str, Any] = {
            "id": ulid(moment // 10**6, f"{self.process}{self.sequence}"),
            "kind": kind,
            "schema_version": 1,
            "subject": subject,
            "at": moment,
            "monotonic_ns": self.sequence,
            "process": self.process,
            "sequence": self.sequence,
            "content_hash": hashlib.blake2b(data, digest_size=16).hexdigest(),
            "provenance": Provenance(host="host-1", pid=7, library="0.0", application="tests"),
            "body": msgspec.Raw(data),
        }
        return Envelope(**{**fields, **other})

    def task(self, task: str, at: datetime, *, succeeds: bool = True, score: float = 0.8) -> list[Envelope]:
        """A task's whole life within a few seconds: six events."""
        execution = f"{task}-1"
        steps: list[tuple[str, dict[str, Any]]] = [
            ("task_received", {"task_type": "Bug-Fix", "complexity": "complex", "description": "mend it"}),
            (
                "routing_decided",
                {
                    "selected_agent": "coder",
                    "strategy": "Thompson sampling",
                    "confidence": 0.7,
                    "propensity": 0.5,
                    "candidates": [{"agent": "coder", "score": 1.0}, {"agent": "writer", "score": 0.2}],
                },
            ),
            ("execution_started", {"execution_id": execution, "agent": "coder", "model": "m-1"}),
            ("tool_called", {"tool": "grep", "execution_id": execution, "arguments": {"pattern": "x"}}),
            (
                "execution_completed",
                {
                    "execution_id": execution,
                    "agent": "coder",
                    "success": succeeds,
                    "tokens": {"input": 100, "output": 20},
                    "cost_usd": 0.01,
                },
            ),
            (
                "evaluation_finished",
                {
                    "overall_score": score,
                    "execution_id": execution,
                    "quality_gates": [{"name": "tests", "passed": True}, {"name": "lint", "passed": False}],
                    "rubric": {"format": 1.0, "task": 0.5},
                    "turn_rewards": [{"turn": 1, "reward": 0.25}, {"turn": 2, "reward": -1.0}],
                },
            ),
        ]
        return [
            self.event(kind, task, at + timedelta(seconds=number), body)
            for number, (kind, body) in enumerate(steps)
        ]

    def write(self, spool: Path, *events: Envelope, hour: Hour | None = None) -> Path:
        """A closed segment with these events, in the folder of the first one's hour."""
        return self.write_bytes(spool, b"".join(map(line_of, events)), hour or hour_of(events[0]))

    def write_bytes(self, spool: Path, data: bytes, hour: Hour) -> Path:
        """A closed segment with these bytes."""
        self.segments += 1
        folder = spool / hour_folder(int(hour.start.timestamp()) * 10**9)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / segment_name(self.process, self.segments)
        path.write_bytes(data)
        return path


def hour_of(event: Envelope) -> Hour:
    """The hour an event happened in."""
    return Hour.of(datetime.fromtimestamp(event.at / 1e9, UTC))


def archive_in(folder: Path, lateness: timedelta = timedelta(hours=48)) -> Archive:
    """An archive below ``folder``."""
    return Archive(folder / "archive", folder / "snapshots", lateness)


def taken(archive: Archive, spool: Path, said: list[str] | None = None) -> TakenIn:
    """The spool taken in."""
    return take_in(archive, [spool], (said if said is not None else []).append)


def age(path: Path, at: datetime) -> None:
    """Let a file have been written to last at ``at``."""
    os.utime(path, (at.timestamp(), at.timestamp()))
