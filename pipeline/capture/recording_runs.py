"""Recording one run: a rollout's attempts, their spans, artifacts and evaluations.

What belongs here: what ``recording_signals`` hands out for a rollout. What does not: sessions, lineages,
agents.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

from pipeline.capture.events import Message, Tokens
from pipeline.capture.kinds import Body
from pipeline.capture.signals import (
    ArtifactProduced,
    AttemptFinished,
    ContentFormat,
    ContextDocument,
    EvaluationGiven,
    EvaluatorKind,
    Media,
    SpanFinished,
    SpanKind,
    Status,
)

Messages = Sequence[Message | Mapping[str, Any]]
"""Messages, or mappings in the form of the OpenAI chat API."""

_ordered = msgspec.json.Encoder(order="deterministic")


def new_id(kind: str) -> str:
    """An id that nobody else has: the kind and 128 random bits."""
    return f"{kind}-{uuid.uuid4().hex}"


def as_messages(messages: Messages) -> list[Message]:
    """Messages of the OpenAI chat API (mappings) as messages; what is not a text becomes one."""
    return [one if isinstance(one, Message) else _message(one) for one in messages]


def _message(raw: Mapping[str, Any]) -> Message:
    content = raw.get("content")
    return Message(
        role=str(raw.get("role") or "user"),
        content=content if isinstance(content, str) else "" if content is None else json_text(content),
        name=raw.get("name") or None,
        reasoning_content=str(raw.get("reasoning_content") or ""),
        tool_calls=list(raw.get("tool_calls") or []),
        tool_call_id=raw.get("tool_call_id") or None,
    )


def json_text(value: Any) -> str:
    """JSON text with sorted keys; what JSON does not know is written as Python shows it."""
    try:
        return _ordered.encode(value).decode()
    except (TypeError, ValueError, RecursionError):
        return repr(value)


def failure(error: BaseException) -> tuple[Status, str]:
    """How a block ended that raised: timeout, cancelled or failure, and the error in words."""
    if isinstance(error, TimeoutError):
        return "timeout", str(error)
    cancelled = type(error).__name__ in ("CancelledError", "KeyboardInterrupt", "GeneratorExit")
    return ("cancelled" if cancelled else "failure"), f"{type(error).__name__}: {error}"


@dataclass
class _Block:
    """When a block ran and how it ended."""

    started_at: int
    ended_at: int = 0
    status: Status = "success"
    error: str = ""


@contextmanager
def _timed(record: Callable[[_Block], None]) -> Iterator[None]:
    """Hands the block to ``record`` when it ends, well or by an exception, which goes on."""
    block = _Block(time.time_ns())
    try:
        yield
    except BaseException as raised:
        block.status, block.error = failure(raised)
        raise
    finally:
        block.ended_at = time.time_ns()
        record(block)


@dataclass
class Rollout:
    """A run of an agent version in a cycle. ``write`` records a body, ``store`` a content by its hash."""

    write: Callable[[Body], None]
    store: Callable[[Media, Any], str | None]
    rollout_id: str
    cycle: int
    user_need: str
    constraints: list[str]
    attempts: int = 0

    @contextmanager
    def attempt(
        self,
        *,
        prompt: Messages = (),
        test_input: str = "",
        context_documents: Mapping[str, str] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Iterator[Attempt]:
        """One try, recorded when the block ends; an exception makes it a failure and goes on."""
        self.attempts += 1
        attempt = Attempt(self, new_id("attempt"), as_messages(prompt), dict(metadata or {}))
        documents = [
            ContextDocument(name=name, hash=digest)
            for name, text in (context_documents or {}).items()
            if (digest := self.store("document", text)) is not None
        ]

        def record(block: _Block, number: int = self.attempts) -> None:
            self.write(
                AttemptFinished(
                    attempt_id=attempt.attempt_id,
                    rollout_id=self.rollout_id,
                    number=number,
                    user_need=self.user_need,
                    constraints=self.constraints,
                    test_input=test_input,
                    context_documents=documents,
                    prompt=attempt.prompt,
                    status=attempt.status or block.status,
                    error=block.error,
                    started_at=block.started_at,
                    ended_at=block.ended_at,
                    tokens=attempt.tokens,
                    cost_usd=attempt.cost_usd,
                    metadata=attempt.metadata,
                )
            )

        with _timed(record):
            yield attempt

    def artifact(
        self,
        content: str | Messages,
        *,
        attempt: Attempt | None = None,
        name: str | None = None,
        content_format: ContentFormat | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> str:
        """What the run produced: a text, or the messages after the prompt; returns its id."""
        artifact_id, plain = new_id("artifact"), isinstance(content, str)
        text = content if isinstance(content, str) else json_text(as_messages(content))
        self.write(
            ArtifactProduced(
                artifact_id=artifact_id,
                rollout_id=self.rollout_id,
                attempt_id=attempt.attempt_id if attempt else None,
                name=name,
                content=text,
                content_format=content_format or ("text" if plain else "messages"),
                metadata=dict(metadata or {}),
            )
        )
        return artifact_id

    def evaluate(
        self,
        artifact_id: str,
        *,
        score: float | None = None,
        comment: str = "",
        directives: Sequence[str] = (),
        evaluator: str = "user",
        evaluator_kind: EvaluatorKind = "person",
        raw_score: float | None = None,
        raw_scale: str | None = None,
    ) -> str:
        """What somebody thinks of an artifact, 1 to 10; returns the evaluation's id."""
        evaluation_id = new_id("evaluation")
        self.write(
            EvaluationGiven(
                evaluation_id=evaluation_id,
                artifact_id=artifact_id,
                cycle=self.cycle,
                score=score,
                raw_score=raw_score,
                raw_scale=raw_scale,
                comment=comment,
                directives=list(directives),
                evaluator=evaluator,
                evaluator_kind=evaluator_kind,
            )
        )
        return evaluation_id


