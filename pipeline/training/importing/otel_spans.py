"""One span of OTLP/JSON, read by the GenAI conventions, OpenInference and OpenLLMetry.

What belongs here: attributes to fields. What does not: traces, records (``otel``). Attribute names are
those of the OpenTelemetry semantic conventions for generative AI (``gen_ai.*``), of OpenInference
(``llm.*``, ``tool.*``, ``openinference.span.kind``) and of OpenLLMetry (``gen_ai.prompt.N.*``,
``traceloop.*``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.capture.events import Message, Tokens
from pipeline.capture.signals import SpanKind
from pipeline.errors import InputError
from pipeline.training.importing.conversations import as_message
from pipeline.training.importing.signalling import expect, short

Attributes = dict[str, Any]

_OPERATIONS: Mapping[str, SpanKind] = {
    "chat": "llm",
    "text_completion": "llm",
    "generate_content": "llm",
    "completion": "llm",
    "execute_tool": "tool",
    "invoke_agent": "agent",
    "create_agent": "agent",
    "invoke_workflow": "agent",
    "llm": "llm",
    "tool": "tool",
    "agent": "agent",
}
_NUMBERED = re.compile(r"\.(\d+)\.")


@dataclass(frozen=True)
class Raw:
    """A span's fields, times in nanoseconds since 1970 UTC."""

    trace_id: str
    span_id: str
    parent_id: str | None
    service: str
    name: str
    kind: SpanKind
    started_at: int
    ended_at: int
    failed: bool
    error: str
    model: str | None
    agent: str | None
    conversation: str | None
    input: list[Message]
    output: list[Message]
    tools: Any
    parameters: Attributes
    tokens: Tokens | None
    tool_call_id: str | None
    arguments: Any
    result: str
    rest: Attributes


def flatten(groups: Sequence[Any], where: str) -> Iterator[tuple[str, Any, Any]]:
    """Each span with its place and its resource, as they stand; nothing is checked yet."""
    for r, group in enumerate(groups):
        holder = group if isinstance(group, dict) else {}
        scopes = holder.get("scopeSpans") or []
        if not isinstance(scopes, list):
            yield f"{where} scopeSpans {r}", scopes, None  # no span: parsing it says so
        for s, scope in enumerate(_list(scopes)):
            spans = scope.get("spans") if isinstance(scope, dict) else None
            for i, span in enumerate(spans if isinstance(spans, list) else []):
                yield f"{where} span {r}.{s}.{i}", span, holder.get("resource")


def parse(span: Any, resource: Any, where: str) -> Raw:
    """The span's fields; raises ``InputError`` where ids or times are missing."""
    span = expect(span, dict, where)
    attributes = _attributes(span.get("attributes"))
    service = _attributes(resource.get("attributes")) if isinstance(resource, dict) else {}
    status = span.get("status") if isinstance(span.get("status"), dict) else {}
    kind = _kind(attributes)
    return Raw(
        trace_id=_id(span.get("traceId"), f"{where}, traceId"),
        span_id=_id(span.get("spanId"), f"{where}, spanId"),
        parent_id=str(span["parentSpanId"]) if span.get("parentSpanId") else None,
        service=short(service.get("service.name", "agent")),
        name=short(
            attributes.get("gen_ai.tool.name") or attributes.get("tool.name") or span.get("name", "span")
        ),
        kind=kind,
        started_at=_time(span.get("startTimeUnixNano"), f"{where}, startTimeUnixNano"),
        ended_at=_time(span.get("endTimeUnixNano"), f"{where}, endTimeUnixNano"),
        failed=status.get("code") in (2, "STATUS_CODE_ERROR"),
        error=str(status.get("message") or attributes.get("error.type") or ""),
        model=_name(attributes, "gen_ai.response.model", "gen_ai.request.model", "llm.model_name"),
        agent=_name(attributes, "gen_ai.agent.name", "agent.name"),
        conversation=_name(
            attributes, "gen_ai.conversation.id", "session.id", "traceloop.association.properties.session_id"
        ),
        input=_input(attributes) if kind == "llm" else [],
        output=_output(attributes) if kind == "llm" else [],
        tools=_json(attributes.get("gen_ai.tool.definitions")),
        parameters=_parameters(attributes),
        tokens=_tokens(attributes),
        tool_call_id=_name(attributes, "gen_ai.tool.call.id", "tool_call.id"),
        arguments=_json(_first(attributes, "gen_ai.tool.call.arguments", "tool.parameters", "input.value"))
        if kind == "tool"
        else None,
        result=_written(_first(attributes, "gen_ai.tool.call.result", "output.value"))
        if kind == "tool"
        else "",
        rest={key: value for key, value in attributes.items() if not _is_said(key)},
    )


