"""Disks that are full, read-only or in the way, and processes that are killed or many at once."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from assets_tests.capture.reading import bodies, events, problems
from pipeline.capture.envelope import Envelope
from pipeline.capture.recorder import Recorder
from pipeline.capture.segments import RETRY_SECONDS
from pipeline.capture.spool import UNFINISHED, Broken, read_segment, segments
from pipeline.capture.verifying import NOTE, verify


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KB; skipped where none may be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("mounting a small file system takes root")
    made = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("this machine does not let root mount a file system")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def record(recorder: Recorder, count: int, name: str) -> None:
    for number in range(count):
        assert recorder.task_received(f"{name}-{number}", task_type="x", description="word " * 200)


def test_a_disk_that_runs_full_loses_nothing(small_disk: Path, tmp_path: Path, data_directory: Path) -> None:
    spools = (small_disk / "spool", tmp_path / "second")
    with Recorder(spools[0], second=[spools[1]], door=False) as made:
        record(made, 500, "full")
        report = made.report()
        assert 0 < report["in_second_directory"] < report["written"]
        assert report["failed"] == {}
    tasks = Counter(event.subject for event in events(*spools) if event.kind == "task_received")
    assert tasks == Counter(f"full-{number}" for number in range(500))
    assert problems(spools) == []


def test_a_disk_without_a_second_one_says_what_is_lost(small_disk: Path, data_directory: Path) -> None:
    made = Recorder(small_disk / "spool", second=[], door=False)
    answers = [made.task_received(f"t{n}", task_type="x", description="word " * 200) for n in range(400)]
    kept = {event.subject for event in events(small_disk / "spool") if event.kind == "task_received"}
    assert {f"t{n}" for n, answer in enumerate(answers) if answer} == kept
    assert made.report()["failed"] == {"ENOSPC": answers.count(False)}
    assert 0 < answers.count(False) < 400
    made.close()


def test_a_first_directory_that_came_back_is_used_again(
    tmp_path: Path, data_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("in the way")
    clock = [1000.0]
    monkeypatch.setattr("pipeline.capture.segments.time.monotonic", lambda: clock[0])
    with Recorder(first, second=[second]) as made:
        record(made, 2, "away")
        first.unlink()
        record(made, 1, "still away")
        clock[0] += RETRY_SECONDS + 1
        record(made, 1, "back")
    assert {event.subject for event in events(first) if event.kind == "task_received"} == {"back-0"}
    assert len(bodies("task_received", first, second)) == 4
    assert problems([first, second]) == []


def test_a_read_only_disk_sends_events_to_the_second(
    small_disk: Path, tmp_path: Path, data_directory: Path
) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with Recorder(small_disk / "spool", second=[tmp_path / "second"]) as made:
        record(made, 3, "t")
        assert made.report()["in_second_directory"] == 4
    assert len(bodies("task_received", tmp_path / "second")) == 3


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_sends_events_to_the_second(tmp_path: Path, data_directory: Path) -> None:
    (tmp_path / "first").mkdir(mode=0o500)
    with Recorder(tmp_path / "first", second=[tmp_path / "second"]) as made:
        record(made, 3, "t")
    assert len(bodies("task_received", tmp_path / "second")) == 3


MANY = """
import sys
from pipeline.capture.recorder import Recorder
with Recorder(sys.argv[1], door=False) as recorder:
    for number in range(int(sys.argv[3])):
        assert recorder.task_received(f"{sys.argv[2]}-{number}", task_type="x", description="words " * 100)
"""


def test_four_processes_at_once_tear_nothing(tmp_path: Path, data_directory: Path) -> None:
    started = [
        subprocess.Popen([sys.executable, "-c", MANY, str(tmp_path / "s"), str(name), "1000"])
        for name in range(4)
    ]
    assert [process.wait() for process in started] == [0] * 4
    assert problems([tmp_path / "s"]) == []
    tasks = Counter(event.subject for event in events(tmp_path / "s") if event.kind == "task_received")
    assert tasks == Counter(f"{name}-{number}" for name in range(4) for number in range(1000))


KILLED = """
import os, sys
from pipeline.capture.recorder import Recorder
recorder = Recorder(sys.argv[1], door=False, largest_segment=50_000)
number = 0
while True:
    number += 1
    if recorder.task_received(f"task-{number}", task_type="x", description="words " * 100):
        os.write(1, b"%d\\n" % number)
"""


@pytest.mark.parametrize("lines", random.Random(5).sample(range(1, 3000), 6))
def test_sigkill_loses_and_doubles_no_acknowledged_event(
    tmp_path: Path, data_directory: Path, lines: int
) -> None:
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path / "s")], stdout=subprocess.PIPE)
    assert child.stdout is not None
    acknowledged = [child.stdout.readline() for _ in range(lines)]
    child.send_signal(signal.SIGKILL)
    acknowledged += [line for line in child.stdout.read().splitlines(keepends=True) if line.endswith(b"\n")]
    child.wait()
    found = [
        line.event.subject
        for part in segments([tmp_path / "s"])
        for line in read_segment(part.path)
        if isinstance(line.event, Envelope) and line.event.kind == "task_received"
    ]
    assert len(found) == len(set(found))
    assert {f"task-{int(line)}" for line in acknowledged} <= set(found)
    assert problems([tmp_path / "s"]) == []


def test_the_line_that_a_killed_process_was_writing_is_a_note(tmp_path: Path, data_directory: Path) -> None:
    with Recorder(tmp_path / "s", second=[], door=False) as made:
        record(made, 3, "t")
    (part,) = segments([tmp_path / "s"])
    data = part.path.read_bytes()
    whole = data.rstrip(b"\n").rpartition(b"\n")[0] + b"\n"
    part.path.write_bytes(data[:-20])
    (note,) = verify([tmp_path / "s"])
    assert (note.severity, note.text) == (NOTE, UNFINISHED)
    broken = [line for line in read_segment(part.path) if isinstance(line.event, Broken)]
    assert [line.offset for line in broken] == [len(whole)]
