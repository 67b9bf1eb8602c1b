"""The recorder: nothing lost, nothing private written, nothing raised."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from assets_tests.capture.reading import bodies, events, problems
from pipeline.capture.bodies import LARGEST_BODY
from pipeline.capture.recorder import Recorder
from pipeline.capture.spool import is_closed, segments


def test_an_event_is_in_the_file_before_emit_returns(recorder: Recorder, places: tuple[Path, Path]) -> None:
    assert recorder.task_received("t1", task_type="bug_fix")
    (event,) = [event for event in events(places[0]) if event.kind == "task_received"]
    assert (event.subject, event.sequence, event.process) == ("t1", 2, recorder.process)
    assert not is_closed(segments([places[0]])[0].path)
    recorder.close()
    assert is_closed(segments([places[0]])[0].path)
    assert problems([places[0]]) == []


@pytest.mark.parametrize(
    ("kind", "subject", "body"),
    [
        ("no_such_kind", "t", {}),
        ("task_received", "", {"task_type": "x"}),
        ("task_received", "t", {}),
        ("evaluation_finished", "t", {"overall_score": 2}),
        ("task_received", None, {"task_type": "x"}),
        ("task_received", "t", 5),
    ],
)
def test_what_is_wrong_is_counted_and_never_raised(
    recorder: Recorder, kind: str, subject: Any, body: Any
) -> None:
    assert not recorder.emit(kind, subject, body)
    counts = recorder.report()
    assert sum(counts["refused"].values()) + sum(counts["faults"].values()) >= 1
    assert counts["emitted"] == 0


def test_a_full_first_directory_sends_events_to_the_second(
    recorder: Recorder, places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder.task_received("t1", task_type="x")
    real, full = os.write, segments([places[0]])[0].path.stat().st_ino

    def write(descriptor: int, data: bytes) -> int:
        if os.fstat(descriptor).st_ino == full:
            if len(data) > 20:
                return real(descriptor, data[:20])  # a short write, then no room
            raise OSError(errno.ENOSPC, "no space")
        return real(descriptor, data)

    def torn(descriptor: int, data: bytes) -> int:
        if os.fstat(descriptor).st_ino == full and len(data) < recorder_line:
            raise OSError(errno.ENOSPC, "no space")
        return write(descriptor, data)

    recorder_line = 200
    monkeypatch.setattr(os, "write", torn)
    assert recorder.task_received("t2", task_type="x")
    assert recorder.report()["in_second_directory"] == 1
    assert {event.subject for event in events(*places)} >= {"t1", "t2"}
    assert problems(places) == []


def test_where_no_directory_takes_it_the_event_is_counted_and_said_at_exit(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    program = (
        "import sys; from pipeline.capture.recorder import Recorder\n"
        "r = Recorder(sys.argv[1] + '/a', second=[sys.argv[1] + '/b'])\n"
        "print(r.task_received('t', task_type='x'), r.report()['failed'])\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "file")], capture_output=True, text=True, check=True,
        env={**os.environ, "PIPELINE_DATA_DIR": str(tmp_path)},
    )  # fmt: skip
    assert ended.stdout.startswith("False {'ENOTDIR': 2}")
    assert "events are lost" in ended.stderr


def test_a_fork_has_its_own_sequence(recorder: Recorder, places: tuple[Path, Path]) -> None:
    recorder.task_received("parent", task_type="x")
    child = os.fork()
    if child == 0:
        recorder.task_received("child", task_type="x")
        recorder.close()
        os._exit(0)
    os.waitpid(child, 0)
    recorder.task_received("parent again", task_type="x")
    recorder.close()
    assert len({event.process for event in events(places[0])}) == 2
    assert problems([places[0]]) == []


def test_threads_share_one_sequence(recorder: Recorder, places: tuple[Path, Path]) -> None:
    def work() -> None:
        for number in range(200):
            recorder.task_received(f"t{number}", task_type="x")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorder.close()
    assert len(bodies("task_received", places[0])) == 800
    assert problems([places[0]]) == []


def test_segments_end_with_their_size_and_with_their_hour(places: tuple[Path, Path]) -> None:
    at = [1_760_000_000_000_000_000]
    with Recorder(places[0], second=[], door=False, largest_segment=20_000, clock=lambda: at[0]) as made:
        for number in range(100):
            made.task_received(f"t{number}", task_type="x", description="word " * 100)
        assert all(part.size <= 20_000 for part in segments([places[0]]))
        full = len(segments([places[0]]))
        assert full > 3
        at[0] += 3_600_000_000_000
        made.task_received("later", task_type="x")
        at[0] -= 2 * 3_600_000_000_000  # somebody set the clock back
        made.task_received("earlier", task_type="x")
    found = segments([places[0]])
    assert len({part.hour for part in found}) == 3
    assert [part.number for part in sorted(found, key=lambda part: part.number)] == list(
        range(1, len(found) + 1)
    )
    assert len(found) == full + 2
    by_hour = {event.subject: event.at // 3_600_000_000_000 for event in events(places[0])}
    assert by_hour["earlier"] < by_hour["t0"] < by_hour["later"]
    assert problems([places[0]]) == []
    stopped = bodies("recorder_stopped", places[0])[0]
    reports = [*bodies("recorder_report", places[0]), stopped]
    # The report that says so is the one event that no report can count.
    assert sum(report["emitted"] for report in reports) == stopped["last_sequence"]
    assert len(events(places[0])) == stopped["last_sequence"] + 1


def test_what_was_written_is_brought_to_the_disk_by_a_thread(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = threading.Event()
    real = os.fsync

    def fsync(descriptor: int) -> None:
        real(descriptor)
        if threading.current_thread().name == "capture-sync":
            synced.set()

    monkeypatch.setattr(os, "fsync", fsync)
    with Recorder(places[0], second=[], sync_every_ms=5) as made:
        assert made.task_received("t", task_type="x")
        assert synced.wait(60)


def test_a_failing_sync_is_counted(places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(_: int) -> None:
        raise OSError(errno.EIO, "broken disk")

    made = Recorder(places[0], second=[])
    made.task_received("t", task_type="x")
    monkeypatch.setattr(os, "fsync", fsync)
    made.sync()
    assert made.report()["faults"] == {"sync: EIO": 1}
    made.close()


def test_an_event_of_a_signal_handler_inside_emit_is_written_right_after(
    recorder: Recorder, places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = []
    real = os.write

    def write(descriptor: int, data: bytes) -> int:
        if b'"subject":"outer"' in data:
            os.kill(os.getpid(), signal.SIGUSR1)
        return real(descriptor, data)

    before = signal.signal(
        signal.SIGUSR1, lambda *_: answers.append(recorder.task_received("inner", task_type="x"))
    )
    try:
        monkeypatch.setattr(os, "write", write)
        assert recorder.task_received("outer", task_type="x")
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert answers == [False]
    subjects = [event.subject for event in events(places[0]) if event.kind == "task_received"]
    assert subjects == ["outer", "inner"]
    assert problems([places[0]]) == []


def test_many_coroutines_keep_their_own_execution(recorder: Recorder, places: tuple[Path, Path]) -> None:
    @recorder.tool
    async def look(what: str) -> str:
        await asyncio.sleep(0)
        return what

    async def one(number: int) -> None:
        with recorder.task(f"t{number}", task_type="x") as task, task.execution(f"agent-{number}"):
            for _ in range(3):
                await look(f"thing {number}")

    async def every() -> None:
        await asyncio.gather(*(one(number) for number in range(100)))

    asyncio.run(every())
    called = [event for event in events(places[0]) if event.kind == "tool_called"]
    assert len(called) == 300
    for event in called:
        body = json.loads(bytes(event.body))
        number = event.subject[1:]
        assert body["agent"] == f"agent-{number}" and body["arguments"] == {"what": f"thing {number}"}
    assert problems([places[0]]) == []


def test_a_log_handler_that_raises_or_records_is_no_fault_of_the_caller(
    recorder: Recorder, places: tuple[Path, Path]
) -> None:
    class Recording(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            recorder.task_received("from the log", task_type="x")
            raise RuntimeError

    handler = Recording()
    logging.getLogger("pipeline.capture").addHandler(handler)
    try:
        assert not recorder.emit("task_received", "t", {})
    finally:
        logging.getLogger("pipeline.capture").removeHandler(handler)
    assert [event.subject for event in events(places[0]) if event.kind == "task_received"] == ["from the log"]
    assert recorder.report()["faults"] == {"logging": 1}


def test_a_body_that_no_line_can_hold_is_refused(places: tuple[Path, Path]) -> None:
    with Recorder(places[0], second=[], door=False) as made:
        context = {"blob": ["x" * 900_000] * 20}
        assert not made.task_received("t", task_type="x", context=context)
        assert made.report()["refused"] == {"task_received": 1}
        assert LARGEST_BODY < 20 * 900_000


def test_after_close_recording_goes_on_in_a_new_segment(
    recorder: Recorder, places: tuple[Path, Path]
) -> None:
    for name in ("before", "after"):
        assert recorder.task_received(name, task_type="x")
        recorder.close()
    assert len(segments([places[0]])) == 2
    assert len(bodies("recorder_stopped", places[0])) == 2
    assert problems([places[0]]) == []


def test_importing_a_recorder_loads_nothing_heavy() -> None:
    program = "import sys, pipeline.capture.recorder; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    heavy = {"dagster", "duckdb", "polars", "pandera", "pydantic", "yaml", "hyperscan", "asyncio", "logging",
             "pipeline.privacy.detect"}  # fmt: skip
    assert heavy.isdisjoint(loaded.split())
