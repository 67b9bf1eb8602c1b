"""Rows survive Parquet and JSONL unchanged; conversations are cut as asked; each format refuses "
"what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.training.examples.conversations import (
    Conversation,
    Refused,
    as_text,
    messages_of,
    ordered,
    turns,
)
from pipeline.training.examples.supervised import for_openai, with_reasoning
from pipeline.training.writing.formats import FORMATS
from pipeline.training.writing.parquet import read_shards, schema_of, write_shards
from pipeline.training.writing.rows import line_of, prompt_hash, prompt_of

USER = {"role": "user", "content": "How?"}
SAYS = {"role": "assistant", "content": "So."}
CALLS = {
    "role": "assistant",
    "content": "",
    "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "look", "arguments": {"deep": [1, None]}}}
    ],
}
FOUND = {"role": "tool", "content": "there", "name": "look", "tool_call_id": "c1"}

plain = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain, inner, max_size=3),
    max_leaves=6,
)
calls = st.lists(
    st.fixed_dictionaries(
        {
            "type": st.just("function"),
            "function": st.fixed_dictionaries(
                {
                    "name": plain,
                    "arguments": st.dictionaries(plain, values, max_size=3),
                }
            ),
        }
    ),
    min_size=1,
    max_size=2,
)
answers = st.fixed_dictionaries(
    {"role": st.just("assistant"), "content": plain},
    optional={"reasoning_content": plain, "tool_calls": calls},
).map(ordered)
asked = st.fixed_dictionaries({"role": st.just("user"), "content": plain}).map(ordered)
supervised = st.fixed_dictionaries(
    {
        "prompt": st.lists(asked, min_size=1, max_size=2),
        "completion": st.lists(answers, min_size=1, max_size=2),
    },
    optional={"tools": plain},
).map(lambda row: {name: row[name] for name in ("prompt", "completion", "tools") if name in row})


@given(st.lists(supervised, min_size=1, max_size=5))
def test_rows_come_back_from_parquet_as_they_were(rows: list[dict[str, Any]]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        shards = write_shards(Path(folder), "train", "sft", rows, schema=schema_of("sft", rows), shard_rows=2)
        back = list(read_shards(shards, "sft"))
        assert [path.name[-14:] for path in shards] == [f"of-{len(shards):05d}.parquet"[-14:]] * len(shards)
    assert [line_of(row) for row in back] == [line_of(row) for row in rows]
    assert [prompt_hash(row) for row in back] == [prompt_hash(row) for row in rows]


@pytest.mark.parametrize("kind", ["grpo", "verl"])
def test_columns_that_the_first_row_lacks_keep_their_place(kind: str, tmp_path: Path) -> None:
    full = {"prompt": [USER], "ability": "x", "reference": "r", "reference_score": 3.5, "attempts": 2}
    if kind == "verl":
        full = {
            "data_source": "d",
            "prompt": [USER],
            "ability": "x",
            "reward_model": {"style": "rule", "ground_truth": "1"},
            "extra_info": {"split": "train", "index": 0, "reference_score": 2.0, "attempts": 1},
        }
    short = json.loads(json.dumps(full))
    short.pop("reference_score", None)
    short.get("extra_info", {}).pop("reference_score", None)
    rows = [short, full]
    shards = write_shards(tmp_path, "train", kind, rows, schema=schema_of(kind, rows), shard_rows=9)
    assert [line_of(row) for row in read_shards(shards, kind)] == [line_of(row) for row in rows]


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        ("whole", [([USER], [CALLS, FOUND, SAYS])]),
        ("last", [([USER, CALLS, FOUND], [SAYS])]),
        ("every", [([USER], [CALLS]), ([USER, CALLS, FOUND], [SAYS])]),
    ],
)
def test_a_conversation_is_cut_as_asked(which: str, expected: list[Any]) -> None:
    assert list(turns(Conversation([USER], [CALLS, FOUND, SAYS], None), which)) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "messages_unreadable"),
        ('{"role": "user"}', "messages_unreadable"),
        ('[{"role": "robot", "content": "x"}]', "role_unknown"),
        ('[{"role": "user", "content": [1]}]', "content_not_text"),
        (
            '[{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}]',
            "tool_arguments_unreadable",
        ),
        (
            '[{"role": "assistant", "tool_calls": [{"function": {"arguments": "{}"}}]}]',
            "tool_arguments_unreadable",
        ),
    ],
)
def test_messages_that_cannot_be_used_are_refused_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        messages_of(text)


def test_messages_of_several_roles_have_no_text_form() -> None:
    assert as_text([USER]) == "How?"
    with pytest.raises(Refused, match="needs_messages"):
        as_text([{"role": "system", "content": "x"}, USER])


def span(kind: str, name: str, text: str = "", parent: str | None = None) -> dict[str, Any]:
    return {"kind": kind, "span_id": name, "result": text, "parent_span_id": parent, "event_id": name}


@pytest.mark.parametrize(
    ("spans", "thoughts"),
    [
        ([span("llm", "1"), span("reasoning", "2", "why", "1"), span("llm", "3")], ["why", None]),
        ([span("llm", "1"), span("llm", "3"), span("reasoning", "2", "why", "3")], [None, "why"]),
        (
            [
                span("reasoning", "0", "first"),
                span("llm", "1"),
                span("reasoning", "2", "then"),
                span("llm", "3"),
            ],
            ["first", "then"],
        ),
        ([span("llm", "1"), span("llm", "3"), span("reasoning", "4", "late")], [None, "late"]),
        ([span("reasoning", "0", "a"), span("reasoning", "1", "b")], ["a\n\nb", None]),
        ([], [None, None]),
    ],
)
def test_reasoning_goes_to_the_turn_it_belongs_to(
    spans: list[dict[str, Any]], thoughts: list[str | None]
) -> None:
    answer = with_reasoning([CALLS, FOUND, SAYS], spans)
    said = [message for message in answer if message["role"] == "assistant"]
    assert [message.get("reasoning_content") for message in said] == thoughts


def test_reasoning_of_its_own_stays() -> None:
    own = {**SAYS, "reasoning_content": "mine"}
    assert with_reasoning([own], [span("reasoning", "1", "other")]) == [own]


def test_openai_gets_arguments_as_text_and_no_reasoning() -> None:
    written = for_openai({**CALLS, "reasoning_content": "hidden"})
    assert written["tool_calls"][0]["function"]["arguments"] == '{"deep":[1,null]}'
    assert "reasoning_content" not in written


PAIR = {"prompt": [USER], "chosen": [SAYS], "rejected": [{**SAYS, "content": "No."}], "margin": 0.5}
OPENAI_PAIR = {
    "input": {"messages": [USER]},
    "preferred_output": [SAYS],
    "non_preferred_output": [{**SAYS, "content": "No."}],
}
VERL = {
    "data_source": "d",
    "prompt": [USER],
    "ability": "x",
    "reward_model": {"style": "rule", "ground_truth": "1"},
    "extra_info": {"split": "train", "index": 0},
}
TRAJECTORY = {
    "schema_version": "ATIF-v1.8",
    "agent": {"name": "a", "version": "1"},
    "steps": [{"step_id": 1, "source": "user", "message": "How?"}],
}


@pytest.mark.parametrize(
    ("kind", "row", "change", "problem"),
    [
        ("sft", {"prompt": [USER], "completion": [SAYS]}, {}, None),
        ("sft", {"prompt": "How?", "completion": "So."}, {}, None),
        ("sft", {"prompt": "How?", "completion": [SAYS]}, {}, "mix texts and messages"),
        ("sft", {"prompt": [USER], "completion": [SAYS]}, {"extra": 1}, "extra is no column"),
        ("sft", {"prompt": [USER], "completion": [FOUND]}, {}, "does not end with the assistant"),
        ("sft", {"prompt": [SAYS], "completion": [SAYS]}, {}, "does not end with a user's"),
        ("sft", {"prompt": [USER], "completion": [SAYS]}, {"tools": "{"}, "tools is no JSON"),
        ("sft", {"prompt": " ", "completion": "x"}, {}, "prompt is empty"),
        ("sft", {"prompt": [{"role": "user"}], "completion": [SAYS]}, {}, "no text as content"),
        ("reasoning", {"prompt": [USER], "completion": [SAYS]}, {}, "no message has reasoning_content"),
        ("preferences", PAIR, {}, None),
        ("preferences", PAIR, {"rejected": [SAYS]}, "same text"),
        ("preferences", PAIR, {"margin": 0.0}, "margin"),
        ("kto", {"prompt": "q", "completion": "a", "label": True}, {}, None),
        ("kto", {"prompt": "q", "completion": "a", "label": 1}, {}, "neither true nor false"),
        ("grpo", {"prompt": [USER], "ability": "x"}, {}, None),
        ("grpo", {"prompt": []}, {}, "neither a text nor a list"),
        ("verl", VERL, {}, None),
        ("verl", VERL, {"prompt": "How?"}, "no list of messages"),
        ("verl", VERL, {"reward_model": {"style": "rule", "ground_truth": ""}}, "ground_truth is empty"),
        ("openai-sft", {"messages": [USER, SAYS]}, {}, None),
        ("openai-sft", {"messages": [USER, CALLS, FOUND, SAYS]}, {}, "no JSON text of an object"),
        ("openai-sft", {"messages": [USER, FOUND, SAYS]}, {}, "answers no call"),
        ("openai-dpo", OPENAI_PAIR, {}, None),
        ("openai-dpo", OPENAI_PAIR, {"preferred_output": [SAYS, SAYS]}, "not exactly one message"),
        ("atif", TRAJECTORY, {}, None),
        ("atif", TRAJECTORY, {"steps": [{"step_id": 2, "source": "user", "message": ""}]}, "not sequential"),
    ],
)
def test_each_format_says_what_is_wrong(
    kind: str, row: dict[str, Any], change: dict[str, Any], problem: str | None
) -> None:
    found = list(FORMATS[kind][0].check({**row, **change}))
    assert found == [] if problem is None else any(problem in sentence for sentence in found)


def test_the_prompt_of_a_conversation_is_what_stands_before_the_first_answer() -> None:
    assert prompt_of({"messages": [USER, SAYS, USER, SAYS]}) == [USER]
    assert prompt_of(OPENAI_PAIR) == [USER]
    assert prompt_of(TRAJECTORY) == [{"role": "user", "content": "How?"}]
