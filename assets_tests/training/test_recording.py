"""Records on their way in: the with blocks of a running program, the spool of an import, the privacy door."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from assets_tests.training.importing_samples import TAU
from assets_tests.training.samples import HOUR, Told, events, fill
from pipeline.capture import signals
from pipeline.capture.envelope import Envelope
from pipeline.capture.events import Message
from pipeline.capture.kinds import Body
from pipeline.capture.recorder import Recorder
from pipeline.capture.recording_signals import Signals
from pipeline.capture.spool import is_closed, parse_line, read_segment, segments, spool_directory
from pipeline.settings.places import PROJECT
from pipeline.training.derived.computing import derive, open_links
from pipeline.training.importing.recording import SpoolWriter, open_writer, ulid
from pipeline.training.importing.signalling import content_hash, stored
from pipeline.training.importing.writing import import_files
from pipeline.training.reading import read_records, whole_conversation
from pipeline.training.showing import session_tree, statistics
from pipeline.training.tables import ATTEMPTS, EXECUTION_SPANS, LINEAGE_LOCKS
from pipeline.warehouse.store import Warehouse

AT = int(HOUR.start.timestamp()) * 1_000_000_000 + 5_000_000_000
ASKED = {"role": "user", "content": "a poem about rain"}


def a_whole_session() -> list[Told]:
    """A program that uses every helper once; two lineages, one evolution."""
    told: list[Told] = []
    recorder = Signals(lambda session_id, body: told.append((session_id, body)))
    with recorder.session("a poem about rain", constraints=["four lines"], session_id="s1") as session:
        artifacts = []
        for label in ("A", "B"):
            with session.lineage(label, strategy="rhyme") as lineage:
                first = lineage.agent(model="m", system_prompt="You are a poet.", tools=[{"name": "rhyme"}])
                rollout = lineage.rollout(first, cycle=1)
                with rollout.attempt(
                    prompt=[ASKED], context_documents={"rain.txt": "Rain is wet."}
                ) as attempt:
                    with attempt.llm(model="m", input_messages=attempt.prompt) as call:
                        call.answer(
                            {"role": "assistant", "tool_calls": [{"id": "c"}]},
                            input_tokens=5,
                            output_tokens=2,
                        )
                    with attempt.tool("rhyme", {"word": "rain"}, parent=call, tool_call_id="c") as tool:
                        tool.result = "pain"
                    attempt.reasoning("It should rhyme.", parent=call)
                    answered = Message(role="tool", content="pain", tool_call_id="c")
                    with attempt.llm(input_messages=[answered], continues=True) as call:
                        call.answer("Rain, pain.", input_tokens=7, output_tokens=3, cost_usd=0.25)
                artifacts.append(rollout.artifact("Rain, pain.", attempt=attempt))
                rollout.evaluate(artifacts[-1], score=8, comment="good", directives=["shorter"])
                second = lineage.agent(model="m", system_prompt="You are a brief poet.", parent=first)
                wish = lineage.directive("shorter", sticky=True)
                evolution = lineage.evolve(
                    first, second, changes=["prompt"], hypothesis="brief", directive_ids=[wish]
                )
                session.outcome(evolution, validated=True)
        lineage.lock(cycle=1)
        session.rank([[artifacts[0]], [artifacts[1]]], cycle=1)
        session.insight("rhymes win", evidence_ids=artifacts, confidence=0.5)
    return told


def test_a_program_that_uses_every_helper_leaves_a_whole_tree(tmp_path: Path) -> None:
    told = a_whole_session()
    assert {type(body) for _, body in told} == set(signals.SIGNAL_KINDS.values())
    contents = [body.hash for _, body in told if isinstance(body, signals.ContentStored)]
    assert len(contents) == len(set(contents)) == 4
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    projected = fill(warehouse, events(told))
    assert all(one.rejected.height == 0 for one in projected.values())
    assert open_links(warehouse, HOUR).height == 0
    attempt = read_records(warehouse, ATTEMPTS).row(0, named=True)
    assert (attempt["input_tokens"], attempt["output_tokens"], attempt["cost_usd"]) == (12, 5, 0.25)
    assert (attempt["user_need"], attempt["status"], attempt["number"]) == ("a poem about rain", "success", 1)
    spans = read_records(warehouse, EXECUTION_SPANS).filter(attempt_id=attempt["attempt_id"]).to_dicts()
    assert [span["kind"] for span in spans] == ["llm", "tool", "reasoning", "llm"]
    said = whole_conversation(spans, spans[-1]["span_id"])
    assert [message["role"] for message in said] == ["user", "assistant", "tool", "assistant"]
    places = dict(derive(warehouse, HOUR).rankings.select("lineage_id", "basis").iter_rows())
    assert set(places.values()) == {"lock+ranking"}


def test_the_tree_of_a_session_has_every_record_below_its_parent(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    fill(warehouse, events(a_whole_session()))
    tree = session_tree(warehouse, "s1")

    def paths(node: dict[str, object], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
        here = (*above, str(node["record"]))
        yield here
        for child in node["children"]:  # type: ignore[attr-defined]
            yield from paths(child, here)

    found = set(paths(tree))
    down = ("session", "lineage", "agent_definition", "rollout")
    assert (*down, "attempt", "execution_span", "execution_span") in found
    assert (*down, "artifact", "evaluation", "directive") in found
    assert ("session", "lineage", "evolution_record", "evolution_outcome") in found
    assert {
        ("session", "learning_insight"),
        ("session", "evaluation"),
        ("session", "lineage", "lineage_lock"),
    } <= found
    assert tree["orphans"] == []


def test_a_tree_shows_what_has_no_parent_yet_and_an_unknown_session_is_an_error(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    span = signals.SpanFinished(span_id="lost", attempt_id="missing", kind="tool")
    fill(warehouse, events([("s1", span)]))
    assert [node["id"] for node in session_tree(warehouse, "s1")["orphans"]] == ["lost"]
    assert statistics(warehouse)["orphans"]["ids"] == ["lost"]
    with pytest.raises(Exception, match="no record names it"):
        session_tree(warehouse, "unknown")


@pytest.mark.parametrize(
    ("raised", "status"),
    [(ValueError("no"), "failure"), (TimeoutError("slow"), "timeout"), (KeyboardInterrupt(), "cancelled")],
)
def test_an_exception_goes_on_unchanged_and_is_recorded(raised: BaseException, status: str) -> None:
    told: list[Body] = []
    recorder = Signals(lambda _, body: told.append(body))
    with (
        pytest.raises(type(raised)) as caught,
        recorder.session("x") as session,
        session.lineage("A") as line,
        line.rollout(line.agent()).attempt() as attempt,
        attempt.tool("break"),
    ):
        raise raised
    assert caught.value is raised
    spans = [body for body in told if isinstance(body, signals.SpanFinished)]
    attempts = [body for body in told if isinstance(body, signals.AttemptFinished)]
    assert (spans[0].status, attempts[0].status) == (status, status)
    ended = told[-1]
    assert isinstance(ended, signals.SessionEnded) and ended.outcome == "failed"


def test_a_recorder_writes_whole_sessions_and_single_records(data_directory: Path) -> None:
    recorder = Recorder(application="poems")
    with recorder.session("a poem", session_id="s1") as session, session.lineage("A") as lineage:
        lineage.agent(system_prompt="Ask jane.roe@example.com.")
    assert recorder.artifact_produced("s2", artifact_id="f", rollout_id="r", content="Rain")
    assert recorder.span_finished("s2", span_id="p", attempt_id="t", span_kind="tool")
    assert not recorder.evaluation_given("s2", evaluation_id="e", score=11)
    recorder.close()
    found = [parse_line(line.raw) for one in segments([spool_directory()]) for line in read_segment(one.path)]
    told = {one.kind: json.loads(bytes(one.body)) for one in found if isinstance(one, Envelope)}
    assert {
        "session_started",
        "lineage_created",
        "session_ended",
        "artifact_produced",
        "span_finished",
    } <= set(told)
    assert "evaluation_given" not in told
    kept = told["content_stored"]
    assert "jane.roe" not in kept["text"]
    assert kept["hash"] == content_hash(kept["text"]) == told["agent_defined"]["system_prompt_hash"]


@pytest.mark.parametrize("kind", signals.SIGNAL_KINDS)
def test_every_kind_of_training_record_has_a_method_of_the_recorder(kind: str) -> None:
    assert callable(getattr(Recorder, kind))


def imported(folder: Path, document: object) -> tuple[Path, SpoolWriter]:
    path = folder / "data.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    with open_writer("tau-bench") as writer:
        import_files("tau-bench", [path], writer.write, settle=writer.settle)
    return path, writer


def test_imported_events_are_whole_lines_of_closed_segments_numbered_without_a_gap(
    data_directory: Path, tmp_path: Path
) -> None:
    imported(tmp_path, [TAU, {**TAU, "trial": 1}])
    (segment,) = segments([spool_directory()])
    assert is_closed(segment.path)
    found = [parse_line(line.raw) for line in read_segment(segment.path)]
    assert [one.sequence for one in found] == list(range(1, len(found) + 1))  # type: ignore[union-attr]
    assert {one.provenance.application for one in found} == {"import:tau-bench"}  # type: ignore[union-attr]
    assert len({one.id for one in found}) == len(found)  # type: ignore[union-attr]


def test_private_data_is_redacted_before_anything_is_written(data_directory: Path, tmp_path: Path) -> None:
    planted = "jane.roe@example.com"
    policy = f"You book seats. Ask {planted}."
    traj = [{"role": "system", "content": policy}, *TAU["traj"][1:-1]]
    last = {"role": "assistant", "content": f"Write to {planted}.", "extra": 1}
    _, writer = imported(tmp_path, [{**TAU, "traj": [*traj, last]}])
    assert writer.redacted > 0
    for segment in segments([spool_directory()]):
        assert planted not in segment.path.read_text(encoding="utf-8")


def test_a_content_that_the_door_changed_is_named_by_the_hash_of_what_it_is_now(data_directory: Path) -> None:
    content = stored("Ask jane.roe@example.com.", "prompt")
    agent = signals.AgentDefined(agent_id="a", lineage_id="l", version=1, system_prompt_hash=content.hash)
    with open_writer("atif") as writer:
        assert writer.write("s", content, AT) and writer.write("s", agent, AT)
    (segment,) = segments([spool_directory()])
    kept, defined = (
        json.loads(bytes(parse_line(line.raw).body))  # type: ignore[union-attr]
        for line in read_segment(segment.path)
    )
    assert kept["hash"] == content_hash(kept["text"]) == defined["system_prompt_hash"] != content.hash


def test_the_same_record_at_the_same_time_is_the_same_event_and_history_is_not_late(
    data_directory: Path,
) -> None:
    for _ in range(2):
        with open_writer("otel") as writer:
            writer.write("s", signals.SessionStarted(user_need="x"), AT)
    first, second = segments([spool_directory()])
    ids = {parse_line(line.raw).id for one in (first, second) for line in read_segment(one.path)}  # type: ignore[union-attr]
    assert len(ids) == 1
    assert first.path.stat().st_mtime == HOUR.end.timestamp()


def test_ulids_sort_by_time() -> None:
    early, late = ulid(1_000, b"\xff" * 10), ulid(1_001, b"\0" * 10)
    assert (len(early), early < late) == (26, True)
    assert ulid(0, b"\0" * 10) == "0" * 26


def test_an_import_that_is_killed_leaves_whole_segments_and_can_be_repeated(
    data_directory: Path, tmp_path: Path
) -> None:
    rows = [{**TAU, "trial": trial} for trial in range(50)]
    path = tmp_path / "data.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    program = textwrap.dedent(f"""
        import os, signal, sys
        from pathlib import Path
        from pipeline.training.importing import recording
        from pipeline.training.importing.writing import import_files
        recording.SEGMENT_BYTES = 20_000
        stop = int(sys.argv[1])
        with recording.open_writer("tau-bench") as writer:
            def write(session, body, at):
                if writer.sequence >= stop:
                    os.kill(os.getpid(), signal.SIGKILL)
                return writer.write(session, body, at)
            import_files("tau-bench", [Path({str(path)!r})], write, settle=writer.settle)
    """)
    for stop in (40, 200):
        done = subprocess.run(
            [sys.executable, "-c", program, str(stop)], cwd=PROJECT, env=os.environ, check=False
        )
        assert done.returncode == -signal.SIGKILL
    for segment in segments([spool_directory()]):
        assert all(hasattr(parse_line(line.raw), "kind") for line in read_segment(segment.path))
    with open_writer("tau-bench") as writer:
        report = import_files("tau-bench", [path], writer.write, settle=writer.settle)
    assert (report.imported, report.known) == (50, 0)


def test_locks_given_free_again_are_two_facts(tmp_path: Path) -> None:
    told: list[Told] = []
    recorder = Signals(lambda session_id, body: told.append((session_id, body)))
    with recorder.session("x") as session, session.lineage("A") as lineage:
        lineage.lock(cycle=1)
        lineage.lock(cycle=1, locked=False, reason="worse")
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    fill(warehouse, events(told))
    assert read_records(warehouse, LINEAGE_LOCKS)["locked"].to_list() == [True, False]
