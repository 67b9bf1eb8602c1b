"""What every format's rows have in common: a prompt, texts, one canonical line and its hash.

What belongs here: reading these from a row of any kind, so that export and verification agree. What does
not: what one format demands (``formats``).
"""

from __future__ import annotations

import hashlib
import itertools
from typing import Any

import msgspec

Row = dict[str, Any]

VERBATIM = ("arguments", "tools")
"""Keys whose values may hold anything that JSON can."""


def line_of(row: Row) -> bytes:
    """The row as one canonical line of JSON: keys in order, nothing null, no line feed."""
    return msgspec.json.encode(without_nulls(row))


def hash_of(line: bytes) -> str:
    """SHA-256 of a row's canonical line."""
    return hashlib.sha256(line).hexdigest()


def without_nulls(value: Any) -> Any:
    """The value with every key left out whose value is null; null elements of lists stay.

    Parquet cannot tell such a key from none. What a tool was called with and how tools are defined is left
    as it is: there a null says something, and these are kept as JSON text.
    """
    if isinstance(value, dict):
        return {
            key: part if key in VERBATIM else without_nulls(part)
            for key, part in value.items()
            if part is not None
        }
    if isinstance(value, list):
        return [without_nulls(part) for part in value]
    return value


def prompt_of(row: Row) -> Any:
    """What stands before the first answer: a text, messages, or an ATIF document's first steps."""
    if "prompt" in row:
        return row["prompt"]
    if "input" in row:
        return row["input"]["messages"]
    if "steps" in row:
        first = itertools.takewhile(lambda step: step["source"] != "agent", row["steps"])
        return [{"role": step["source"], "content": step["message"]} for step in first]
    return list(itertools.takewhile(lambda message: message["role"] != "assistant", row["messages"]))


def prompt_hash(row: Row) -> str:
    """SHA-256 of the prompt's canonical JSON; equal for byte-equal prompts only."""
    return hashlib.sha256(msgspec.json.encode(without_nulls(prompt_of(row)))).hexdigest()


def outputs_of(row: Row) -> list[Any]:
    """The completions of a row, each a text or messages: one, two for a pair, none for a prompt alone."""
    for first, second in (("chosen", "rejected"), ("preferred_output", "non_preferred_output")):
        if first in row:
            return [row[first], row[second]]
    if "completion" in row:
        return [row["completion"]]
    if "steps" in row:
        later = itertools.dropwhile(lambda step: step["source"] != "agent", row["steps"])
        return [[_as_message(step) for step in later]]
    if "messages" in row:
        return [list(itertools.dropwhile(lambda message: message["role"] != "assistant", row["messages"]))]
    return []


def texts_of(part: Any) -> list[str]:
    """Every text of a prompt or completion, calls as JSON."""
    if isinstance(part, str):
        return [part]
    found = []
    for message in part:
        found += [message.get("reasoning_content") or "", message.get("content") or ""]
        found += [msgspec.json.encode(call).decode() for call in message.get("tool_calls") or ()]
    return [text for text in found if text]


def gist_of(row: Row) -> str:
    """What tells a row from another: the last thing asked and what followed, without the shared beginning.

    Long system prompts and earlier turns, which many rows share, would make all of them look alike.
    """
    prompt = prompt_of(row)
    last = prompt if isinstance(prompt, str) else [*prompt[-1:]]
    return "\n".join([*texts_of(last), *(text for output in outputs_of(row) for text in texts_of(output))])


def _as_message(step: Row) -> Row:
    """A step as a message, its observations as text of the same turn."""
    observed = [
        result.get("content") or ""
        for result in (step.get("observation") or {}).get("results", ())
        if isinstance(result.get("content"), str)
    ]
    return {
        "content": "\n".join([step["message"], *observed]),
        "reasoning_content": step.get("reasoning_content"),
        "tool_calls": step.get("tool_calls"),
    }
