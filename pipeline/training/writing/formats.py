"""What each trainer's format demands of a row, in sentences.

What belongs here: the parts (configurations) of each kind's repository and the check of one row; export and
``verify`` use the same. What does not: Arrow types (``parquet``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from pipeline.training.writing.rows import Row, outputs_of, prompt_of

Check = Callable[[Row], Iterator[str]]

PAIRED = ("chosen", "rejected")
ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})


class Part(NamedTuple):
    """One configuration of a repository: its name, folder, trainer's name and the check of its rows."""

    name: str
    folder: str
    trainer: str
    check: Check


def _texts(value: Any, name: str) -> Iterator[str]:
    if isinstance(value, str):
        if not value.strip():
            yield f"{name} is empty"
        return
    if not isinstance(value, list) or not value:
        yield f"{name} is neither a text nor a list of messages"
        return
    for place, message in enumerate(value):
        yield from _message(message, f"{name}[{place}]")


def _message(message: Any, name: str) -> Iterator[str]:
    if not isinstance(message, dict) or message.get("role") not in ROLES:
        yield f"{name} has no known role"
        return
    if not isinstance(message.get("content"), str):
        yield f"{name} has no text as content"
    extra = set(message) - {"role", "content", "name", "reasoning_content", "tool_calls", "tool_call_id"}
    if extra:
        yield f"{name} has the unknown key {min(extra)}"


def _columns(row: Row, needed: set[str], allowed: set[str]) -> Iterator[str]:
    for name in sorted(needed - set(row)):
        yield f"{name} is missing"
    for name in sorted(set(row) - needed - allowed):
        yield f"{name} is no column of this format"


def _one_form(row: Row, names: tuple[str, ...]) -> Iterator[str]:
    if len({type(row.get(name)) for name in names}) > 1:
        yield f"{', '.join(names)} mix texts and messages"


def _tools(row: Row) -> Iterator[str]:
    tools = row.get("tools")
    if tools is None:
        return
    if not isinstance(tools, str):
        yield "tools is no JSON text"
        return
    try:
        if not isinstance(json.loads(tools), list):
            yield "tools is no JSON list"
    except ValueError:
        yield "tools is no JSON"


def _asked(prompt: Any) -> Iterator[str]:
    if isinstance(prompt, list) and prompt and prompt[-1].get("role") not in ("user", "tool"):
        yield "the prompt does not end with a user's or a tool's message"


def _answered(completion: Any, name: str) -> Iterator[str]:
    if isinstance(completion, list) and completion and completion[-1].get("role") != "assistant":
        yield f"{name} does not end with the assistant"


def _supervised(row: Row) -> Iterator[str]:
    if "messages" in row:
        yield from _columns(row, {"messages"}, {"tools"})
        yield from _texts(row["messages"], "messages")
        yield from _answered(row["messages"], "messages")
    else:
        yield from _columns(row, {"prompt", "completion"}, {"tools"})
        yield from _prompt_and(row, ("completion",))
    yield from _tools(row)


def _reasoned(row: Row) -> Iterator[str]:
    yield from _supervised(row)
    messages = row.get("completion") or row.get("messages") or []
    if not any(isinstance(message, dict) and message.get("reasoning_content") for message in messages):
        yield "no message has reasoning_content"


def _prompt_and(row: Row, names: tuple[str, ...]) -> Iterator[str]:
    for name in ("prompt", *names):
        yield from _texts(row.get(name), name)
    yield from _one_form(row, ("prompt", *names))
    yield from _asked(row.get("prompt"))
    for name in names:
        yield from _answered(row.get(name), name)


def _paired(row: Row) -> Iterator[str]:
    yield from _columns(row, {"prompt", "chosen", "rejected"}, {"margin", "tools"})
    yield from _prompt_and(row, PAIRED)
    yield from _tools(row)
    yield from _untied(row)
    margin = row.get("margin")
    if not isinstance(margin, float) or not 0 < margin <= 1:
        yield "margin is no number above 0 and up to 1"


def _untied(row: Row) -> Iterator[str]:
    first, second = outputs_of(row)
    if first == second:
        yield "both completions are the same text"


def _scored(row: Row) -> Iterator[str]:
    yield from _columns(row, {"prompt", "completion", "score"}, {"tools"})
    yield from _prompt_and(row, ("completion",))
    score = row.get("score")
    if not isinstance(score, float) or not 1 <= score <= 10:
        yield "score is no number from 1 to 10"


def _labelled(row: Row) -> Iterator[str]:
    yield from _columns(row, {"prompt", "completion", "label"}, {"tools"})
    yield from _prompt_and(row, ("completion",))
    if not isinstance(row.get("label"), bool):
        yield "label is neither true nor false"


def _prompted(row: Row) -> Iterator[str]:
    known = {"ability", "ground_truth", "reference", "reference_score", "mean_score", "attempts"}
    yield from _columns(row, {"prompt"}, known)
    yield from _texts(row.get("prompt"), "prompt")
    yield from _asked(row.get("prompt"))


