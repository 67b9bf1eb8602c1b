"""Chat messages as other programs write them into messages and spans.

What belongs here: what formats made of chat messages share. What does not: any one file format.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.capture.events import Message
from pipeline.capture.signals import SpanFinished
from pipeline.errors import InputError
from pipeline.training.importing.signalling import expect, identifier, short


def as_message(raw: Any, where: str) -> Message:
    """One message in the form of the OpenAI chat API; raises ``InputError`` for what is none.

    Content that is a list of parts becomes the text of its text parts; other parts are named in brackets.
    """
    raw = expect(raw, dict, where)
    role = expect(raw.get("role"), str, f"{where}, role")
    calls = raw.get("tool_calls") or []
    for call in expect(calls, list, f"{where}, tool_calls"):
        expect(call, dict, f"{where}, tool_calls")
    return Message(
        role=short(role),
        content=as_text(raw.get("content"), f"{where}, content"),
        name=short(raw["name"]) if raw.get("name") else None,
        reasoning_content=as_text(raw.get("reasoning_content"), f"{where}, reasoning_content"),
        tool_calls=list(calls),
        tool_call_id=short(raw["tool_call_id"]) if raw.get("tool_call_id") else None,
    )


def as_text(content: Any, where: str) -> str:
    """Content as text: null is empty, parts are joined by line feeds."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    parts = []
    for part in expect(content, list, where):
        if isinstance(part, str):
            parts.append(part)
            continue
        fields = expect(part, dict, where)
        kind = fields.get("type", "text")
        parts.append(str(fields.get("text", "")) if kind == "text" else f"[{kind}]")
    return "\n".join(parts)


def split_prompt(messages: Sequence[Message]) -> tuple[list[Message], list[Message]]:
    """What stood before the first answer of the assistant, and the rest; raises where nobody answers."""
    first = next((i for i, message in enumerate(messages) if message.role == "assistant"), None)
    if not first:
        raise InputError(
            "The conversation has no prompt with an assistant's answer after it; there is nothing to learn."
        )
    return list(messages[:first]), list(messages[first:])


@dataclass
class _Walk:
    """Where a walk through a conversation stands."""

    attempt_id: str
    spans: list[SpanFinished]
    waiting: list[Message]
    last_call: str | None = None

    def next_id(self, kind: str) -> str:
        return identifier("span", self.attempt_id, len(self.spans), kind)


def conversation_spans(
    attempt_id: str, messages: Sequence[Message], *, model: str | None = None
) -> list[SpanFinished]:
    """A span per answer of the assistant, per piece of its reasoning, and per result of a tool.

    An answer's input are the messages since the answer before, which it continues; tools and reasoning are
    parts of the answer that asked for them.
    """
    walk = _Walk(attempt_id, [], [])
    asked: dict[str, tuple[str, Any]] = {}
    for message in messages:
        if message.role == "assistant":
            _answer(walk, message, model)
            asked.update(_calls(message))
        elif message.role == "tool":
            _tool(walk, message, asked)
        if message.role != "assistant":
            walk.waiting.append(message)
    return walk.spans


def _answer(walk: _Walk, message: Message, model: str | None) -> None:
    span = SpanFinished(
        span_id=walk.next_id("llm"),
        attempt_id=walk.attempt_id,
        kind="llm",
        name="chat",
        position=len(walk.spans),
        continues_span_id=walk.last_call,
        model=model,
        input_messages=walk.waiting,
        output_messages=[message],
        status="success",
    )
    walk.spans.append(span)
    walk.waiting, walk.last_call = [], span.span_id
    if message.reasoning_content:
        walk.spans.append(
            SpanFinished(
                span_id=walk.next_id("reasoning"),
                attempt_id=walk.attempt_id,
                kind="reasoning",
                name="reasoning",
                position=len(walk.spans),
                parent_span_id=span.span_id,
                result=message.reasoning_content,
                status="success",
            )
        )


def _calls(message: Message) -> dict[str, tuple[str, Any]]:
    """The tool and the arguments of each call that has an id."""
    calls: dict[str, tuple[str, Any]] = {}
    for call in message.tool_calls:
        function = call.get("function")
        if isinstance(function, dict) and call.get("id"):
            calls[short(call["id"])] = (short(function.get("name", "tool")), _arguments(function))
    return calls


def _arguments(function: dict[str, Any]) -> Any:
    """Arguments as a value; a text that is no JSON stays a text."""
    written = function.get("arguments")
    if not isinstance(written, str):
        return written
    try:
        return json.loads(written)
    except (ValueError, RecursionError):
        return written


def _tool(walk: _Walk, message: Message, asked: dict[str, tuple[str, Any]]) -> None:
    called, arguments = asked.get(message.tool_call_id or "", (None, None))
    walk.spans.append(
        SpanFinished(
            span_id=walk.next_id("tool"),
            attempt_id=walk.attempt_id,
            kind="tool",
            name=called or message.name or "tool",
            position=len(walk.spans),
            parent_span_id=walk.last_call,
            tool_call_id=message.tool_call_id,
            arguments=arguments,
            result=message.content,
            status="unknown",
        )
    )
