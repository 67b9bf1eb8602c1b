"""The recorder: nothing lost, nothing private written, nothing raised."""

from __future__ import annotations

import asyncio
import errno
import inspect
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.capture.envelope import Envelope
from pipeline.capture.interceptors import wrap_evaluator, wrap_executor, wrap_router
from pipeline.capture.recorder import Recorder
from pipeline.capture.spool import Broken, checked, is_closed, parse_line, read_segment, segments
from pipeline.capture.verifying import PROBLEM, verify


@pytest.fixture
def places(tmp_path: Path, data_directory: Path) -> tuple[Path, Path]:
    return tmp_path / "first", tmp_path / "second"


@pytest.fixture
def recorder(places: tuple[Path, Path]) -> Iterator[Recorder]:
    with Recorder(places[0], second=[places[1]]) as made:
        yield made


def events(*directories: Path) -> list[Envelope]:
    found = [line.event for part in segments(directories) for line in read_segment(part.path)]
    assert not [event for event in found if isinstance(event, Broken)]
    return [event for event in found if isinstance(event, Envelope)]


def problems(directories: Any) -> list[str]:
    return [finding.text for finding in verify(directories) if finding.severity == PROBLEM]


def bodies(kind: str, *directories: Path) -> list[Any]:
    return [json.loads(bytes(event.body)) for event in events(*directories) if event.kind == kind]


def test_an_event_is_in_the_file_before_emit_returns(recorder: Recorder, places: tuple[Path, Path]) -> None:
    assert recorder.task_received("t1", task_type="bug_fix")
    (event,) = [event for event in events(places[0]) if event.kind == "task_received"]
    assert (event.subject, event.sequence, event.process) == ("t1", 2, recorder.process)
    assert not is_closed(segments([places[0]])[0].path)
    recorder.close()
    assert is_closed(segments([places[0]])[0].path)
    assert problems([places[0]]) == []


SECRET = "jane.roe@acme-corp.com"


@pytest.mark.parametrize(
    ("subject", "fields"),
    [
        ("t", {"task_type": "x", "description": f"write to {SECRET}"}),
        ("t", {"task_type": "x", "context": {SECRET: 1}}),
        ("t", {"task_type": "x", "context": {"deep": [{"list": [SECRET]}]}}),
        (SECRET, {"task_type": "x"}),
        ("t", {"task_type": SECRET}),
    ],
)
def test_nothing_private_reaches_the_file(
    recorder: Recorder, places: tuple[Path, Path], subject: str, fields: dict[str, Any]
) -> None:
    assert recorder.emit("task_received", subject, fields)
    recorder.close()
    assert b"acme-corp" not in b"".join(file.read_bytes() for file in places[0].rglob("*") if file.is_file())
    assert recorder.report()["redacted"] == 1
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


KILLED = """
import os, sys
from pipeline.capture.recorder import Recorder
recorder = Recorder(sys.argv[1], door=False)
number = 0
while True:
    number += 1
    if recorder.task_received(f"task-{number}", task_type="x", description="words " * 100):
        os.write(1, b"%d\\n" % number)
"""


@pytest.mark.parametrize("lines", [1, 7, 40, 300, 1500])
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


@given(data=st.binary(max_size=300), where=st.integers(0, 3))
def test_bytes_in_the_middle_break_no_other_line(data: bytes, where: int) -> None:
    lines = [checked(b'{"n":%d}' % number) for number in range(3)]
    spliced = b"".join([*lines[:where], data, b"\n", *lines[where:]])
    assert all(line in spliced.split(b"\n") for line in (whole[:-1] for whole in lines))
    assert isinstance(parse_line(data + b"\n"), Broken)


def test_a_halt_drops_every_text(recorder: Recorder, places: tuple[Path, Path]) -> None:
    places[0].mkdir()
    (places[0] / "halt.json").write_text("{}")
    candidates = [{"agent": "a", "reason": "spoken words"}]
    recorder.routing_decided("t", selected_agent="a", candidates=candidates, rationale="spoken words")
    assert bodies("routing_decided", places[0]) == [{"selected_agent": "a", "candidates": [{"agent": "a"}]}]
    assert recorder.report()["dropped_text"] == 1


def test_sampling_repeats_and_follows_its_file(recorder: Recorder, places: tuple[Path, Path]) -> None:
    drawn = [recorder.sampled(f"task-{number}", "deep_analysis") for number in range(5000)]
    assert 400 < sum(drawn) < 600
    assert drawn == [recorder.sampled(f"task-{number}", "deep_analysis") for number in range(5000)]
    places[0].mkdir()
    (places[0] / "sampling.json").write_text('{"rates": {"deep_analysis": 1.0}}')
    recorder.controls._look_at = 0.0
    assert recorder.deep_analysis("any", judge_reasoning="words")


class Refusal(Exception):
    pass


def test_interceptors_pass_everything_through(recorder: Recorder, places: tuple[Path, Path]) -> None:
    def route(task: dict[str, Any], *, limit: int = 3) -> str:
        """Choose."""
        return "agent-1"

    async def execute(task: dict[str, Any], agent: str) -> dict[str, Any]:
        if agent == "bad":
            raise refusal
        return {"output": "done", "success": True}

    def stream(task: dict[str, Any]) -> Any:
        got = yield 1
        yield got
        return {"output": "streamed"}

    refusal = Refusal("no")
    routed = wrap_router(recorder, route)
    assert routed({"id": "t1", "type": "x"}) == "agent-1"
    assert inspect.signature(routed) == inspect.signature(route) and routed.__doc__ == "Choose."
    executed = wrap_executor(recorder, execute)
    assert inspect.iscoroutinefunction(executed)
    assert asyncio.run(executed({"id": "t1"}, "good")) == {"output": "done", "success": True}
    with pytest.raises(Refusal) as raised:
        asyncio.run(executed({"id": "t1"}, "bad"))
    assert raised.value is refusal
    streamed: Any = wrap_executor(recorder, stream)({"id": "t1"})
    assert inspect.isgeneratorfunction(wrap_executor(recorder, stream))
    assert [next(streamed), streamed.send("sent")] == [1, "sent"]
    with pytest.raises(StopIteration):
        next(streamed)
    wrap_evaluator(recorder, lambda task: 0.5)({"id": "t1"})
    done = bodies("execution_completed", places[0])
    assert [body["success"] for body in done] == [True, False, True]
    assert done[1]["failure_reason"] == "Refusal"
    assert bodies("evaluation_finished", places[0])[0]["overall_score"] == 0.5
