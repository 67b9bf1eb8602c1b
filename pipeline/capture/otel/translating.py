"""Spans as events: agents become executions, tools tool calls, and every span is kept whole.

What belongs here: which events a batch of spans gives. What does not: writing them (``writing``). An
outermost execution is a task: received, routed directly (nobody chose) and executed. Outermost is what has no
execution above it in its batch: an agent below an agent that is sent apart from it is received as well, for
the same task, and the loader takes the first. Sums over the spans of an execution are the loader's too
(``pipeline.telemetry.rolling_up``), since they come in any number of batches. Ids of events follow from trace
and span, so that a batch sent twice gives the same ids.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Literal, NamedTuple, cast

from pipeline.capture.events import (
    Candidate,
    ExecutionCompleted,
    ExecutionStarted,
    RoutingDecided,
    TaskReceived,
    ToolCalled,
)
from pipeline.capture.kinds import Body
from pipeline.capture.otel.conventions import (
    COMPLEXITY,
    ERROR,
    SESSION,
    TASK,
    TASK_TYPE,
    Meaning,
    first,
    label,
    meaning_of,
    text_of,
)
from pipeline.capture.otel.spans import SPAN_KIND, Span, SpanEnded

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
UNNAMED_AGENT = "unnamed"
COMPLEXITIES = ("trivial", "standard", "complex")

# A day ahead of 1970 in milliseconds keeps ids of spans without a clock valid ULIDs.
_MILLISECOND = 1_000_000


class Occurrence(NamedTuple):
    """An event that is not written yet: its id, kind, subject, time in nanoseconds and body."""

    id: str
    kind: str
    subject: str
    at: int
    body: Body


def occurrences(spans: Iterable[Span]) -> list[Occurrence]:
    """The events of a batch of finished spans, in the order of time."""
    batch = list(spans)
    meanings = {(span.trace_id, span.span_id): meaning_of(span) for span in batch}
    by_id = {(span.trace_id, span.span_id): span for span in batch}
    found = []
    for span in batch:
        found += _of_span(span, meanings, by_id)
    return sorted(found, key=lambda occurrence: occurrence.at)


def event_id(span: Span, kind: str, at: int) -> str:
    """A ULID of the event's time and a hash of trace, span and kind."""
    digest = hashlib.blake2b(f"{span.trace_id}/{span.span_id}/{kind}".encode(), digest_size=10).digest()
    number = (max(0, at // _MILLISECOND) & (2**48 - 1)) << 80 | int.from_bytes(digest, "big")
    return "".join(CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


Meanings = dict[tuple[str, str], Meaning]
Known = dict[tuple[str, str], Span]


def _of_span(span: Span, meanings: Meanings, by_id: Known) -> list[Occurrence]:
    meaning = meanings[span.trace_id, span.span_id]
    subject = _subject(span, by_id)
    bodies: list[tuple[str, int, Body]] = [(SPAN_KIND, span.ended, _whole(span, meaning))]
    if meaning.operation == "tool":
        bodies.append(("tool_called", span.ended, _tool_call(span, meaning, meanings, by_id)))
    if _is_execution(span, meaning):
        agent = _agent(span, meaning)
        bodies += _execution(span, meaning, agent)
        if span.is_local_root or _execution_above(span, meanings, by_id) is None:
            bodies += _task(span, agent)
    return [Occurrence(event_id(span, kind, at), kind, subject, at, body) for kind, at, body in bodies]


def _is_execution(span: Span, meaning: Meaning) -> bool:
    return meaning.operation == "agent" or (span.is_local_root and meaning.operation != "other")


def _subject(span: Span, by_id: Known) -> str:
    """The task: as an attribute of the span or an ancestor says, else the trace."""
    seen: Span | None = span
    for _ in range(len(by_id) + 1):
        if seen is None:
            break
        named = label(first(seen.attributes, TASK) or first(seen.resource, TASK))
        if named:
            return named
        seen = by_id.get((seen.trace_id, seen.parent_id))
    return span.trace_id


def _agent(span: Span, meaning: Meaning) -> str:
    return meaning.agent or (
        (label(span.name) if meaning.operation == "agent" else None)
        or label(span.resource.get("service.name"))
        or UNNAMED_AGENT
    )


def _task(span: Span, agent: str) -> list[tuple[str, int, Body]]:
    stated = str(first(span.attributes, COMPLEXITY) or "standard")
    complexity = cast(
        Literal["trivial", "standard", "complex"], stated if stated in COMPLEXITIES else "standard"
    )
    received = TaskReceived(
        task_type=label(first(span.attributes, TASK_TYPE)) or label(span.name) or "span",
        complexity=complexity,
        session_id=label(first(span.attributes, SESSION)),
    )
    decided = RoutingDecided(selected_agent=agent, candidates=[Candidate(agent=agent)], strategy="direct")
    return [("task_received", span.started, received), ("routing_decided", span.started, decided)]


def _execution(span: Span, meaning: Meaning, agent: str) -> list[tuple[str, int, Body]]:
    ended = ExecutionCompleted(
        execution_id=span.span_id,
        agent=agent,
        model=meaning.model,
        success=not span.failed,
        failure_reason=_failure(span),
        failure_message=text_of(span.status_message),
        latency_ms=max(0, span.ended - span.started) / 1e6,
        tokens=meaning.tokens,
        cost_usd=meaning.cost_usd,
        output=meaning.output,
    )
    started = ExecutionStarted(execution_id=span.span_id, agent=agent, model=meaning.model)
    return [("execution_started", span.started, started), ("execution_completed", span.ended, ended)]


def _execution_above(span: Span, meanings: Meanings, by_id: Known) -> str | None:
    above = by_id.get((span.trace_id, span.parent_id))
    return None if above is None else _execution_of(above, meanings, by_id)


def _execution_of(span: Span, meanings: Meanings, by_id: Known) -> str | None:
    """The nearest span upwards, itself included, that is an execution; none where the batch does not hold
    it.
    """
    seen: Span | None = span
    for _ in range(len(by_id) + 1):
        if seen is None:
            return None
        if _is_execution(seen, meanings[seen.trace_id, seen.span_id]):
            return seen.span_id
        seen = by_id.get((seen.trace_id, seen.parent_id))
    return None


def _tool_call(span: Span, meaning: Meaning, meanings: Meanings, by_id: Known) -> ToolCalled:
    execution = _execution_of(span, meanings, by_id)
    return ToolCalled(
        tool=meaning.tool or "tool",
        execution_id=execution,
        agent=meaning.agent,
        arguments=meaning.input or None,
        outcome="failure" if span.failed else "success",
        result="" if span.failed else meaning.output,
        error=text_of(span.status_message) if span.failed else "",
        duration_ms=max(0, span.ended - span.started) / 1e6,
    )


def _whole(span: Span, meaning: Meaning) -> SpanEnded:
    return SpanEnded(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_span_id=span.parent_id or None,
        name=label(span.name) or "span",
        operation=meaning.operation,
        scope=span.scope,
        service=str(span.resource.get("service.name", "")),
        started_at_ns=span.started,
        ended_at_ns=span.ended,
        duration_ms=max(0, span.ended - span.started) / 1e6,
        failed=span.failed,
        status_message=text_of(span.status_message),
        agent=meaning.agent,
        model=meaning.model,
        provider=meaning.provider,
        tool=meaning.tool,
        tokens=meaning.tokens,
        cost_usd=meaning.cost_usd,
        input=meaning.input,
        output=meaning.output,
        attributes=span.attributes,
        events=list(span.events),
    )


def _failure(span: Span) -> str | None:
    if not span.failed:
        return None
    from_events = [event.get("attributes", {}) for event in span.events]
    found = next((first(each, ERROR) for each in [span.attributes, *from_events] if first(each, ERROR)), None)
    return label(found) or "error"
