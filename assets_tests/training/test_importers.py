"""Importers: each format's good pieces become records, each bad piece is named with its reason."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets_tests.training.importing_samples import (
    ALPACA,
    ATIF,
    GOOD,
    HH,
    OPENINFERENCE,
    OTEL,
    SWE,
    SWE_CALLS,
    TAU,
    read,
)
from pipeline.capture import signals
from pipeline.capture.kinds import Body
from pipeline.training.importing import hh_rlhf
from pipeline.training.importing.signalling import Item, Malformed, Signal
from pipeline.training.importing.writing import FORMATS, reader


def bodies(piece: Item | Malformed, kind: type[Body]) -> list[Any]:
    assert isinstance(piece, Item), piece
    return [one.body for one in piece.signals if isinstance(one.body, kind)]


def one(piece: Item | Malformed, kind: type[Body]) -> Any:
    found = bodies(piece, kind)
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_a_whole_tree_whose_links_hold(tmp_path: Path, name: str) -> None:
    (piece,) = read(tmp_path, name, GOOD[name])
    lineages = {one.lineage_id for one in bodies(piece, signals.LineageCreated)}
    agents = {one.agent_id for one in bodies(piece, signals.AgentDefined)}
    rollouts = {one.rollout_id for one in bodies(piece, signals.RolloutStarted)}
    attempts = {one.attempt_id for one in bodies(piece, signals.AttemptFinished)}
    spans = {one.span_id for one in bodies(piece, signals.SpanFinished)}
    artifacts = {one.artifact_id for one in bodies(piece, signals.ArtifactProduced)}
    contents = {one.hash for one in bodies(piece, signals.ContentStored)}
    one(piece, signals.SessionStarted)
    assert spans and artifacts
    for agent in bodies(piece, signals.AgentDefined):
        assert agent.lineage_id in lineages
        assert {agent.system_prompt_hash, agent.tools_hash} - {None} <= contents
    for rollout in bodies(piece, signals.RolloutStarted):
        assert (rollout.lineage_id in lineages, rollout.agent_id in agents) == (True, True)
    for attempt in bodies(piece, signals.AttemptFinished):
        assert attempt.rollout_id in rollouts
        assert attempt.prompt and attempt.prompt[-1].role == "user"
    for span in bodies(piece, signals.SpanFinished):
        assert span.attempt_id in attempts
        assert {span.parent_span_id, span.continues_span_id} - {None} <= spans
    for made in bodies(piece, signals.ArtifactProduced):
        assert (made.rollout_id in rollouts, made.attempt_id in attempts) == (True, True)
    for given_ in bodies(piece, signals.EvaluationGiven):
        named = {given_.artifact_id, *(one for group in given_.ranking for one in group)} - {None}
        assert named <= artifacts


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_data_gives_the_same_records(tmp_path: Path, name: str) -> None:
    assert read(tmp_path, name, GOOD[name]) == read(tmp_path, name, GOOD[name])


def test_a_tau_bench_trial(tmp_path: Path) -> None:
    first, second = read(tmp_path, "tau-bench", [TAU, {**TAU, "trial": 1, "reward": 0.0}])
    assert isinstance(first, Item) and isinstance(second, Item)
    assert first.signals[0].session_id == second.signals[0].session_id
    attempt = one(first, signals.AttemptFinished)
    assert [message.role for message in attempt.prompt] == ["system", "user"]
    assert one(first, signals.EvaluationGiven).score == 10
    assert one(second, signals.EvaluationGiven).score == 1
    kinds = [(span.kind, span.name) for span in bodies(first, signals.SpanFinished)]
    assert kinds == [("llm", "chat"), ("tool", "book"), ("llm", "chat")]
    llm, tool, last = bodies(first, signals.SpanFinished)
    assert (tool.arguments, tool.result, tool.parent_span_id) == ({"seat": 3}, "booked", llm.span_id)
    assert (last.continues_span_id, [m.role for m in last.input_messages]) == (llm.span_id, ["tool", "user"])
    answer = json.loads(one(first, signals.ArtifactProduced).content)
    assert [message["role"] for message in answer] == ["assistant", "tool", "user", "assistant"]


@pytest.mark.parametrize(
    ("preference", "ranking", "stated"),
    [
        (1.0, ["reference", "candidate"], 1.0),
        (1.9, ["candidate", "reference"], 0.9),
        (1.5, None, None),
        (1.46, None, None),
    ],
)
def test_alpaca_eval_preferences_and_ties(
    tmp_path: Path, preference: float, ranking: list[str] | None, stated: float | None
) -> None:
    (piece,) = read(tmp_path, "alpaca-eval", [{**ALPACA, "preference": preference}])
    texts = {made.artifact_id: made.content for made in bodies(piece, signals.ArtifactProduced)}
    given_ = one(piece, signals.EvaluationGiven)
    groups = [[texts[artifact] for artifact in group] for group in given_.ranking]
    if ranking is None:
        assert [sorted(group) for group in groups] == [["candidate", "reference"]]
    else:
        assert groups == [[name] for name in ranking]
    assert given_.preference == (pytest.approx(stated) if stated is not None else None)
    assert given_.score == pytest.approx(1 + 9 * (preference - 1))


def test_alpaca_eval_files_join_in_one_session_by_the_instruction(tmp_path: Path) -> None:
    rows = [{**ALPACA, "generator_2": name, "output_2": name} for name in ("x", "y", "z")]
    pieces = read(tmp_path, "alpaca-eval", rows)
    found = {
        (signal.session_id, signal.body.lineage_id)
        for piece in pieces
        if isinstance(piece, Item)
        for signal in piece.signals
        if isinstance(signal.body, signals.LineageCreated)
    }
    assert (len({session for session, _ in found}), len(found)) == (1, 4)


def test_a_swe_agent_trajectory_of_plain_actions(tmp_path: Path) -> None:
    (piece,) = read(tmp_path, "swe-agent", SWE)
    spans = bodies(piece, signals.SpanFinished)
    assert [span.kind for span in spans] == ["llm", "reasoning", "tool", "llm", "reasoning", "tool"]
    assert (spans[1].result, spans[2].name, spans[2].result) == ("I look.", "ls", "setup.py")
    assert spans[2].latency_ms == 250
    attempt = one(piece, signals.AttemptFinished)
    assert (attempt.status, attempt.tokens.input, attempt.cost_usd) == ("success", 100, 0.5)
    made = {one.name: one.content_format for one in bodies(piece, signals.ArtifactProduced)}
    assert made == {"conversation": "messages", "submission": "diff"}
    assert isinstance(piece, Item) and not piece.remarks


def test_a_swe_agent_trajectory_of_tool_calls_without_an_outcome_is_kept_with_a_remark(
    tmp_path: Path,
) -> None:
    (piece,) = read(tmp_path, "swe-agent", SWE_CALLS)
    assert isinstance(piece, Item)
    assert "its outcome, times and cost are unknown" in piece.remarks[0]
    assert one(piece, signals.AttemptFinished).status == "unknown"
    tool = next(span for span in bodies(piece, signals.SpanFinished) if span.kind == "tool")
    assert (tool.name, tool.arguments, tool.result) == ("bash", {"command": "ls"}, "setup.py")


def test_an_atif_trajectory_with_times_metrics_and_a_subagent(tmp_path: Path) -> None:
    (piece,) = read(tmp_path, "atif", ATIF)
    attempt = one(piece, signals.AttemptFinished)
    assert (attempt.tokens.input, attempt.tokens.output, attempt.cost_usd) == (20, 8, 0.02)
    assert attempt.ended_at - attempt.started_at == 60_000_000_000
    spans = bodies(piece, signals.SpanFinished)
    assert [span.kind for span in spans] == ["llm", "reasoning", "tool", "llm", "agent", "llm"]
    assert spans[5].parent_span_id == spans[4].span_id
    assert spans[2].result == "12:00"
    assert one(piece, signals.AgentDefined).tools_hash is not None


@pytest.mark.parametrize("document", [OTEL, OPENINFERENCE], ids=["genai", "openinference"])
def test_otel_traces_of_both_conventions(tmp_path: Path, document: Any) -> None:
    (piece,) = read(tmp_path, "otel", document)
    spans = {span.kind: span for span in bodies(piece, signals.SpanFinished)}
    assert set(spans) == {"agent", "llm", "tool"}
    assert spans["llm"].parent_span_id == spans["agent"].span_id
    assert spans["llm"].tokens.input == 11
    assert [(m.role, m.content) for m in spans["llm"].input_messages] == [
        ("system", "Be brief."),
        ("user", "Weather?"),
    ]
    assert spans["llm"].output_messages[0].tool_calls[0]["function"]["name"] == "weather"
    assert (spans["tool"].name, spans["tool"].arguments, spans["tool"].result) == (
        "weather",
        {"city": "Bonn"},
        "rain",
    )
    assert spans["tool"].status == "failure"
    assert spans["llm"].started_at == 1_772_359_200_000_000_000


def test_otel_lines_as_the_collector_writes_them(tmp_path: Path) -> None:
    path = tmp_path / "traces.json"
    path.write_text(f"{json.dumps(OTEL)}\n{json.dumps({'resourceSpans': 3})}\n", encoding="utf-8")
    pieces = list(reader("otel")(path))
    assert [type(piece) for piece in pieces] == [Malformed, Item]
    assert "resourceSpans is a number where a list is needed" in pieces[0].reason  # type: ignore[union-attr]


def test_hh_rlhf_as_text_and_as_messages(tmp_path: Path) -> None:
    messages = {
        side: [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": said}]
        for side, said in (("chosen", "Hello"), ("rejected", "No"))
    }
    for row in (HH[0], messages):
        (piece,) = read(tmp_path, "hh-rlhf", [row])
        good, bad = bodies(piece, signals.ArtifactProduced)
        assert (good.content, bad.content) == ("Hello", "No")
        assert one(piece, signals.EvaluationGiven).ranking == [[good.artifact_id], [bad.artifact_id]]


BAD: Sequence[tuple[str, Any, str]] = [
    ("tau-bench", {"not": "a list"}, "is an object where a list is needed"),
    ("tau-bench", [{**TAU, "reward": 2}], "reward is 2.0 and 0 to 1 is allowed"),
    ("tau-bench", [{**TAU, "reward": None}], "reward is nothing where a number"),
    ("tau-bench", [{**TAU, "traj": "text"}], "traj is a text where a list is needed"),
    (
        "tau-bench",
        [{**TAU, "traj": [{"role": "user", "content": "hi"}]}],
        "no prompt with an assistant's answer",
    ),
    ("tau-bench", [{**TAU, "traj": [{"content": "hi"}]}], "traj[0], role is nothing"),
    ("alpaca-eval", [{**ALPACA, "preference": 3}], "preference is 3.0 and 1 to 2 is allowed"),
    ("alpaca-eval", [{**ALPACA, "preference": None}], "preference is nothing"),
    ("alpaca-eval", [{**ALPACA, "instruction": " "}], "instruction is empty"),
    ("alpaca-eval", [{**ALPACA, "generator_2": "base"}], "are the same"),
    ("swe-agent", {"trajectory": []}, "history is nothing where a list is needed"),
    ("swe-agent", {**SWE, "replay_config": "{"}, "replay_config is a text that is no JSON"),
    ("atif", {**ATIF, "steps": "none"}, "steps: Input should be a valid list"),
    ("atif", {**ATIF, "steps": ATIF["steps"][1:]}, "not sequential"),
    ("otel", {"resourceSpans": "none"}, "resourceSpans is a text where a list is needed"),
    ("otel", {"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "1"}]}]}]}, "spanId is nothing"),
    ("hh-rlhf", [{"chosen": "Hello", "rejected": "No"}], "chosen has no turns"),
    ("hh-rlhf", [{**HH[0], "rejected": HH[0]["chosen"]}], "say the same"),
    ("hh-rlhf", [{**HH[0], "rejected": "\n\nHuman: Bye\n\nAssistant: No"}], "begin differently"),
    ("hh-rlhf", [3], "The line is a number where an object is needed"),
]


@pytest.mark.parametrize(("name", "document", "reason"), BAD, ids=lambda one: str(one)[:30])
def test_what_is_malformed_is_named_with_the_reason(
    tmp_path: Path, name: str, document: Any, reason: str
) -> None:
    (piece,) = read(tmp_path, name, document)
    assert isinstance(piece, Malformed)
    assert reason in piece.reason


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def altered(document: Any) -> st.SearchStrategy[Any]:
    """The document with one of its parts replaced by anything."""
    places: list[tuple[Any, ...]] = []

    def walk(value: Any, path: tuple[Any, ...]) -> None:
        places.append(path)
        children = (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        )
        for key, child in children:
            walk(child, (*path, key))

    walk(document, ())

    def put(path: tuple[Any, ...], new: Any) -> Any:
        copy = json.loads(json.dumps(document))
        if not path:
            return new
        here = copy
        for key in path[:-1]:
            here = here[key]
        here[path[-1]] = new
        return copy

    return st.builds(put, st.sampled_from(places), JSON)


@pytest.mark.parametrize("name", FORMATS)
@given(data=st.data())
def test_no_reader_falls_over_whatever_stands_where(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    document = data.draw(altered(GOOD[name]))
    folder = tmp_path_factory.mktemp("altered")
    pieces = read(folder, name, document)
    assert all(isinstance(piece, Item | Malformed) for piece in pieces)
    for piece in pieces:
        for signal in piece.signals if isinstance(piece, Item) else ():
            assert isinstance(signal, Signal)


SPOKEN = (
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
    .map(str.strip)
    .filter(bool)
)


@given(st.lists(st.tuples(SPOKEN, SPOKEN), min_size=1, max_size=4), SPOKEN, SPOKEN, SPOKEN)
def test_hh_rlhf_dialogues_come_apart_as_they_were_put_together(
    before: list[tuple[str, str]], asked: str, good: str, bad: str
) -> None:
    if good == bad or any("Human:" in one or "Assistant:" in one for one in (asked, good, bad)):
        return
    shared = "".join(f"\n\nHuman: {a}\n\nAssistant: {b}" for a, b in before) + f"\n\nHuman: {asked}"
    found = hh_rlhf._signals(
        {side: f"{shared}\n\nAssistant: {said}" for side, said in (("chosen", good), ("rejected", bad))}
    )
    made = [signal.body.content for signal in found if isinstance(signal.body, signals.ArtifactProduced)]
    assert made == [good, bad]