@dataclass
class Attempt:
    """A running attempt; sums tokens and cost of its model calls unless ``usage`` states them."""

    rollout: Rollout
    attempt_id: str
    prompt: list[Message]
    metadata: dict[str, Any]
    status: Status | None = None
    tokens: Tokens | None = None
    cost_usd: float | None = None
    spans: int = 0
    last_call: str | None = None

    def usage(self, *, tokens: Tokens | None = None, cost_usd: float | None = None) -> None:
        """State what the whole attempt used."""
        self.tokens, self.cost_usd = (
            tokens or self.tokens,
            cost_usd if cost_usd is not None else self.cost_usd,
        )

    @contextmanager
    def span(
        self,
        kind: SpanKind,
        name: str,
        *,
        parent: Span | None = None,
        model: str | None = None,
        input_messages: Messages = (),
        continues: bool = False,
        arguments: Any = None,
        tool_call_id: str | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> Iterator[Span]:
        """A step, recorded when the block ends.

        With ``continues``, ``input_messages`` are only those that came after the last model call.
        """
        span = Span(new_id("span"), attributes=dict(attributes or {}))
        made = SpanFinished(
            span_id=span.span_id,
            attempt_id=self.attempt_id,
            kind=kind,
            name=name,
            position=self.spans,
            parent_span_id=parent.span_id if parent else None,
            continues_span_id=self.last_call if continues else None,
            model=model,
            input_messages=as_messages(input_messages),
            tool_call_id=tool_call_id,
            arguments=arguments,
        )
        self.spans += 1
        with _timed(lambda block: self._record(made, span, block)):
            yield span

    def _record(self, made: SpanFinished, span: Span, block: _Block) -> None:
        self._count(made.kind, span)
        self.rollout.write(
            msgspec.structs.replace(
                made,
                output_messages=span.output_messages,
                result=span.result,
                status=span.status or block.status,
                error=block.error,
                started_at=block.started_at,
                ended_at=block.ended_at,
                tokens=span.tokens,
                cost_usd=span.cost_usd,
                attributes=span.attributes,
            )
        )

    def _count(self, kind: SpanKind, span: Span) -> None:
        if kind != "llm":
            return
        self.last_call = span.span_id
        if span.tokens is not None:
            total = self.tokens or Tokens()
            names = ("input", "output", "cached", "reasoning", "tool")
            self.tokens = Tokens(**{one: getattr(total, one) + getattr(span.tokens, one) for one in names})
        if span.cost_usd is not None:
            self.cost_usd = (self.cost_usd or 0) + span.cost_usd

    def llm(self, *, name: str = "chat", **fields: Any) -> AbstractContextManager[Span]:
        """A call of a model; ``fields`` are those of ``span``."""
        return self.span("llm", name, **fields)

    def tool(self, name: str, arguments: Any = None, **fields: Any) -> AbstractContextManager[Span]:
        """A call of a tool; set the span's ``result`` inside the block."""
        return self.span("tool", name, arguments=arguments, **fields)

    def reasoning(self, text: str, *, name: str = "reasoning", parent: Span | None = None) -> None:
        """A piece of reasoning."""
        with self.span("reasoning", name, parent=parent) as span:
            span.result = text


@dataclass
class Span:
    """A running step: what it has to show for itself when its block ends."""

    span_id: str
    output_messages: list[Message] = field(default_factory=list)
    result: str = ""
    status: Status | None = None
    tokens: Tokens | None = None
    cost_usd: float | None = None
    attributes: dict[str, Any] = field(default_factory=dict)

    def answer(
        self,
        said: str | Message | Mapping[str, Any],
        *,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cost_usd: float | None = None,
    ) -> None:
        """What the model said, and what it used."""
        message = Message(role="assistant", content=said) if isinstance(said, str) else as_messages([said])[0]
        self.output_messages.append(message)
        if input_tokens is not None or output_tokens is not None:
            self.tokens = Tokens(input=input_tokens or 0, output=output_tokens or 0)
        self.cost_usd = cost_usd if cost_usd is not None else self.cost_usd
