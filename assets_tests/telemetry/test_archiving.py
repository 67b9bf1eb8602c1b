"""From spool to archive and back: whatever is copied, torn, broken or killed, each event counts once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from assets_tests.telemetry.events import HOUR, NEXT, Emitter, age, archive_in, taken
from pipeline.capture.spool import line_of
from pipeline.errors import InputError
from pipeline.hours import Hour
from pipeline.telemetry.archive import EVENT_SCHEMA, Archive
from pipeline.telemetry.places import LOADED_MARK, hour_folder
from pipeline.telemetry.projecting import reports, table_rows
from pipeline.telemetry.summaries import event_counts, event_segments, rejected_events

AT = HOUR.start + timedelta(minutes=5)
KINDS = ["task_received", "evaluation_finished", "tool_called"]


def ids(archive: Archive, hour: Hour = HOUR, kinds: list[str] = KINDS) -> list[str]:
    return archive.read_events(hour, kinds)["event_id"].to_list()


def test_a_closed_segment_is_archived_whole_and_removed(tmp_path: Path) -> None:
    emitter, archive = Emitter(), archive_in(tmp_path)
    events = emitter.task("t", AT)
    segment = emitter.write(tmp_path / "spool", *events)
    outcome = taken(archive, tmp_path / "spool")
    assert not segment.exists()
    assert (outcome.archived[0].events, outcome.archived[0].rejected) == (6, 0)
    found = archive.read_events(HOUR, ["evaluation_finished"])
    assert found.schema == EVENT_SCHEMA
    assert found["event_id"].to_list() == [events[-1].id]
    assert found["body"].to_list() == [bytes(events[-1].body).decode()]
    assert found["content_hash"].to_list() == [events[-1].content_hash]


def test_an_hour_without_events_is_empty_and_has_the_columns(tmp_path: Path) -> None:
    assert archive_in(tmp_path).read_events(HOUR, KINDS).schema == EVENT_SCHEMA


@pytest.mark.parametrize("damage", ["whole", "half", "middle", "tail"])
def test_a_segment_copied_back_changes_nothing(tmp_path: Path, damage: str) -> None:
    emitter, archive, spool = Emitter(), archive_in(tmp_path), tmp_path / "spool"
    segment = emitter.write(spool, *[event for n in range(20) for event in emitter.task(f"t{n}", AT)])
    data = segment.read_bytes()
    taken(archive, spool)
    before = [table_rows(archive, kind, HOUR) for kind in KINDS]
    middle = len(data) // 2
    segment.write_bytes(
        {
            "whole": data,
            "half": data[:middle],
            "middle": data[:middle] + b"XX" + data[middle + 2 :],
            "tail": data + b"0123",
        }[damage]
    )
    taken(archive, spool)
    assert not segment.exists()
    assert all(table_rows(archive, kind, HOUR).equals(rows) for kind, rows in zip(KINDS, before, strict=True))


def test_a_line_broken_in_the_middle_is_kept_with_its_place_and_the_others_are_loaded(tmp_path: Path) -> None:
    emitter, archive, spool = Emitter(), archive_in(tmp_path), tmp_path / "spool"
    lines = [line_of(event) for event in emitter.task("t", AT)]
    lines[2] = lines[2][:50] + b"#" + lines[2][51:]
    segment = emitter.write_bytes(spool, b"".join(lines) + b"torn", HOUR)
    taken(archive, spool)
    rejected = rejected_events(archive, HOUR)
    assert rejected["reason"].to_list() == ["broken_line", "torn_line"]
    assert rejected["byte_offset"].to_list() == [len(lines[0] + lines[1]), sum(map(len, lines))]
    assert rejected["segment"].unique().to_list() == [segment.name]
    assert rejected["process"].unique().to_list() == [emitter.process]
    assert len(ids(archive)) == 3


def test_events_are_filed_under_their_own_hour_and_impossible_times_are_kept(tmp_path: Path) -> None:
    emitter, archive, spool = Emitter(), archive_in(tmp_path), tmp_path / "spool"
    first = emitter.event("task_received", "a", AT, {"task_type": "x"})
    second = emitter.event("task_received", "b", NEXT.start, {"task_type": "x"})
    never = emitter.event("task_received", "c", AT.replace(year=2090), {"task_type": "x"})
    emitter.write(spool, first, second, never)
    taken(archive, spool)
    assert (ids(archive), ids(archive, NEXT)) == ([first.id], [second.id])
    rejected = rejected_events(archive, HOUR)
    assert rejected.select("reason", "event_id").rows() == [("bad_time", never.id)]


def test_both_copies_of_one_event_in_two_segments_count_once(tmp_path: Path) -> None:
    emitter, archive, spool = Emitter(), archive_in(tmp_path), tmp_path / "spool"
    events = emitter.task("t", AT)
    emitter.write(spool, *events)
    emitter.write(spool, *events[:3])
    taken(archive, spool)
    counts = event_counts(archive, HOUR)
    assert (counts["loaded"].sum(), counts["duplicates"].sum()) == (6, 3)
    assert len(ids(archive)) == 3


def test_what_comes_after_the_lateness_is_kept_and_reported_but_not_loaded(tmp_path: Path) -> None:
    archive, spool = archive_in(tmp_path, timedelta(hours=2)), tmp_path / "spool"
    emitters = [Emitter(name) for name in ("punctual", "late", "too late")]
    for emitter, hours in zip(emitters, (0, 1, 3), strict=True):
        event = emitter.event("task_received", "t", AT, {"task_type": "x"})
        age(emitter.write(spool, event), HOUR.end + timedelta(hours=hours))
        taken(archive, spool)
        (hour_folder(archive.directory, HOUR) / LOADED_MARK).touch()
    found = archive.read_events(HOUR, KINDS)
    assert dict(found.select("process", "late").rows()) == {
        emitters[0].process: False,
        emitters[1].process: True,
    }
    assert rejected_events(archive, HOUR).select("reason", "process").rows() == [
        ("late", emitters[2].process)
    ]
    patient = archive_in(tmp_path, timedelta(hours=4))
    assert patient.read_events(HOUR, KINDS).height == 3


def test_an_open_segment_is_read_to_its_last_whole_line_and_left_to_its_writer(tmp_path: Path) -> None:
    emitter, archive, spool = Emitter(), archive_in(tmp_path), tmp_path / "spool"
    with writing(emitter, spool, lines=None) as process:
        seen: list[int] = []
        for _ in range(10_000):  # on a busy machine the writer begins late
            if len(seen) >= 5 and seen[-1] > 0:
                break
            outcome = taken(archive, spool)
            if outcome.still_open:
                seen.append(len(ids(archive)))
                assert rejected_events(archive, HOUR).height == 0
        assert seen == sorted(seen)
        assert seen[-1] > 0
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    written = count_lines(spool)
    outcome = taken(archive, spool)
    assert len(outcome.archived) == 1
    assert len(ids(archive)) == written >= seen[-1]
    assert event_segments(archive, HOUR, {})["state"].to_list() == ["archived"]


def test_a_segment_that_cannot_be_archived_waits_and_says_so(tmp_path: Path) -> None:
    emitter, archive, spool = Emitter(), archive_in(tmp_path), tmp_path / "spool"
    segment = emitter.write(spool, *emitter.task("t", AT))
    archive.directory.mkdir()
    hour_folder(archive.directory, HOUR).write_text("a file where a folder belongs", encoding="utf-8")
    said: list[str] = []
    outcome = taken(archive, spool, said)
    assert segment.exists()
    assert "the archive cannot be written" in said[0]
    assert outcome.problems == {segment.name: said[0]}
    hour_folder(archive.directory, HOUR).unlink()
    taken(archive, spool)
    assert len(ids(archive)) == 3


def test_a_damaged_archive_file_is_named(tmp_path: Path) -> None:
    emitter, archive, spool = Emitter(), archive_in(tmp_path), tmp_path / "spool"
    emitter.write(spool, *emitter.task("t", AT))
    taken(archive, spool)
    (place,) = archive.files(HOUR)
    place.write_bytes(place.read_bytes()[:100])
    with pytest.raises(InputError, match="restore the file"):
        ids(archive)


def test_an_archiver_killed_anywhere_loses_and_doubles_nothing(tmp_path: Path) -> None:
    emitter, archive, spool = Emitter(), archive_in(tmp_path), tmp_path / "spool"
    expected = set()
    for _ in range(30):
        events = [event for n in range(40) for event in emitter.task(f"t{emitter.sequence}-{n}", AT)]
        expected |= {event.id for event in events if event.kind in KINDS}
        emitter.write(spool, *events)
    for pause in (0.02, 0.05, 0.1, 0.15, 0.2):
        process = subprocess.Popen([sys.executable, "-c", ARCHIVER, str(tmp_path)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(pause)
        process.kill()
        process.wait()
        process.stdout.close()
    taken(archive, spool)
    found = ids(archive)
    assert len(found) == len(set(found))
    assert set(found) == expected
    assert not list(archive.directory.glob("*/.writing-*"))


ARCHIVER = """
import sys
from pathlib import Path
from assets_tests.telemetry.events import archive_in, taken
print("ready", flush=True)
taken(archive_in(Path(sys.argv[1])), Path(sys.argv[1]) / "spool")
"""

WRITER = """
import fcntl, sys
from datetime import timedelta
from pathlib import Path
from assets_tests.telemetry.events import HOUR, Emitter
from pipeline.capture.spool import line_of
emitter = Emitter()
place = emitter.write_bytes(Path(sys.argv[1]), b"", HOUR)
with place.open("ab", buffering=0) as handle:
    fcntl.flock(handle, fcntl.LOCK_EX)
    print("ready", flush=True)
    while True:
        at = HOUR.start + timedelta(minutes=1)
        line = line_of(emitter.event("task_received", "t", at, {"task_type": "x"}))
        handle.write(line[:40])
        handle.write(line[40:])