def _verl(row: Row) -> Iterator[str]:
    yield from _columns(row, {"data_source", "prompt", "ability", "reward_model", "extra_info"}, set())
    prompt = row.get("prompt")
    if not isinstance(prompt, list):
        yield "prompt is no list of messages"
        return
    yield from _texts(prompt, "prompt")
    yield from _asked(prompt)
    if any(set(message) != {"role", "content"} for message in prompt if isinstance(message, dict)):
        yield "prompt has messages with more than role and content"
    model = row.get("reward_model") or {}
    if model.get("style") not in ("rule", "model"):
        yield "reward_model.style is neither rule nor model"
    if not isinstance(model.get("ground_truth"), str) or not model["ground_truth"].strip():
        yield "reward_model.ground_truth is empty"
    if not isinstance(row.get("extra_info"), dict):
        yield "extra_info is no object"


def _openai_messages(messages: Any, name: str) -> Iterator[str]:
    yield from _texts(messages, name)
    if not isinstance(messages, list):
        return
    called: set[str] = set()
    for place, message in enumerate(message for message in messages if isinstance(message, dict)):
        if "reasoning_content" in message:
            yield f"{name}[{place}] has reasoning_content, which this format does not know"
        for call in message.get("tool_calls") or ():
            called.add(call.get("id", ""))
            yield from _openai_call(call, f"{name}[{place}]")
        if message.get("role") == "tool" and message.get("tool_call_id") not in called:
            yield f"{name}[{place}] answers no call made before it"


def _openai_call(call: Any, name: str) -> Iterator[str]:
    function = call.get("function") or {}
    if call.get("type") != "function" or not call.get("id") or not function.get("name"):
        yield f"{name} has a call without id, type function or name"
    arguments = function.get("arguments")
    try:
        whole = isinstance(arguments, str) and isinstance(json.loads(arguments), dict)
    except ValueError:
        whole = False
    if not whole:
        yield f"{name} has tool arguments that are no JSON text of an object"


def _openai_tools(tools: Any) -> Iterator[str]:
    if tools is None:
        return
    if not isinstance(tools, list) or not all(
        isinstance(tool, dict) and tool.get("type") == "function" and (tool.get("function") or {}).get("name")
        for tool in tools
    ):
        yield "tools is no list of named functions"


def _openai_sft(row: Row) -> Iterator[str]:
    yield from _columns(row, {"messages"}, {"tools"})
    yield from _openai_messages(row.get("messages"), "messages")
    yield from _answered(row.get("messages"), "messages")
    yield from _openai_tools(row.get("tools"))


def _openai_dpo(row: Row) -> Iterator[str]:
    yield from _columns(row, {"input", "preferred_output", "non_preferred_output"}, set())
    given = row.get("input")
    if not isinstance(given, dict):
        yield "input is no object"
        return
    yield from _openai_messages(given.get("messages"), "input.messages")
    yield from _asked(given.get("messages"))
    yield from _openai_tools(given.get("tools"))
    for name in ("preferred_output", "non_preferred_output"):
        output = row.get(name)
        yield from _openai_messages(output, name)
        if not isinstance(output, list) or len(output) != 1 or output[0].get("role") != "assistant":
            yield f"{name} is not exactly one message of the assistant"
    yield from _untied(row)


def _atif(row: Row) -> Iterator[str]:
    from atif import Trajectory
    from pydantic import ValidationError

    try:
        Trajectory.model_validate(row)
    except ValidationError as error:
        first = error.errors()[0]
        yield f"{'.'.join(str(part) for part in first['loc']) or 'the document'}: {first['msg']}"


FORMATS: Mapping[str, tuple[Part, ...]] = {
    "sft": (Part("default", "data", "TRL SFTTrainer", _supervised),),
    "preferences": (Part("default", "data", "TRL DPOTrainer", _paired),),
    "rewards": (
        Part("default", "data", "TRL RewardTrainer", _paired),
        Part("scores", "scores", "no TRL trainer; scalar reward models", _scored),
    ),
    "kto": (Part("default", "data", "TRL KTOTrainer", _labelled),),
    "reasoning": (Part("default", "data", "TRL SFTTrainer", _reasoned),),
    "grpo": (Part("default", "data", "TRL GRPOTrainer", _prompted),),
    "verl": (Part("default", "data", "verl", _verl),),
    "openai-sft": (Part("default", "data", "OpenAI supervised fine-tuning", _openai_sft),),
    "openai-dpo": (Part("default", "data", "OpenAI preference fine-tuning", _openai_dpo),),
    "atif": (Part("default", "data", "readers of ATIF", _atif),),
}
"""The parts of each kind's repository; the first is the one that is loaded by default."""


def part_of(kind: str, name: str) -> Part:
    """The part of that name."""
    return next(part for part in FORMATS[kind] if part.name == name)


def form_of(row: Row) -> str:
    """``text`` or ``messages``: what the row's prompt is; one file never mixes both."""
    return "text" if isinstance(prompt_of(row), str) else "messages"