def total(parts: Sequence[Tokens | None]) -> Tokens | None:
    """The sum of what is known; none where nothing is."""
    known = [part for part in parts if part is not None]
    names = ("input", "output", "cached", "reasoning", "tool")
    return Tokens(**{name: sum(getattr(part, name) for part in known) for name in names}) if known else None


def _attributes(pairs: Any) -> Attributes:
    if not isinstance(pairs, list):
        return {}
    return {
        str(pair["key"]): _value(pair.get("value"))
        for pair in pairs
        if isinstance(pair, dict) and "key" in pair
    }


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _value(value: Any) -> Any:
    """An OTLP ``AnyValue`` as a plain value."""
    if not isinstance(value, dict):
        return None
    if "intValue" in value:
        written = str(value["intValue"])
        return int(written) if re.fullmatch(r"-?\d{1,19}", written) else None
    if "arrayValue" in value:
        return [_value(part) for part in _list(_object(value["arrayValue"]).get("values"))]
    if "kvlistValue" in value:
        return _attributes(_object(value["kvlistValue"]).get("values"))
    return next((value[name] for name in ("stringValue", "doubleValue", "boolValue") if name in value), None)


def _id(value: Any, where: str) -> str:
    text = expect(value, str, where)
    if not text.strip("0"):
        raise InputError(f"{where} is empty; a span without an id cannot be placed.")
    return str(text)


def _time(value: Any, where: str) -> int:
    written = str(value)
    if not re.fullmatch(r"\d{1,19}", written):
        raise InputError(f"{where} is {written[:30]!r}, which is no time in nanoseconds; mend the span.")
    return int(written)


def _kind(attributes: Attributes) -> SpanKind:
    for name in (
        "gen_ai.operation.name",
        "openinference.span.kind",
        "traceloop.span.kind",
        "llm.request.type",
    ):
        kind = _OPERATIONS.get(str(attributes.get(name, "")).lower())
        if kind is not None:
            return kind
    return "other"


def _first(attributes: Attributes, *names: str) -> Any:
    return next((attributes[name] for name in names if attributes.get(name) is not None), None)


def _name(attributes: Attributes, *names: str) -> str | None:
    value = _first(attributes, *names)
    return short(value) if value else None


