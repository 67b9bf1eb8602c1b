"""The conservation law: what a process numbered is loaded, copied, rejected, waiting or named as missing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from assets_tests.telemetry.events import HOUR, NEXT, Emitter, age, archive_in, taken
from pipeline.capture.spool import line_of
from pipeline.hours import Hour
from pipeline.telemetry.archive import Archive
from pipeline.telemetry.conservation import processes, sentence
from pipeline.telemetry.places import LOADED_MARK, hour_folder
from pipeline.telemetry.tables import RECORDER_PROCESSES
from pipeline.warehouse.checking import check_rows

AT = HOUR.start + timedelta(minutes=5)


BROKEN = b"00000000 what stood here cannot be read\n"


def lines_of(emitter: Emitter, count: int) -> list[bytes]:
    return [line_of(emitter.event("task_received", f"t{n}", AT, {"task_type": "x"})) for n in range(count)]


def law(archive: Archive, hour: Hour = HOUR) -> dict[str, Any]:
    """The only process's row, checked against the table's model and the law itself."""
    rows = processes(archive, hour)
    assert check_rows(RECORDER_PROCESSES, rows).rejected.height == 0
    row = rows.row(0, named=True)
    assert row["emitted"] == sum(row[name] for name in ("loaded", "duplicates", "rejected", "waiting", "gap"))
    return {
        name: row[name] for name in ("emitted", "loaded", "duplicates", "rejected", "gap", "gap_ranges")
    } | {"broken": (row["broken_ranges"], row["broken_some"])}


def whole(lines: list[bytes]) -> list[list[bytes]]:
    return [lines]


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        (whole, (10, 10, 0, 0, 0, None, (None, 0))),
        (lambda lines: [lines, lines], (20, 10, 10, 0, 0, None, (None, 0))),
        (lambda lines: [lines, lines[:3]], (13, 10, 3, 0, 0, None, (None, 0))),
        (lambda lines: [lines[:3], lines[5:]], (10, 8, 0, 0, 2, "4-5", (None, 0))),
        (lambda lines: [lines[2:9]], (9, 7, 0, 0, 2, "1-2", (None, 0))),
        (lambda lines: [[*lines[:4], BROKEN, *lines[5:]]], (10, 9, 0, 1, 0, None, ("5", 0))),
        (lambda lines: [lines[:4], [BROKEN], lines[5:]], (10, 9, 0, 1, 0, None, ("5", 0))),
        (lambda lines: [[*lines[:4], BROKEN, BROKEN, *lines[5:]]], (10, 9, 0, 1, 0, None, ("5", 0))),
        (lambda lines: [[BROKEN, *lines[1:]]], (10, 9, 0, 1, 0, "1", (None, 1))),
        (
            lambda lines: [[*lines[:2], BROKEN, *lines[3:5], *lines[6:]]],
            (10, 8, 0, 1, 1, "6", ("3", 0)),
        ),
        (
            lambda lines: [[*lines[:2], BROKEN, *lines[4:7], BROKEN, *lines[8:]]],
            (10, 7, 0, 2, 1, "3-4", ("8", 1)),
        ),
        (lambda lines: [lines[:4], [BROKEN], lines[7:]], (10, 7, 0, 1, 2, "5-7", (None, 1))),
        (lambda lines: [lines, [lines[-1][:30]]], (10, 10, 0, 0, 0, None, (None, 0))),
        (lambda lines: [lines[1:2], lines[3:4], lines[5:6]], (6, 3, 0, 0, 3, "1, 3, 5", (None, 0))),
    ],
)
def test_every_number_is_accounted_for(
    tmp_path: Path, segments: Callable[[list[bytes]], list[list[bytes]]], expected: tuple[Any, ...]
) -> None:
    emitter, archive, spool = Emitter(), archive_in(tmp_path), tmp_path / "spool"
    for lines in segments(lines_of(emitter, 10)):
        emitter.write_bytes(spool, b"".join(lines), HOUR)
    taken(archive, spool)
    assert tuple(law(archive).values()) == expected


def test_an_event_that_is_no_valid_one_is_rejected_and_no_gap(tmp_path: Path) -> None:
    emitter, archive, spool = Emitter(), archive_in(tmp_path), tmp_path / "spool"
    bad = emitter.event("evaluation_finished", "t", AT, {"overall_score": 2})
    emitter.write(spool, emitter.event("tool_called", "t", AT, {"tool": "x"}), bad)
    taken(archive, spool)
    assert tuple(law(archive).values()) == (2, 1, 0, 1, 0, None, (None, 0))


def test_what_came_too_late_waits(tmp_path: Path) -> None:
    emitter, archive, spool = Emitter(), archive_in(tmp_path), tmp_path / "spool"
    lines = lines_of(emitter, 5)
    emitter.write_bytes(spool, b"".join(lines[:3]), HOUR)
    taken(archive, spool)
    (hour_folder(archive.directory, HOUR) / LOADED_MARK).touch()
    age(emitter.write_bytes(spool, b"".join(lines[3:]), HOUR), HOUR.end + timedelta(days=3))
    taken(archive, spool)
    row = processes(archive, HOUR).row(0, named=True)
    assert (row["emitted"], row["loaded"], row["waiting"], row["gap"]) == (5, 3, 2, 0)


def test_numbers_go_on_over_the_ends_of_hours(tmp_path: Path) -> None:
    emitter, archive, spool = Emitter(), archive_in(tmp_path), tmp_path / "spool"
    emitter.write_bytes(spool, b"".join(lines_of(emitter, 5)), HOUR)
    emitter.sequence += 2  # two events are lost between the hours
    later = [emitter.event("tool_called", "t", NEXT.start, {"tool": "x"}) for _ in range(3)]
    emitter.write(spool, *later)
    taken(archive, spool)
    assert tuple(law(archive).values()) == (5, 5, 0, 0, 0, None, (None, 0))
    assert tuple(law(archive, NEXT).values()) == (5, 3, 0, 0, 2, "6-7", (None, 0))


def test_a_clock_that_was_set_back_is_no_loss(tmp_path: Path) -> None:
    emitter, archive, spool = Emitter(), archive_in(tmp_path), tmp_path / "spool"
    at = [AT, NEXT.start, AT, NEXT.start, AT]
    for moment in at:
        emitter.write(spool, emitter.event("tool_called", "t", moment, {"tool": "x"}))
    taken(archive, spool)
    assert law(archive)["gap"] == law(archive, NEXT)["gap"] == 0


def test_two_events_with_one_number_are_told(tmp_path: Path) -> None:
    emitter, archive, spool = Emitter(), archive_in(tmp_path), tmp_path / "spool"
    first = emitter.event("tool_called", "t", AT, {"tool": "x"})
    emitter.sequence = 0
    second = emitter.event("tool_called", "t", AT + timedelta(seconds=1), {"tool": "y"})
    emitter.write(spool, first, second)
    taken(archive, spool)
    row = processes(archive, HOUR).row(0, named=True)
    assert (row["clashes"], row["loaded"], row["emitted"], row["gap"]) == (1, 2, 2, 0)


def test_the_sentence_names_process_host_numbers_and_hour(tmp_path: Path) -> None:
    emitter, archive, spool = Emitter(), archive_in(tmp_path), tmp_path / "spool"
    lines = lines_of(emitter, 9)
    emitter.write_bytes(spool, b"".join(lines[:3] + lines[6:]), HOUR)
    taken(archive, spool)
    said = sentence(processes(archive, HOUR), HOUR)
    assert said.startswith("2026-11-20-10:00: 9 emitted = 6 loaded + 0 duplicates + 0 rejected + 0 waiting")
    assert f"process {emitter.process} on host-1 lacks 3 event(s), sequence 4-6" in said