"""


class writing:
    """A process that appends to an open segment until it is killed."""

    def __init__(self, emitter: Emitter, spool: Path, lines: int | None) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", WRITER, str(spool)], stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        self.process.stdout.readline()

    def __enter__(self) -> subprocess.Popen[bytes]:
        return self.process

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


def count_lines(spool: Path) -> int:
    return sum(place.read_bytes().count(b"\n") for place in spool.glob("*/*.events"))


def test_rows_of_each_kind_fit_their_tables(tmp_path: Path) -> None:
    emitter, archive, spool = Emitter(), archive_in(tmp_path), tmp_path / "spool"
    emitter.write(spool, *emitter.task("t", AT))
    taken(archive, spool)
    evaluation = table_rows(archive, "evaluation_finished", HOUR).row(0, named=True)
    expected = {
        "overall_score": 0.8,
        "evaluator": "unknown",
        "gate_count": 2,
        "gates_passed": 1,
        "compliant": False,
        "rubric_format": 1.0,
        "rubric_task": 0.5,
        "rubric_safety": None,
        "reward_total": -0.75,
        "turn_count": 2,
        "feedback": None,
    }
    assert {name: evaluation[name] for name in expected} == expected
    routing = table_rows(archive, "routing_decided", HOUR).row(0, named=True)
    assert (routing["candidate_count"], routing["propensity"], routing["rationale"]) == (2, 0.5, None)
    task = table_rows(archive, "task_received", HOUR)
    assert task.select("complexity", "requirements", "context").rows() == [("complex", [], None)]
    call = table_rows(archive, "tool_called", HOUR)
    assert call.select("outcome", "arguments").rows() == [("success", '{"pattern":"x"}')]
    assert call["happened_at"].dtype == pl.Datetime("us", "UTC")


def test_what_recorders_say_of_themselves_has_a_table(tmp_path: Path) -> None:
    emitter, archive, spool = Emitter(), archive_in(tmp_path), tmp_path / "spool"
    body = {"host": "host-1", "pid": 7, "library": "0.0", "python": "3.11"}
    started = emitter.event("recorder_started", emitter.process, AT, body)
    stopped = emitter.event("recorder_stopped", emitter.process, AT, {"emitted": 2, "written": 2})
    emitter.write(spool, started, stopped)
    taken(archive, spool)
    rows = reports(archive, HOUR)
    assert rows["kind"].to_list() == ["recorder_started", "recorder_stopped"]
    assert rows["report"].to_list()[1] == '{"emitted":2,"written":2}'