def _json(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _written(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)


def _tokens(attributes: Attributes) -> Tokens | None:
    read = _first(
        attributes, "gen_ai.usage.input_tokens", "llm.token_count.prompt", "gen_ai.usage.prompt_tokens"
    )
    written = _first(
        attributes,
        "gen_ai.usage.output_tokens",
        "llm.token_count.completion",
        "gen_ai.usage.completion_tokens",
    )
    cached = attributes.get("gen_ai.usage.cache_read.input_tokens")
    if not isinstance(read, int) and not isinstance(written, int):
        return None
    counts = [value if isinstance(value, int) and value >= 0 else 0 for value in (read, written, cached)]
    return Tokens(input=counts[0], output=counts[1], cached=counts[2])


def _parameters(attributes: Attributes) -> Attributes:
    prefix = "gen_ai.request."
    found = {key.removeprefix(prefix): value for key, value in attributes.items() if key.startswith(prefix)}
    found.pop("model", None)
    stated = _json(attributes.get("llm.invocation_parameters"))
    return {**(stated if isinstance(stated, dict) else {}), **found}


def _is_said(key: str) -> bool:
    """Whether the attribute holds messages or results, which have fields of their own."""
    said = ("gen_ai.input.", "gen_ai.output.", "gen_ai.prompt.", "gen_ai.completion.", "gen_ai.system_instr")
    more = ("llm.input_messages.", "llm.output_messages.", "gen_ai.tool.call.", "input.value", "output.value")
    return key.startswith((*said, *more))


def _input(attributes: Attributes) -> list[Message]:
    system = _parts_of(_json(attributes.get("gen_ai.system_instructions")))
    before = [Message(role="system", content=system)] if system else []
    return before + (
        _listed(_json(attributes.get("gen_ai.input.messages")))
        or _numbered(attributes, "llm.input_messages")
        or _numbered(attributes, "gen_ai.prompt")
    )


def _output(attributes: Attributes) -> list[Message]:
    return (
        _listed(_json(attributes.get("gen_ai.output.messages")))
        or _numbered(attributes, "llm.output_messages")
        or _numbered(attributes, "gen_ai.completion")
    )


def _parts_of(parts: Any) -> str:
    if isinstance(parts, str):
        return parts
    listed = parts if isinstance(parts, list) else []
    return "\n".join(str(part.get("content", "")) for part in listed if isinstance(part, dict))


def _listed(messages: Any) -> list[Message]:
    """Messages of the GenAI conventions: a role, and parts (text, reasoning, tool calls, their responses)."""
    found = []
    for message in messages if isinstance(messages, list) else []:
        raw = message if isinstance(message, dict) else {}
        parts = [part for part in _list(raw.get("parts")) if isinstance(part, dict)]
        role = short(raw.get("role", "user"))
        if "parts" not in raw and "content" in raw:
            found.append(as_message(raw, "message"))
            continue
        answers = [part for part in parts if part.get("type") == "tool_call_response"]
        found += [
            Message(
                role="tool",
                content=_written(_first(part, "response", "result")),
                tool_call_id=short(part["id"]) if part.get("id") else None,
            )
            for part in answers
        ]
        if len(answers) < len(parts):
            found.append(_said(role, parts))
    return found


def _said(role: str, parts: Sequence[Attributes]) -> Message:
    by_kind: dict[str, list[Attributes]] = {}
    for part in parts:
        by_kind.setdefault(str(part.get("type", "text")), []).append(part)
    return Message(
        role=role,
        content="\n".join(str(part.get("content", "")) for part in by_kind.get("text", [])),
        reasoning_content="\n".join(str(part.get("content", "")) for part in by_kind.get("reasoning", [])),
        tool_calls=[
            _call(part.get("id"), part.get("name"), part.get("arguments"))
            for part in by_kind.get("tool_call", [])
        ],
    )


def _call(call_id: Any, name: Any, arguments: Any) -> dict[str, Any]:
    function = {"name": short(name or "tool"), "arguments": _written(arguments) or "{}"}
    return {"id": short(call_id or "call"), "type": "function", "function": function}


def _numbered(attributes: Attributes, prefix: str) -> list[Message]:
    """Messages whose parts are attributes of their own, ``prefix.N.role`` and so on."""
    by_number: dict[int, Attributes] = {}
    for key, value in attributes.items():
        found = _NUMBERED.search(key, len(prefix))
        if key.startswith(prefix + ".") and found is not None:
            rest = key[found.end() :].removeprefix("message.")
            by_number.setdefault(int(found.group(1)), {})[rest] = value
    return [_from_parts(by_number[number]) for number in sorted(by_number)]


def _from_parts(parts: Attributes) -> Message:
    """OpenInference writes ``tool_calls.N.tool_call.function.name``, OpenLLMetry ``tool_calls.N.name``."""
    calls: dict[str, Attributes] = {}
    for key, value in parts.items():
        if key.startswith("tool_calls."):
            number, _, rest = key.removeprefix("tool_calls.").partition(".")
            calls.setdefault(number, {})[rest.removeprefix("tool_call.").removeprefix("function.")] = value
    return Message(
        role=short(parts.get("role", "assistant")),
        content=_written(parts.get("content")),
        tool_call_id=short(parts["tool_call_id"]) if parts.get("tool_call_id") else None,
        tool_calls=[
            _call(call.get("id"), call.get("name"), call.get("arguments"))
            for _, call in sorted(calls.items())
        ],
    )
