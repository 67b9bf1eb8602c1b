"""Events of an hour into tables: every field arrives, the first record stands, contents are stored once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets_tests.training.samples import HOUR, KIND_OF, NEXT, Told, events, fill
from pipeline.capture import signals
from pipeline.capture.events import Message, Tokens
from pipeline.capture.kinds import Body, body_type
from pipeline.training.projecting import project
from pipeline.training.rows import TABLE_OF_KIND, text_hash
from pipeline.training.tables import (
    AGENT_DEFINITIONS,
    ATTEMPTS,
    CONTENTS,
    DIRECTIVES,
    EXECUTION_SPANS,
    RECORDS,
    SESSIONS,
)
from pipeline.warehouse.checking import check_rows
from pipeline.warehouse.store import Warehouse

T0 = 1_772_359_200_000_000_000  # 2026-03-01 10:00 UTC

ONE_OF_EACH: list[tuple[Body, dict[str, Any]]] = [
    (
        signals.ContentStored(hash=text_hash("You are kind."), media="prompt", text="You are kind."),
        {"hash": text_hash("You are kind."), "media": "prompt", "text": "You are kind."},
    ),
    (
        signals.SessionStarted(user_need="a poem", constraints=["short"], context={"a": 1}, user="u1"),
        {"user_need": "a poem", "constraints": '["short"]', "context": '{"a":1}', "user": "u1"},
    ),
    (signals.SessionEnded(outcome="completed", reason="done"), {"outcome": "completed", "reason": "done"}),
    (
        signals.LineageCreated(lineage_id="l", label="A", strategy="rhyme", parent_lineage_id="k"),
        {"lineage_id": "l", "label": "A", "approach": "rhyme", "parent_lineage_id": "k"},
    ),
    (
        signals.LineageLocked(lineage_id="l", cycle=2, locked=False, reason="no"),
        {"lineage_id": "l", "cycle": 2, "locked": False, "reason": "no"},
    ),
    (
        signals.DirectiveGiven(directive_id="d", lineage_id="l", cycle=1, text="shorter", sticky=True),
        {"directive_id": "d", "lineage_id": "l", "cycle": 1, "text": "shorter", "sticky": True},
    ),
    (
        signals.AgentDefined(
            agent_id="a", lineage_id="l", version=3, name="n", model="m", provider="p",
            system_prompt_hash="0" * 64, tools_hash="1" * 64, flow_hash="2" * 64,
            parameters={"temperature": 0.5}, parent_agent_id="b",
        ),
        {
            "agent_id": "a", "lineage_id": "l", "version": 3, "name": "n", "model": "m", "provider": "p",
            "system_prompt_hash": "0" * 64, "tools_hash": "1" * 64, "flow_hash": "2" * 64,
            "parameters": '{"temperature":0.5}', "parent_agent_id": "b",
        },
    ),
    (
        signals.RolloutStarted(rollout_id="r", lineage_id="l", agent_id="a", cycle=2),
        {"rollout_id": "r", "lineage_id": "l", "agent_id": "a", "cycle": 2},
    ),
    (
        signals.AttemptFinished(
            attempt_id="t", rollout_id="r", number=2, user_need="a poem", constraints=["short"],
            test_input="rain", context_documents=[signals.ContextDocument(name="doc", hash="3" * 64)],
            prompt=[Message(role="user", content="rain")], status="timeout", error="slow",
            started_at=T0, ended_at=T0 + 1_500_000_000, tokens=Tokens(input=5, output=7, cached=2),
            cost_usd=0.01, metadata={"k": 1},
        ),
        {
            "attempt_id": "t", "rollout_id": "r", "number": 2, "user_need": "a poem",
            "constraints": '["short"]', "test_input": "rain", "status": "timeout", "error": "slow",
            "context_documents": '[{"name":"doc","hash":"' + "3" * 64 + '"}]',
            "prompt": '[{"role":"user","content":"rain"}]', "latency_ms": 1500.0, "input_tokens": 5,
            "output_tokens": 7, "tokens": '{"input":5,"output":7,"cached":2}', "cost_usd": 0.01,
            "metadata": '{"k":1}',
        },
    ),
    (
        signals.SpanFinished(
            span_id="s", attempt_id="t", kind="llm", name="chat", position=4, parent_span_id="q",
            continues_span_id="p", model="m", input_messages=[Message(role="user", content="hi")],
            output_messages=[Message(role="assistant", reasoning_content="hm")], tool_call_id="c",
            arguments={"x": [1]}, result="r", status="success", latency_ms=3, cost_usd=0.5,
            attributes={"z": None},
        ),
        {
            "span_id": "s", "attempt_id": "t", "kind": "llm", "name": "chat", "position": 4,
            "parent_span_id": "q", "continues_span_id": "p", "model": "m", "tool_call_id": "c",
            "input_messages": '[{"role":"user","content":"hi"}]', "arguments": '{"x":[1]}', "result": "r",
            "output_messages": '[{"role":"assistant","reasoning_content":"hm"}]', "status": "success",
            "latency_ms": 3.0, "tokens": "{}", "input_tokens": None, "attributes": '{"z":null}',
        },
    ),
    (
        signals.ArtifactProduced(
            artifact_id="f", rollout_id="r", attempt_id="t", name="n", content="Rain",
            content_format="markdown",
        ),
        {
            "artifact_id": "f", "rollout_id": "r", "attempt_id": "t", "name": "n", "content": "Rain",
            "content_format": "markdown", "text_hash": text_hash("Rain"),
        },
    ),
    (
        signals.EvaluationGiven(
            evaluation_id="e", artifact_id="f", cycle=1, score=7, raw_score=0.7, raw_scale="0-1",
            comment="ok",
            ranking=[["f"], ["g", "h"]], preference=0.8, evaluator="me", evaluator_kind="model", cost_usd=0.1,
        ),
        {
            "evaluation_id": "e", "artifact_id": "f", "cycle": 1, "score": 7.0, "raw_score": 0.7,
            "raw_scale": "0-1", "comment": "ok", "ranking": '[["f"],["g","h"]]', "preference": 0.8,
            "evaluator": "me", "evaluator_kind": "model", "cost_usd": 0.1, "directives": "[]",
        },
    ),
    (
        signals.EvolutionRecorded(
            evolution_id="v", lineage_id="l", before_agent_id="a", after_agent_id="b", cycle=1,
            changes=["prompt"], hypothesis="helps", expected_delta=1.5, directive_ids=["d"],
        ),
        {
            "evolution_id": "v", "before_agent_id": "a", "after_agent_id": "b", "changes": '["prompt"]',
            "hypothesis": "helps", "expected_delta": 1.5, "directive_ids": '["d"]',
        },
    ),
    (
        signals.EvolutionOutcome(evolution_id="v", score_delta=2.0, validated=True, comment="yes"),
        {"evolution_id": "v", "score_delta": 2.0, "validated": True, "comment": "yes"},
    ),
    (
        signals.InsightNoted(
            insight_id="i", pattern="short wins", description="always", lineage_id="l", evidence_ids=["e"],
            confidence=0.9,
        ),
        {"insight_id": "i", "pattern": "short wins", "evidence_ids": '["e"]', "confidence": 0.9},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("body", "wanted"), ONE_OF_EACH, ids=lambda one: getattr(type(one), "__name__", ""))
def test_every_kind_becomes_a_row_that_fits_its_table(body: Body, wanted: dict[str, Any]) -> None:
    table, _ = TABLE_OF_KIND[KIND_OF[type(body)]]
    frame = project(events([("s1", body)]), HOUR)[table.name].frame
    row = frame.row(0, named=True)
    assert {name: row[name] for name in wanted} == wanted
    assert (row["session_id"], row["source"], row["synthetic"]) == ("s1", "test", False)
    assert row["hour"] == row["happened_at"] == HOUR.start
    assert check_rows(table, frame).rejected.height == 0


def test_every_kind_of_training_record_is_registered_and_has_a_table() -> None:
    assert set(TABLE_OF_KIND) == set(signals.SIGNAL_KINDS)
    assert all(body_type(kind) is body for kind, body in signals.SIGNAL_KINDS.items())
    assert {table.name for table, _ in TABLE_OF_KIND.values()} == {table.name for table in RECORDS}
    assert {type(body) for body, _ in ONE_OF_EACH} == set(signals.SIGNAL_KINDS.values())


def test_the_first_of_two_records_with_one_id_stands_and_a_different_second_is_kept_apart() -> None:
    told: list[Told] = [
        ("s", signals.SessionStarted(user_need="first")),
        ("s", signals.SessionStarted(user_need="first")),
        ("s", signals.SessionStarted(user_need="second")),
    ]
    sessions = project(events(told), HOUR)[SESSIONS.name]
    assert sessions.frame["user_need"].to_list() == ["first"]
    assert sessions.rejected.height == 1
    assert "says something else; the first stands" in sessions.rejected["reason"][0]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"body": pl.lit("{")}, "cannot be read"),
        ({"body": pl.lit('{"user_need": 3}')}, "cannot be read"),
        ({"happened_at": pl.col("happened_at").dt.offset_by("2h")}, "did not happen in"),
    ],
)
def test_an_event_that_becomes_no_row_is_kept_with_the_reason(change: dict[str, Any], reason: str) -> None:
    frame = events([("s", signals.SessionStarted(user_need="x"))]).with_columns(**change)
    sessions = project(frame, HOUR)[SESSIONS.name]
    assert sessions.frame.height == 0
    assert reason in sessions.rejected["reason"][0]
    assert sessions.rejected["row"][0] == frame["body"][0]


def test_other_kinds_are_passed_over_and_an_empty_hour_is_empty() -> None:
    frame = events([("s", signals.SessionStarted())]).with_columns(kind=pl.lit("task_received"))
    assert all(one.frame.height + one.rejected.height == 0 for one in project(frame, HOUR).values())


def test_a_content_is_stored_once_over_hours_and_sessions(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    content = signals.ContentStored(hash=text_hash("p"), media="prompt", text="p")
    fill(warehouse, events([("s1", content), ("s2", content)]), HOUR)
    later = fill(warehouse, events([("s3", content)], NEXT), NEXT)
    assert later[CONTENTS.name].frame.height == 0
    assert warehouse.read_all(CONTENTS)["session_id"].to_list() == ["s1"]


def test_directives_of_an_evaluation_stand_among_the_directives() -> None:
    given = signals.EvaluationGiven(evaluation_id="e", cycle=2, directives=["shorter", "in rhyme"])
    own = signals.DirectiveGiven(directive_id="d", text="kinder")
    rows = project(events([("s", given), ("s", own)]), HOUR)[DIRECTIVES.name].frame
    assert rows.select("directive_id", "evaluation_id", "text").rows() == [
        ("e#0", "e", "shorter"),
        ("e#1", "e", "in rhyme"),
        ("d", None, "kinder"),
    ]


def test_agents_that_are_configured_alike_have_one_configuration_hash() -> None:
    def agent(agent_id: str, parameters: dict[str, Any], model: str = "m") -> Told:
        return "s", signals.AgentDefined(
            agent_id=agent_id, lineage_id=agent_id, version=1, model=model, parameters=parameters
        )

    told = [agent("1", {"a": 1, "b": 2}), agent("2", {"b": 2, "a": 1}), agent("3", {"a": 2, "b": 2})]
    frame = project(events([*told, agent("4", {"a": 1, "b": 2}, "n")]), HOUR)[AGENT_DEFINITIONS.name].frame
    hashes = frame["configuration_hash"].to_list()
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 3


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
MESSAGES = st.lists(
    st.builds(Message, role=st.sampled_from(["user", "assistant"]), content=TEXTS), max_size=4
)


@given(MESSAGES, TEXTS, st.integers(0, 10**12), st.floats(0, 1e6))
def test_what_goes_in_comes_out(messages: list[Message], text: str, count: int, cost: float) -> None:
    attempt = signals.AttemptFinished(
        attempt_id="t",
        rollout_id="r",
        prompt=messages,
        test_input=text,
        tokens=Tokens(input=count),
        cost_usd=cost,
    )
    span = signals.SpanFinished(
        span_id="s", attempt_id="t", kind="llm", output_messages=messages, result=text
    )
    projected = project(events([("s", attempt), ("s", span)]), HOUR)
    row = projected[ATTEMPTS.name].frame.row(0, named=True)
    assert msgspec.json.decode(row["prompt"], type=list[Message]) == messages
    assert (row["test_input"], row["input_tokens"], row["cost_usd"]) == (text, count, cost)
    other = projected[EXECUTION_SPANS.name].frame.row(0, named=True)
    assert json.loads(other["output_messages"]) == [msgspec.to_builtins(one) for one in messages]
    assert other["result"] == text
