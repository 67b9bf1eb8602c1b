"""What a server sent back, as a reply: JSON bodies, event streams, usage, errors.

What belongs here: reading bodies of chat, completions and embeddings. What does not: whether to try again
(``client``). ``MalformedAnswerError`` says that a body is not what the API promises.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from pipeline.collector.exchange import Reply, Usage


class MalformedAnswerError(Exception):
    """The body is no answer; the message says in what."""


class ErrorInAnswerError(Exception):
    """A body with an ``error`` where an answer was promised; ``status`` is the error's own code or 502."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def read_json(body: bytes) -> dict[str, Any]:
    """The body as an object."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise MalformedAnswerError("the answer is no valid JSON") from None
    if not isinstance(document, dict):
        raise MalformedAnswerError("the answer is no JSON object")
    return document


def reply_of(document: dict[str, Any], key: str, payload: Mapping[str, Any]) -> Reply:
    """The reply in a document; raises where there is none."""
    error = document.get("error")
    if error:
        code = error.get("code") if isinstance(error, dict) else None
        status = code if isinstance(code, int) and 400 <= code < 600 else 502
        raise ErrorInAnswerError(status, error_text(document))
    served = document.get("model")
    common: dict[str, Any] = {
        "raw": document,
        "served_model": served if isinstance(served, str) else None,
        "synthetic": document.get("synthetic") is True,
    }
    if "input" in payload:
        vectors = _vectors(document)
        return Reply(
            key, embedding=vectors, usage=_usage(document, payload, ""), finish_reason="stop", **common
        )
    choices = document.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise MalformedAnswerError("the answer has no choices")
    text, finish = _text(choices[0]), choices[0].get("finish_reason")
    return Reply(
        key,
        text=text,
        usage=_usage(document, payload, text),
        finish_reason=finish if isinstance(finish, str) else None,
        **common,
    )


def error_text(document: Any) -> str:
    """What an error body says, at whatever place, as one line."""
    error = (
        document.get("error", document.get("message", document.get("detail")))
        if isinstance(document, dict)
        else ""
    )
    if isinstance(error, dict):
        error = error.get("message") or error.get("code") or error.get("type") or ""
    return " ".join(str(error or "").split())[:200]


def error_code(document: Any) -> str:
    """The error's own code or type, lower case; empty where there is none."""
    error = document.get("error") if isinstance(document, dict) else None
    return str(error.get("code") or error.get("type") or "").lower() if isinstance(error, dict) else ""


def extracted(document: Mapping[str, Any] | None, paths: tuple[str, ...]) -> dict[str, Any]:
    """Values at dotted paths; a path that leads nowhere is left out."""
    found: dict[str, Any] = {}
    for path in paths:
        place: Any = document
        for step in path.split("."):
            if isinstance(place, Mapping):
                place = place.get(step)
            elif isinstance(place, list) and step.isdigit() and int(step) < len(place):
                place = place[int(step)]
            else:
                place = None
        if place is not None:
            found[path] = place
    return found


class EventStream:
    """Server-sent events in, one document as without streaming out."""

    def __init__(self) -> None:
        self._rest = b""
        self._texts: list[str] = []
        self._document: dict[str, Any] = {}
        self._finish: str | None = None
        self.done = False

    def feed(self, data: bytes) -> None:
        """Takes decoded bytes, cut anywhere."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if not line.startswith(b"data:"):
                continue  # comments, event names and blank lines carry nothing
            content = line[5:].strip()
            if content == b"[DONE]":
                self.done = True
            elif content:
                self._take(read_json(content))

    def document(self) -> dict[str, Any]:
        """The whole answer; raises where the stream broke off before its end."""
        if self._rest.strip():
            self.feed(b"\n")
        if not self.done and self._finish is None and "error" not in self._document:
            raise MalformedAnswerError("the stream breaks off before its end")
        text = "".join(self._texts)
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text},
            "finish_reason": self._finish,
        }
        return {**self._document, "object": "chat.completion", "choices": [choice]}

    def _take(self, chunk: dict[str, Any]) -> None:
        for name in ("id", "model", "created", "usage", "synthetic", "error", "system_fingerprint"):
            if chunk.get(name) is not None:
                self._document[name] = chunk[name]
        choices = chunk.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
            return
        delta = choices[0].get("delta")
        text = delta.get("content") if isinstance(delta, dict) else choices[0].get("text")
        if isinstance(text, str):
            self._texts.append(text)
        self._finish = choices[0].get("finish_reason") or self._finish


def _text(choice: dict[str, Any]) -> str:
    message = choice.get("message")
    content = message.get("content") if isinstance(message, dict) else choice.get("text")
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return "".join(part for part in parts if isinstance(part, str))
    if content is None and isinstance(message, dict):
        return ""  # a refusal or a call of a tool: an answer without text
    if not isinstance(content, str):
        raise MalformedAnswerError("the answer has no text")
    return content


def _vectors(document: dict[str, Any]) -> tuple[tuple[float, ...], ...]:
    rows = document.get("data")
    try:
        ordered = sorted(rows or (), key=lambda row: row.get("index", 0))
        vectors = tuple(tuple(float(value) for value in row["embedding"]) for row in ordered)
    except (TypeError, ValueError, KeyError, AttributeError):
        raise MalformedAnswerError("the answer has no embeddings") from None
    if not vectors:
        raise MalformedAnswerError("the answer has no embeddings")
    return vectors


def _usage(document: dict[str, Any], payload: Mapping[str, Any], text: str) -> Usage:
    usage: Any = document.get("usage")
    prompt = _count(usage, "prompt_tokens")
    if prompt is None:
        asked = payload.get("messages") or payload.get("prompt") or payload.get("input") or ""
        return Usage(len(str(asked)) // 4, len(text) // 4, estimated=True)
    completion = _count(usage, "completion_tokens") or 0
    cached = _count(usage.get("prompt_tokens_details"), "cached_tokens") or 0
    reasoning = _count(usage.get("completion_tokens_details"), "reasoning_tokens") or 0
    return Usage(prompt, completion, cached, reasoning)


def _count(place: Any, name: str) -> int | None:
    value = place.get(name) if isinstance(place, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
