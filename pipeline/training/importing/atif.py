"""ATIF trajectories (Agent Trajectory Interchange Format), checked by the PyPI package ``atif``.

A file is one trajectory (JSON) or one a line (JSONL). The steps before the agent's first are the prompt;
sessions are joined by it. Embedded subagents become spans of kind agent with their steps below them.
Times come from the steps; steps that were copied from another trajectory for context are part of the
prompt or input only.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from pipeline.capture.events import Message, Tokens
from pipeline.capture.signals import AttemptFinished, SpanFinished
from pipeline.errors import InputError
from pipeline.training.importing.conversations import conversation_spans, split_prompt
from pipeline.training.importing.signalling import (
    Item,
    Malformed,
    Product,
    Read,
    Signal,
    Tree,
    add_run,
    conversation_text,
    identifier,
    read_json,
    read_lines,
    short,
)

_ROLES = {"agent": "assistant", "user": "user", "system": "system"}


def read(path: Path) -> Read:
    """An item per trajectory."""
    try:
        documents = read_lines(path) if path.suffix == ".jsonl" else [(0, read_json(path))]
        for number, document in documents:
            where = f"{path.name}:{number}" if number else path.name
            try:
                if isinstance(document, InputError):
                    raise document
                yield Item(where, _signals(_validated(document)))
            except InputError as error:
                yield Malformed(where, str(error))
    except InputError as error:
        yield Malformed(path.name, str(error))


def _validated(document: Any) -> Any:
    from atif import Trajectory
    from pydantic import ValidationError

    try:
        return Trajectory.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the document"
        raise InputError(
            f"It is no valid ATIF trajectory: {place}: {first['msg']} ({error.error_count()} errors)."
        ) from error


def _nanoseconds(stamp: str | None) -> int | None:
    if stamp is None:
        return None
    instant = datetime.fromisoformat(stamp.replace("Z", "+00:00"))
    aware = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant
    return max(0, int(aware.timestamp() * 1e6) * 1000)


def _text(content: Any) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(part.text if part.type == "text" else f"[{part.type}]" for part in content)


def _messages(steps: Sequence[Any]) -> list[tuple[Message, Any]]:
    """Each step as chat messages: what was said, then one message per result."""
    messages: list[tuple[Message, Any]] = []
    for step in steps:
        calls = [
            {
                "id": call.tool_call_id,
                "type": "function",
                "function": {
                    "name": call.function_name,
                    "arguments": msgspec.json.encode(call.arguments).decode(),
                },
            }
            for call in step.tool_calls or []
        ]
        said = Message(
            role=_ROLES[step.source],
            content=_text(step.message),
            reasoning_content=step.reasoning_content or "",
            tool_calls=calls,
        )
        messages.append((said, step))
        results = step.observation.results if step.observation else []
        messages += [(_result(result), step) for result in results]
    return messages


def _result(result: Any) -> Message:
    """An observation; one that answers no call of a tool is the environment's, in the role user."""
    if result.source_call_id:
        return Message(role="tool", content=_text(result.content), tool_call_id=short(result.source_call_id))
    return Message(role="user", content=_text(result.content))


