"""What the attributes of a span mean, in the three dialects that agents speak.

What belongs here: names of attributes, newest first: OpenTelemetry's GenAI semantic conventions
(``gen_ai.*`` and their older names), OpenInference (``llm.*``, ``tool.*``, ``input.value``), OpenLLMetry
(``traceloop.*``, ``gen_ai.prompt.N.*``). What does not: turning them into events (``translating``).
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from pipeline.capture.events import Tokens
from pipeline.capture.otel.spans import Operation, Span

LONGEST_NAME = 200
LONGEST_TEXT = 200_000

AGENT = ("gen_ai.agent.name", "agent.name", "traceloop.workflow.name", "graph.node.id", "gen_ai.agent.id")
MODEL = (
    "gen_ai.response.model",
    "gen_ai.request.model",
    "llm.model_name",
    "embedding.model_name",
    "llm.request.model",
)
PROVIDER = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system", "llm.vendor")
TOOL = ("gen_ai.tool.name", "tool.name", "tool_call.function.name")
TASK = ("task.id", "gen_ai.task.id", "pipeline.task_id")
TASK_TYPE = ("task.type", "gen_ai.task.type", "pipeline.task_type")
COMPLEXITY = ("task.complexity", "pipeline.complexity")
SESSION = ("gen_ai.conversation.id", "session.id", "traceloop.association.properties.session_id")
INPUT_TOKENS = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt",
                "llm.usage.prompt_tokens")  # fmt: skip
OUTPUT_TOKENS = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion",
                 "llm.usage.completion_tokens")  # fmt: skip
CACHED_TOKENS = ("gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens",
                 "llm.token_count.prompt_details.cache_read")  # fmt: skip
REASONING_TOKENS = ("gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens",
                    "llm.token_count.completion_details.reasoning")  # fmt: skip
COST = ("gen_ai.usage.cost", "gen_ai.cost.total", "llm.cost.total")
ARGUMENTS = ("gen_ai.tool.call.arguments", "tool.parameters", "traceloop.entity.input", "input.value")
RESULT = ("gen_ai.tool.call.result", "output.value", "traceloop.entity.output")
INPUT = ("gen_ai.input.messages", "input.value", "traceloop.entity.input", "gen_ai.prompt")
OUTPUT = ("gen_ai.output.messages", "output.value", "traceloop.entity.output", "gen_ai.completion")
INDEXED_INPUT = ("gen_ai.prompt.", "llm.input_messages.", "llm.prompts.")
INDEXED_OUTPUT = ("gen_ai.completion.", "llm.output_messages.", "llm.completions.")
ERROR = ("error.type", "exception.type")

OPERATIONS: dict[str, Operation] = {
    "invoke_agent": "agent", "create_agent": "agent", "agent": "agent", "invoke_workflow": "agent",
    "workflow": "agent", "execute_tool": "tool", "tool": "tool", "chat": "model", "text_completion": "model",
    "generate_content": "model", "completion": "model", "responses": "model", "llm": "model",
    "embeddings": "embedding", "embedding": "embedding", "retriever": "retrieval", "retrieval": "retrieval",
    "reranker": "retrieval", "chain": "step", "task": "step", "guardrail": "step", "evaluator": "step",
}  # fmt: skip
"""``gen_ai.operation.name``, ``openinference.span.kind``, ``traceloop.span.kind`` and ``llm.request.type``.
"""

OPERATION_NAMES = (
    "gen_ai.operation.name",
    "openinference.span.kind",
    "traceloop.span.kind",
    "llm.request.type",
)


class Meaning(NamedTuple):
    """What a span is about."""

    operation: Operation
    agent: str | None
    model: str | None
    provider: str | None
    tool: str | None
    tokens: Tokens | None
    cost_usd: float | None
    input: str
    output: str


def meaning_of(span: Span) -> Meaning:
    """What the span's attributes say, whichever dialect they are in."""
    found = span.attributes
    operation = _operation(found)
    is_tool = operation == "tool"
    return Meaning(
        operation,
        label(first(found, AGENT)),
        label(first(found, MODEL)),
        label(first(found, PROVIDER)),
        label(first(found, TOOL) or first(found, ("traceloop.entity.name",)) or span.name)
        if is_tool
        else None,
        _tokens(found),
        _amount(first(found, COST)),
        text_of(first(found, ARGUMENTS if is_tool else INPUT) or _indexed(found, INDEXED_INPUT)),
        text_of(first(found, RESULT if is_tool else OUTPUT) or _indexed(found, INDEXED_OUTPUT)),
    )


def first(attributes: dict[str, Any], names: tuple[str, ...]) -> Any:
    """The first of the names that has a value."""
    return next((attributes[name] for name in names if attributes.get(name) not in (None, "")), None)


def label(value: Any) -> str | None:
    """A value as a short name; none where there is none."""
    text = "" if value is None else str(value).strip()
    return text[:LONGEST_NAME] or None


def text_of(value: Any) -> str:
    """A value as text of at most ``LONGEST_TEXT`` characters."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"


def _operation(attributes: dict[str, Any]) -> Operation:
    for name in OPERATION_NAMES:
        found = OPERATIONS.get(str(attributes.get(name, "")).lower())
        if found is not None:
            return found
    if first(attributes, TOOL) is not None:
        return "tool"
    return "model" if first(attributes, MODEL) is not None else "other"


def _tokens(attributes: dict[str, Any]) -> Tokens | None:
    names = (INPUT_TOKENS, OUTPUT_TOKENS, CACHED_TOKENS, REASONING_TOKENS)
    counts = [_amount(first(attributes, group)) for group in names]
    if counts[0] is None and counts[1] is None:
        return None
    whole = [int(count or 0) for count in counts]
    return Tokens(input=whole[0], output=whole[1], cached=whole[2], reasoning=whole[3])


def _amount(value: Any) -> float | None:
    if isinstance(value, str):
        digits = value.strip()
        value = float(digits) if digits.replace(".", "", 1).isdigit() and digits.isascii() else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= 1e15 else None


def _indexed(attributes: dict[str, Any], prefixes: tuple[str, ...]) -> dict[str, Any] | None:
    """Messages that are spread over attributes such as ``gen_ai.prompt.0.content``."""
    for prefix in prefixes:
        found = {name: value for name, value in attributes.items() if name.startswith(prefix)}
        if found:
            return found
    return None
