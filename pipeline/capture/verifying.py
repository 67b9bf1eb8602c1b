"""Looking through a spool: what it holds, and whether all of it is sound.

What belongs here: counting and checking segments. What does not: printing (``pipeline.cli.capture``), tables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

import pipeline.capture.events
import pipeline.capture.otel.spans
import pipeline.capture.reports  # noqa: F401 - they register kinds
from pipeline.capture.kinds import body_type
from pipeline.capture.spool import Broken, read_segment, segments


def stats(directories: Iterable[Path]) -> list[dict[str, Any]]:
    """Events and bytes by hour, process and kind."""
    counts: Counter[tuple[str, str, str]] = Counter()
    sizes: Counter[tuple[str, str, str]] = Counter()
    for segment in segments(directories):
        for line in read_segment(segment.path):
            kind = "(broken)" if isinstance(line.event, Broken) else line.event.kind
            counts[segment.hour, segment.process, kind] += 1
            sizes[segment.hour, segment.process, kind] += len(line.raw)
    return [
        {"hour": hour, "process": process, "kind": kind, "events": count, "bytes": sizes[hour, process, kind]}
        for (hour, process, kind), count in sorted(counts.items())
    ]


def verify(directories: Iterable[Path]) -> list[dict[str, Any]]:
    """Everything that is wrong: broken lines, bodies their type refuses, doubled and missing sequence
    numbers."""
    problems: list[dict[str, Any]] = []
    numbers: dict[str, Counter[int]] = {}
    for segment in segments(directories):
        for line in read_segment(segment.path):
            where = {"segment": str(segment.path), "line": line.number}
            if isinstance(line.event, Broken):
                problems.append({**where, "problem": line.event.reason})
                continue
            numbers.setdefault(line.event.process, Counter())[line.event.sequence] += 1
            expected = body_type(line.event.kind)
            try:
                if expected is not None:
                    msgspec.json.decode(line.event.body, type=expected)
            except msgspec.DecodeError as error:
                problems.append({**where, "problem": f"{line.event.kind}: {error}"})
    for process, found in numbers.items():
        missing = [number for number in range(1, max(found) + 1) if number not in found]
        doubled = [number for number, count in found.items() if count > 1]
        for numbers_wrong, what in ((missing, "missing"), (doubled, "doubled")):
            if numbers_wrong:
                text = f"{len(numbers_wrong)} sequence numbers are {what}, the first is {numbers_wrong[0]}"
                problems.append({"segment": process, "line": 0, "problem": text})
    return problems
