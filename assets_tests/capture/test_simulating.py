"""The simulated arbiter and the commands that look at what it recorded."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from assets_tests.capture.reading import bodies, events, problems
from pipeline.capture.controls import read_rates
from pipeline.capture.events import TASK_KINDS
from pipeline.capture.recorder import Recorder
from pipeline.capture.simulating.arbiter import simulate
from pipeline.capture.spool import segments
from pipeline.cli import main


def recorded(directory: Path, seed: int) -> list[tuple[str, str, bytes]]:
    with Recorder(directory, second=[], synthetic=True) as made:
        simulate(made, 25, seed)
    return [(event.kind, event.subject, bytes(event.body)) for event in events(directory)
            if not event.kind.startswith("recorder_")]  # fmt: skip


def test_a_seed_repeats_and_another_one_differs(tmp_path: Path, data_directory: Path) -> None:
    first, again, other = (recorded(tmp_path / name, seed) for name, seed in [("a", 7), ("b", 7), ("c", 8)])
    assert first == again
    assert first != other


def test_the_arbiter_is_realistic(tmp_path: Path, data_directory: Path) -> None:
    with Recorder(tmp_path / "s", second=[], synthetic=True, rates={}) as made:
        simulate(made, 60, 1)
    found = events(tmp_path / "s")
    assert {event.kind for event in found} >= set(TASK_KINDS)
    assert all(event.synthetic for event in found)
    done = bodies("execution_completed", tmp_path / "s")
    assert {body["success"] for body in done} == {True, False}
    assert len({body["agent"] for body in done}) > 2
    assert max(body.get("attempt", 1) for body in done) > 1
    assert len({body["tool"] for body in bodies("tool_called", tmp_path / "s")}) == 2
    assert max(len(json.dumps(body)) for body in bodies("evaluation_finished", tmp_path / "s")) > 10_000
    assert all(0 < body["propensity"] <= 1 for body in bodies("routing_decided", tmp_path / "s"))
    (stopped,) = bodies("recorder_stopped", tmp_path / "s")
    assert stopped["expected_tasks"] == stopped["received_tasks"] == 60
    assert problems([tmp_path / "s"]) == []


class Said(NamedTuple):
    out: str
    err: str


Run = Callable[..., Said]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs ``pipeline capture …`` in this process; checks the exit code."""

    def call(*arguments: str, code: int = 0) -> Said:
        monkeypatch.setattr(sys, "argv", ["pipeline", "capture", *arguments])
        try:
            main()
            ended: Any = 0
        except SystemExit as stop:
            ended = stop.code or 0
        said = Said(*capsys.readouterr())
        assert ended == code, said
        return said

    return call


@pytest.fixture
def spool(run: Run, data_directory: Path) -> Path:
    report = json.loads(run("simulate", "--tasks", "5", "--seed", "3", "--json").out)
    assert report["directory"] == str(data_directory / "spool") and report["failed"] == {}
    return data_directory / "spool"


def test_tail_prints_what_was_asked_for(run: Run, spool: Path) -> None:
    lines = run("tail", "--once", "--json", "--kind", "routing_decided").out.splitlines()
    assert [json.loads(line)["subject"] for line in lines] == [f"task-3-{number}" for number in range(1, 6)]
    one = run("tail", "--once", "--task", "task-3-2").out
    assert "task-3-2" in one and "task-3-1" not in one


def test_stats_add_up(run: Run, spool: Path) -> None:
    rows: list[dict[str, Any]] = json.loads(run("stats", "--json").out)
    assert sum(row["events"] for row in rows) == len(events(spool))
    assert sum(row["bytes"] for row in rows) == sum(part.size for part in segments([spool]))
    assert {row["missing"] for row in rows} == {0}
    assert "routing_decided" in run("stats").out


def damaged(spool: Path, how: str) -> None:
    (part,) = segments([spool])
    lines = part.path.read_bytes().splitlines(keepends=True)
    if how == "changed":
        lines[2] = lines[2].replace(b"task", b"tusk", 1)
    elif how == "missing":
        del lines[3:6]
    elif how == "doubled":
        lines.insert(3, lines[3])
    part.path.write_bytes(b"".join(lines))


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ("changed", "the checksum differs from the line"),
        ("missing", "numbers 4 to 6 are missing"),
        ("doubled", "1 numbers stand twice"),
    ],
)
def test_verify_finds_what_is_wrong(run: Run, spool: Path, how: str, text: str) -> None:
    assert run("verify") == Said("", "")
    damaged(spool, how)
    assert text in run("verify", code=1).out
    assert text in [finding["text"] for finding in json.loads(run("verify", "--json", code=1).out)]


def test_verify_does_not_miss_what_was_archived(run: Run, tmp_path: Path, data_directory: Path) -> None:
    with Recorder(tmp_path / "s", second=[], door=False, largest_segment=20_000) as made:
        for number in range(60):
            made.task_received(f"t{number}", task_type="x", description="word " * 100)
    first, second, *_ = segments([tmp_path / "s"])
    first.path.unlink()
    assert "archived" in run("verify", "--directory", str(tmp_path / "s")).out
    second.path.write_bytes(b"".join(second.path.read_bytes().splitlines(keepends=True)[:-3]))
    assert "are missing" in run("verify", "--directory", str(tmp_path / "s"), code=1).out


def test_sampling_changes_by_command_without_a_restart(run: Run, data_directory: Path) -> None:
    spool = data_directory / "spool"
    with Recorder(second=[]) as made:
        task = next(f"t{n}" for n in range(100) if not made.sampled(f"t{n}", "deep_analysis"))
        assert not made.deep_analysis(task, self_reflection="so")
        run("sampling", "--rate", "deep_analysis=1", "--rate", "deep_analysis.conversation:complex=0.5")
        made.controls._look_at = 0.0  # a second later
        assert made.deep_analysis(task, self_reflection="so")
    assert read_rates(spool)["deep_analysis.conversation"] == {"complex": 0.5, "default": 0.0}
    assert json.loads(run("sampling", "--reset", "--json").out)["deep_analysis"] == 0.1


@pytest.mark.parametrize(
    ("rate", "code", "text"),
    [
        ("no_such_kind=0.5", 1, "neither a kind nor a kind and one of its fields"),
        ("deep_analysis.colour=0.5", 1, "neither a kind nor a kind and one of its fields"),
        ("deep_analysis=2", 1, "outside 0 to 1"),
        ("deep_analysis", 2, "NAME=RATE"),
        ("deep_analysis=much", 2, "NAME=RATE"),
    ],
)
def test_a_wrong_rate_is_refused_in_one_sentence(
    run: Run, data_directory: Path, rate: str, code: int, text: str
) -> None:
    assert text in run("sampling", "--rate", rate, code=code).err
    assert not (data_directory / "spool" / "sampling.json").exists()


@pytest.mark.parametrize("command", ["tail", "stats", "verify", "simulate", "sampling", "redrive"])
def test_every_command_has_help_with_an_example(run: Run, command: str) -> None:
    assert f"pipeline capture {command}" in run(command, "--help").out
