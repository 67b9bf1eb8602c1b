"""OpenTelemetry traces as OTLP/JSON files: one document, or one a line as the collector writes them.

Spans that speak the GenAI semantic conventions, OpenInference or OpenLLMetry become spans of kind llm,
tool or agent; all others stay, as kind other. A trace is an attempt; traces with one conversation or
session id share a session, others are a session each. The prompt is the input of the first model call,
the artifact what the last one said. A trace must be whole in one file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.capture.signals import AttemptFinished, SpanFinished
from pipeline.errors import InputError
from pipeline.training.importing import otel_spans
from pipeline.training.importing.otel_spans import Raw
from pipeline.training.importing.signalling import (
    Item,
    Malformed,
    Product,
    Read,
    Signal,
    Tree,
    add_run,
    conversation_text,
    expect,
    identifier,
    read_json,
    read_lines,
)


def read(path: Path) -> Read:
    """An item per trace."""
    traces: dict[str, list[Raw]] = {}
    try:
        for number, document in _documents(path):
            where = f"{path.name}:{number}" if number else path.name
            try:
                if isinstance(document, InputError):
                    raise document
                groups = expect(document, dict, where).get("resourceSpans")
                groups = expect(groups, list, f"{where}, resourceSpans")
            except InputError as error:
                yield Malformed(where, str(error))
                continue
            for place, span, resource in otel_spans.flatten(groups, where):
                try:
                    raw = otel_spans.parse(span, resource, place)
                    traces.setdefault(raw.trace_id, []).append(raw)
                except InputError as error:
                    yield Malformed(place, str(error))
    except InputError as error:
        yield Malformed(path.name, str(error))
    for trace_id, spans in traces.items():
        try:
            yield Item(f"{path.name} trace {trace_id}", _signals(trace_id, spans))
        except InputError as error:
            yield Malformed(f"{path.name} trace {trace_id}", str(error))


def _documents(path: Path) -> Any:
    """A file of one document, or of one a line: told apart by whether its first line stands alone."""
    if path.suffix == ".jsonl":
        return read_lines(path)
    try:
        return [(0, read_json(path))]
    except InputError:
        lines = list(read_lines(path))
        if len(lines) > 1 and not isinstance(lines[0][1], InputError):
            return lines
        raise


def _signals(trace_id: str, spans: Sequence[Raw]) -> list[Signal]:
    ordered = sorted(spans, key=lambda raw: (raw.started_at, raw.span_id))
    root = _root(ordered)
    calls = [raw for raw in ordered if raw.kind == "llm"]
    if not calls:
        raise InputError("The trace has no call of a model; there is nothing to learn from it.")
    conversation = next((raw.conversation for raw in ordered if raw.conversation), None) or trace_id
    first, last = calls[0], max(calls, key=lambda raw: raw.ended_at)
    system = "\n".join(message.content for message in first.input if message.role == "system")
    need = next((message.content for message in first.input if message.role == "user"), "")

    tree = Tree(identifier("otel", conversation), root.started_at)
    tree.begin(need, context={"conversation_id": conversation})
    name = next((raw.agent for raw in ordered if raw.agent), root.service)
    lineage_id, agent_id = tree.agent(
        name, model=first.model, system_prompt=system, tools=first.tools, parameters=first.parameters
    )
    rollout_id = tree.rollout(lineage_id, agent_id, run=trace_id)
    attempt_id = identifier("attempt", rollout_id, 1)
    attempt = AttemptFinished(
        attempt_id=attempt_id,
        rollout_id=rollout_id,
        user_need=need,
        prompt=first.input,
        status="failure" if root.failed else "success",
        error=root.error,
        started_at=root.started_at,
        ended_at=max(raw.ended_at for raw in ordered),
        tokens=otel_spans.total([raw.tokens for raw in calls]),
        metadata={"trace_id": trace_id},
    )
    known = {raw.span_id for raw in ordered}
    made = [_span(raw, attempt_id, position, known) for position, raw in enumerate(ordered)]
    add_run(tree, attempt, made, _products(last))
    return tree.signals


def _root(ordered: Sequence[Raw]) -> Raw:
    """The first span whose parent is not in the trace."""
    known = {raw.span_id for raw in ordered}
    return next((raw for raw in ordered if raw.parent_id not in known), ordered[0])


def _products(last: Raw) -> list[Product]:
    """What the last model call said: a text, or messages where tools were asked for."""
    if not last.output:
        return []
    if len(last.output) == 1 and not last.output[0].tool_calls:
        return [Product(last.output[0].content)]
    return [Product(conversation_text(last.output), "messages")]


def _span(raw: Raw, attempt_id: str, position: int, known: set[str]) -> SpanFinished:
    return SpanFinished(
        span_id=identifier("span", attempt_id, raw.span_id),
        attempt_id=attempt_id,
        kind=raw.kind,
        name=raw.name,
        position=position,
        parent_span_id=identifier("span", attempt_id, raw.parent_id) if raw.parent_id in known else None,
        model=raw.model,
        input_messages=raw.input,
        output_messages=raw.output,
        tool_call_id=raw.tool_call_id,
        arguments=raw.arguments,
        result=raw.result,
        status="failure" if raw.failed else "success",
        error=raw.error,
        started_at=raw.started_at,
        ended_at=raw.ended_at,
        tokens=raw.tokens,
        attributes=raw.rest,
    )
