"""Prompts and completions of highly scored artifacts: ``sft``, ``reasoning`` and ``openai-sft``.

What belongs here: the rows of these three kinds. What does not: their files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pipeline.settings.exports import Criteria
from pipeline.training.examples.conversations import (
    Conversation,
    Message,
    Refused,
    as_text,
    conversation,
    dump,
    ordered,
    says_something,
    turns,
)
from pipeline.training.examples.example import Example, example_of
from pipeline.training.examples.records import Texts


def sft(
    candidate: dict[str, Any], texts: Texts, criteria: Criteria, which: str | None = None
) -> Iterator[Example]:
    """``prompt`` and ``completion`` (or ``messages``), with ``tools`` as JSON text where the agent had
    any.
    """
    talk = conversation(candidate, texts, system=criteria.system_prompt != "leave_out")
    for prompt, completion in turns(talk, which or criteria.turns):
        yield _row(candidate, talk, prompt, completion, criteria)


def reasoning(
    candidate: dict[str, Any], texts: Texts, criteria: Criteria, which: str | None = None
) -> Iterator[Example]:
    """As ``sft``, only completions with reasoning, which stands in the assistant's ``reasoning_content``."""
    talk = conversation(candidate, texts, system=criteria.system_prompt != "leave_out")
    talk = talk._replace(answer=with_reasoning(talk.answer, texts.spans.get(candidate["attempt_id"], [])))
    thought = [
        (prompt, completion)
        for prompt, completion in turns(talk, which or criteria.turns)
        if any(message.get("reasoning_content") for message in completion)
    ]
    if not thought:
        raise Refused("no_reasoning")
    events = (*candidate["events"], *_reasoning_events(texts.spans.get(candidate["attempt_id"], [])))
    for prompt, completion in thought:
        yield _row({**candidate, "events": events}, talk, prompt, completion, criteria)


def openai_sft(
    candidate: dict[str, Any], texts: Texts, criteria: Criteria, which: str | None = None
) -> Iterator[Example]:
    """``messages`` ending with the assistant, ``tools`` as a list; tool arguments are JSON texts."""
    talk = conversation(candidate, texts, system=criteria.system_prompt != "leave_out")
    for prompt, completion in turns(talk, which or criteria.turns):
        if not says_something(completion):
            raise Refused("empty_completion")
        row: dict[str, Any] = {"messages": [for_openai(message) for message in [*prompt, *completion]]}
        if talk.tools:
            row["tools"] = json.loads(talk.tools)
        yield example_of(candidate, row, rule=_rule(criteria))


def for_openai(message: Message) -> Message:
    """A message as OpenAI's files have it: no reasoning, arguments as JSON text, null content beside
    calls.
    """
    changed = {key: value for key, value in message.items() if key not in ("reasoning_content", "tool_calls")}
    if message["role"] == "tool":
        changed.pop("name", None)
    calls = message.get("tool_calls")
    if calls:
        changed["tool_calls"] = [
            {
                "id": call.get("id") or f"call_{place}",
                "type": "function",
                "function": {
                    "name": call["function"]["name"],
                    "arguments": dump(call["function"]["arguments"]),
                },
            }
            for place, call in enumerate(calls)
        ]
    if message["role"] == "tool" and "tool_call_id" not in changed:
        raise Refused("tool_call_id_missing")
    return changed


def _row(
    candidate: dict[str, Any],
    talk: Conversation,
    prompt: list[Message],
    completion: list[Message],
    criteria: Criteria,
) -> Example:
    if not says_something(completion):
        raise Refused("empty_completion")
    if criteria.layout == "messages":
        row: dict[str, Any] = {"messages": [*prompt, *completion]}
    elif criteria.prompts == "text":
        row = {"prompt": as_text(prompt), "completion": as_text(completion)}
    else:
        row = {"prompt": prompt, "completion": completion}
    if talk.tools and criteria.prompts == "messages":
        row["tools"] = talk.tools
    return example_of(candidate, row, rule=_rule(criteria))


def _rule(criteria: Criteria) -> str:
    return "any_score" if criteria.minimum_score is None else "minimum_score"


def with_reasoning(answer: list[Message], spans: list[dict[str, Any]]) -> list[Message]:
    """The answer with the text of reasoning spans put to the assistant's turns they belong to.

    Calls of the model follow the assistant's turns in order. Reasoning belongs to the call it is a part of,
    else to the next call, else to the last one; without any call it belongs to the first turn. A turn that
    has reasoning of its own keeps that.
    """
    thoughts = iter(_thoughts(spans))
    changed = []
    for message in answer:
        text = next(thoughts, "") if message["role"] == "assistant" else ""
        bare = bool(text) and "reasoning_content" not in message
        changed.append(ordered({**message, "reasoning_content": text}) if bare else message)
    return changed


def _thoughts(spans: list[dict[str, Any]]) -> list[str]:
    """The reasoning of each call of the model, in order."""
    calls = {span["span_id"]: place for place, span in enumerate(s for s in spans if s["kind"] == "llm")}
    thoughts: list[list[str]] = [[] for _ in range(max(1, len(calls)))]
    seen = 0
    for span in spans:
        if span["kind"] == "llm":
            seen += 1
        elif span["kind"] == "reasoning" and span["result"].strip():
            place = calls.get(span["parent_span_id"] or "", min(seen, len(thoughts) - 1))
            thoughts[place].append(span["result"].strip())
    return ["\n\n".join(thought) for thought in thoughts]


def _reasoning_events(spans: list[dict[str, Any]]) -> list[str]:
    return [span["event_id"] for span in spans if span["kind"] == "reasoning"]
