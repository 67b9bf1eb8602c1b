"""Looking through a spool: what it holds, and whether all of it is sound.

What belongs here: counting and checking segments, telling lost numbers from those the loader has taken. What
does not: printing (``pipeline.cli.capture``), tables, the law over spool and archive together
(``pipeline.telemetry.conservation``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

import pipeline.capture.events
import pipeline.capture.otel.spans
import pipeline.capture.reports
import pipeline.capture.signals  # noqa: F401 - each registers its kinds of events
from pipeline.capture.envelope import Envelope
from pipeline.capture.kinds import body_type
from pipeline.capture.reports import RecorderReport
from pipeline.capture.spool import UNFINISHED, Broken, Segment, is_closed, read_segment, segments

PROBLEM, NOTE = "problem", "note"


class Finding(msgspec.Struct, frozen=True):
    """Something about a segment (``line`` from 1) or a process (``line`` 0): a problem, or a note."""

    severity: str
    segment: str
    line: int
    text: str


def stats(directories: Iterable[Path]) -> list[dict[str, Any]]:
    """Events by hour, process and kind: ``events``, ``bytes``, ``per_second`` (over the seconds from the
    process's first to its last event of the hour; null for less than one), ``missing`` (numbers of the
    process that are in none of its segments here, though no whole segment is missing)."""
    counts: Counter[tuple[str, str, str]] = Counter()
    sizes: Counter[tuple[str, str, str]] = Counter()
    times: dict[tuple[str, str], tuple[int, int]] = {}
    numbers: dict[str, dict[int, int]] = {}
    for segment, number, size, event in _lines(directories):
        kind = "(broken)" if isinstance(event, Broken) else event.kind
        counts[segment.hour, segment.process, kind] += 1
        sizes[segment.hour, segment.process, kind] += size
        if isinstance(event, Broken) or not number:
            continue
        first, last = times.get((segment.hour, segment.process), (event.at, event.at))
        times[segment.hour, segment.process] = (min(first, event.at), max(last, event.at))
        numbers.setdefault(event.process, {})[event.sequence] = segment.number
    missing = {
        process: sum(end - start + 1 for start, end, lost in gaps(found) if lost)
        for process, found in numbers.items()
    }
    rows = []
    for (hour, process, kind), count in sorted(counts.items()):
        first, last = times.get((hour, process), (0, 0))
        seconds = (last - first) / 1e9
        rows.append(
            {
                "hour": hour,
                "process": process,
                "kind": kind,
                "events": count,
                "bytes": sizes[hour, process, kind],
                "per_second": round(count / seconds, 3) if seconds >= 1 else None,
                "missing": missing.get(process, 0),
            }
        )
    return rows


def verify(directories: Iterable[Path]) -> list[Finding]:
    """What is wrong, and what only looks wrong (notes).

    Wrong are broken lines, bodies that their type refuses, numbers of a process that stand twice or nowhere,
    and events that a recorder says it lost. Notes: the line that a killed process was writing, which nobody
    was told is kept; numbers in segments that are no longer here, because the loader archived them.
    """
    found: list[Finding] = []
    numbers: dict[str, dict[int, int]] = {}
    doubled: Counter[str] = Counter()
    for segment, number, _, event in _lines(directories):
        if isinstance(event, Broken):
            severity = NOTE if event.reason == UNFINISHED else PROBLEM
            found.append(Finding(severity, str(segment.path), number, event.reason))
            continue
        seen = numbers.setdefault(event.process, {})
        doubled[event.process] += event.sequence in seen
        seen[event.sequence] = segment.number
        found += [Finding(PROBLEM, str(segment.path), number, text) for text in _wrong(event)]
    for process, seen in sorted(numbers.items()):
        if doubled[process]:
            found.append(Finding(PROBLEM, process, 0, f"{doubled[process]} numbers stand twice"))
        found += [_gap(process, *gap) for gap in gaps(seen)]
    return found


def _lines(directories: Iterable[Path]) -> Iterator[tuple[Segment, int, int, Envelope | Broken]]:
    """Segment, line number, bytes and event of every line; a segment archived meanwhile is left out."""
    for segment in segments(directories):
        try:
            for line in read_segment(segment.path, closed=is_closed(segment.path)):
                yield segment, line.number, len(line.raw), line.event
        except FileNotFoundError:  # the loader archived it between listing and reading
            continue


def _wrong(event: Envelope) -> list[str]:
    """What is wrong with a whole line's event."""
    expected = body_type(event.kind)
    if expected is None:
        return []  # of another version or of the application's own: the loader judges it
    try:
        body = msgspec.json.decode(event.body, type=expected)
    except msgspec.DecodeError as error:
        return [f"{event.kind}: {error}"]
    if isinstance(body, RecorderReport) and body.failed:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(body.failed.items()))
        return [f"the recorder says that events were lost: {reasons}"]
    return []


def gaps(numbers: dict[int, int]) -> Iterator[tuple[int, int, bool]]:
    """First and last of each run of missing numbers, and whether they are lost.

    ``numbers`` maps a process's sequence numbers to the segment they stand in. A run is not lost where the
    segments beside it are not neighbours: the segment between them was archived, or stands elsewhere.
    """
    before, segment = 0, 0
    for number in sorted(numbers):
        if number > before + 1:
            yield before + 1, number - 1, numbers[number] <= segment + 1
        before, segment = number, numbers[number]


def _gap(process: str, first: int, last: int, lost: bool) -> Finding:
    which = f"number {first} is" if first == last else f"numbers {first} to {last} are"
    if lost:
        return Finding(PROBLEM, process, 0, f"{which} missing")
    return Finding(NOTE, process, 0, f"{which} in segments that are not here: archived, or in another spool")
