"""Messages: what an attempt saw, what it answered, and how a conversation is cut into prompt and completion.

What belongs here: turning stored texts into lists of messages. What does not: which records are used
(``selecting``) and what a format asks of messages beyond these keys (the modules of the kinds).

A message has ``role`` and ``content``, and where they apply ``name``, ``reasoning_content``, ``tool_calls``
(``{id, type, function: {name, arguments}}``, arguments an object) and ``tool_call_id``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from pipeline.training.examples.records import Texts

Message = dict[str, Any]

KEYS = ("role", "content", "name", "reasoning_content", "tool_calls", "tool_call_id")

ROLES = ("system", "developer", "user", "assistant", "tool")


class Refused(Exception):
    """No example can be made of these records; the text is the short reason that is counted."""


class Conversation(NamedTuple):
    """What the model saw first, what followed, and the tools it had (JSON text of a list) or None."""

    prompt: list[Message]
    answer: list[Message]
    tools: str | None


def conversation(candidate: dict[str, Any], texts: Texts, *, system: bool = True) -> Conversation:
    """The conversation of an artifact; raises ``Refused``. ``system`` false leaves system messages out."""
    found = texts.inputs.get(candidate["attempt_id"] or "")
    if found is None:
        raise Refused("attempt_missing")
    prompt = _seen(found, candidate, texts)
    if not system:
        prompt = [message for message in prompt if message["role"] not in ("system", "developer")]
    if not any(message["role"] == "user" for message in prompt):
        raise Refused("no_prompt")
    return Conversation(prompt, _answer(texts.outputs[candidate["artifact_id"]]), tools_of(candidate, texts))


def _seen(found: dict[str, Any], candidate: dict[str, Any], texts: Texts) -> list[Message]:
    """The recorded first conversation, or one made of the system prompt and what was asked."""
    if found["prompt"] != "[]":
        return messages_of(found["prompt"])
    prompt = []
    hashed = candidate["system_prompt_hash"]
    if hashed is not None:
        if hashed not in texts.contents:
            raise Refused("system_prompt_missing")
        if texts.contents[hashed].strip():
            prompt.append({"role": "system", "content": texts.contents[hashed]})
    asked = _asked(found, texts)
    return [*prompt, {"role": "user", "content": asked}] if asked else prompt


def _asked(found: dict[str, Any], texts: Texts) -> str:
    """Need, constraints, documents and test input as one message, in that order."""
    parts = [found["user_need"]] if found["user_need"].strip() else []
    constraints = json.loads(found["constraints"])
    if constraints:
        parts.append("Constraints:\n" + "\n".join(f"- {line}" for line in constraints))
    for document in json.loads(found["context_documents"]):
        text = texts.contents.get(document["hash"])
        if text is None:
            raise Refused("document_missing")
        parts.append(f"{document['name']}:\n{text}")
    if found["test_input"].strip():
        parts.append(found["test_input"])
    return "\n\n".join(parts)


def _answer(output: dict[str, Any]) -> list[Message]:
    """What followed the prompt, up to the last word of the assistant."""
    if output["content_format"] != "messages":
        if not output["content"].strip():
            raise Refused("empty_completion")
        return [{"role": "assistant", "content": output["content"]}]
    answer = messages_of(output["content"])
    while answer and answer[-1]["role"] != "assistant":
        answer.pop()
    if not answer:
        raise Refused("no_assistant_message")
    return answer


def messages_of(text: str) -> list[Message]:
    """Messages in JSON text with the keys that trainers know; raises ``Refused``."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise Refused("messages_unreadable") from error
    if not isinstance(found, list) or not all(isinstance(message, dict) for message in found):
        raise Refused("messages_unreadable")
    return [_message(message) for message in found]


def _message(found: dict[str, Any]) -> Message:
    role = found.get("role")
    content = found.get("content") or ""
    if role not in ROLES:
        raise Refused("role_unknown")
    if not isinstance(content, str):
        raise Refused("content_not_text")
    message: Message = {"role": role, "content": content}
    if role == "assistant" and found.get("reasoning_content"):
        message["reasoning_content"] = found["reasoning_content"]
    if role == "assistant" and found.get("tool_calls"):
        message["tool_calls"] = [_call(call) for call in found["tool_calls"]]
    if role == "tool":
        for key in ("name", "tool_call_id"):
            if found.get(key):
                message[key] = found[key]
    return ordered(message)


def ordered(message: Message) -> Message:
    """The message with its keys in the one order that rows are written and hashed in."""
    return {key: message[key] for key in KEYS if key in message}


def _call(found: dict[str, Any]) -> dict[str, Any]:
    function = found.get("function", found)
    arguments = function.get("arguments") or {}
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except ValueError as error:
            raise Refused("tool_arguments_unreadable") from error
    if not isinstance(arguments, dict) or not function.get("name"):
        raise Refused("tool_arguments_unreadable")
    call: dict[str, Any] = {"id": str(found["id"])} if found.get("id") else {}
    return {**call, "type": "function", "function": {"name": str(function["name"]), "arguments": arguments}}


def tools_of(candidate: dict[str, Any], texts: Texts) -> str | None:
    """The agent's tools as JSON text of a list of function definitions, or None."""
    text = texts.contents.get(candidate["tools_hash"] or "")
    if text is None:
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return None
    if not isinstance(found, list):
        return None
    tools = [
        tool if tool.get("type") == "function" else {"type": "function", "function": tool}
        for tool in found
        if isinstance(tool, dict) and ("function" in tool or "name" in tool)
    ]
    return dump(tools) if tools else None


def turns(talk: Conversation, which: str) -> Iterator[tuple[list[Message], list[Message]]]:
    """Prompts and completions of a conversation: the ``whole`` answer, its ``last`` assistant turn or
    ``every`` one.
    """
    if which == "whole":
        yield talk.prompt, talk.answer
        return
    places = [place for place, message in enumerate(talk.answer) if message["role"] == "assistant"]
    for place in places if which == "every" else places[-1:]:
        yield [*talk.prompt, *talk.answer[:place]], [talk.answer[place]]


def says_something(completion: list[Message]) -> bool:
    """Whether an assistant says or calls anything in it."""
    return any(
        message["role"] == "assistant" and (message["content"].strip() or message.get("tool_calls"))
        for message in completion
    )


def said(message: Message) -> str:
    """A message's text and calls as one text."""
    calls = [dump(call["function"]) for call in message.get("tool_calls", ())]
    return "\n".join([message.get("reasoning_content", ""), message["content"], *calls]).strip()


def as_text(messages: list[Message]) -> str:
    """One plain message as a text; raises ``Refused`` where a template would be needed to write it."""
    if len(messages) != 1 or set(messages[0]) - {"role", "content"}:
        raise Refused("needs_messages")
    text: str = messages[0]["content"]
    return text


def dump(value: Any) -> str:
    """JSON text without blanks, keys in their order."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