def _signals(trajectory: Any) -> list[Signal]:
    if any(step.is_copied_context and step.source == "agent" for step in trajectory.steps):
        raise InputError("It has agent steps copied from another trajectory; import that one instead.")
    paired = _messages(trajectory.steps)
    messages = [message for message, _ in paired]
    prompt, answer = split_prompt(messages)
    times = [moment for step in trajectory.steps if (moment := _nanoseconds(step.timestamp)) is not None]
    need = next((message.content for message in prompt if message.role == "user"), "")
    system = "\n".join(message.content for message in prompt if message.role == "system")
    agent = trajectory.agent

    tree = Tree(identifier("atif", conversation_text(prompt)), times[0] if times else None)
    tree.begin(need, context={"session_id": trajectory.session_id} if trajectory.session_id else None)
    lineage_id, agent_id = tree.agent(
        f"{agent.name} {agent.version}",
        model=agent.model_name,
        system_prompt=system,
        tools=agent.tool_definitions,
        parameters=agent.extra,
    )
    own = trajectory.model_dump_json(exclude_none=True)
    rollout_id = tree.rollout(lineage_id, agent_id, run=own)
    attempt_id = identifier("attempt", rollout_id, 1)
    attempt = AttemptFinished(
        attempt_id=attempt_id,
        rollout_id=rollout_id,
        user_need=need,
        prompt=prompt,
        started_at=times[0] if times else None,
        ended_at=times[-1] if times else None,
        metadata={**(trajectory.extra or {}), "schema_version": trajectory.schema_version},
        **_totals(trajectory),
    )
    product = Product(conversation_text(answer), "messages", "conversation")
    add_run(tree, attempt, _spans(attempt_id, trajectory), [product])
    return tree.signals


def _spans(attempt_id: str, trajectory: Any, parent: str | None = None) -> list[SpanFinished]:
    """Spans of a trajectory and, below spans of kind agent, of its subagents."""
    paired = _messages(trajectory.steps)
    steps = [step for message, step in paired if message.role == "assistant"]
    scope = attempt_id if parent is None else parent
    turn, spans = -1, list[SpanFinished]()
    for span in conversation_spans(scope, [m for m, _ in paired], model=trajectory.agent.model_name):
        turn += span.kind == "llm"
        moment = _nanoseconds(steps[turn].timestamp)
        known = _metrics(steps[turn]) if span.kind == "llm" else {}
        spans.append(
            msgspec.structs.replace(
                span,
                attempt_id=attempt_id,
                parent_span_id=span.parent_span_id or parent,
                ended_at=moment,
                **known,
            )
        )
    for child in trajectory.subagent_trajectories or []:
        span_id = identifier("span", scope, "agent", child.trajectory_id)
        spans.append(
            SpanFinished(
                span_id=span_id,
                attempt_id=attempt_id,
                kind="agent",
                name=short(child.agent.name),
                model=child.agent.model_name,
                parent_span_id=parent,
            )
        )
        spans += _spans(attempt_id, child, span_id)
    if parent is not None:
        return spans
    return [msgspec.structs.replace(span, position=position) for position, span in enumerate(spans)]


def _metrics(step: Any) -> dict[str, Any]:
    known: dict[str, Any] = {"model": step.model_name} if step.model_name else {}
    if step.metrics is None:
        return known
    read, written, cached = (
        max(0, value or 0)
        for value in (
            step.metrics.prompt_tokens,
            step.metrics.completion_tokens,
            step.metrics.cached_tokens,
        )
    )
    if step.metrics.prompt_tokens is not None or step.metrics.completion_tokens is not None:
        known["tokens"] = Tokens(input=read, output=written, cached=cached)
    return {**known, "cost_usd": step.metrics.cost_usd}


def _totals(trajectory: Any) -> dict[str, Any]:
    """Tokens and cost of the whole trajectory, summed over the steps where it does not state them."""
    total = trajectory.final_metrics
    metrics = [step.metrics for step in trajectory.steps if step.metrics is not None]

    def stated(name: str, part: str) -> Any:
        value = getattr(total, name) if total is not None else None
        parts = [getattr(metric, part) for metric in metrics if getattr(metric, part) is not None]
        return value if value is not None else sum(parts) if parts else None

    read, written = (
        stated("total_prompt_tokens", "prompt_tokens"),
        stated("total_completion_tokens", "completion_tokens"),
    )
    cached = stated("total_cached_tokens", "cached_tokens")
    used = read is not None or written is not None
    return {
        "tokens": Tokens(input=read or 0, output=written or 0, cached=cached or 0) if used else None,
        "cost_usd": stated("total_cost_usd", "cost_usd"),
    }
