"""SWE-agent trajectories (``*.traj``): {history, trajectory, info[, environment, replay_config]}.

A problem (the messages before the first answer) is a session, a file a lineage in it, called after its
folder or name. ``history`` are the messages as the model saw them; ``trajectory`` pairs each action with
its observation. An answer's ``thought`` becomes a span of reasoning; an action that was no tool call
becomes a span of kind tool. The artifacts are the conversation and, where the agent submitted one, its
submission. The files hold no verdict on it, so there are no evaluations.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from pipeline.capture.events import Message, Tokens
from pipeline.capture.signals import AttemptFinished, SpanFinished
from pipeline.errors import InputError
from pipeline.training.importing.conversations import as_message, conversation_spans, split_prompt
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
    short,
)


def read(path: Path) -> Read:
    """One item: the file."""
    try:
        document = expect(read_json(path), dict, f"{path.name}: the document")
        signals, remarks = _signals(document, path.name.removesuffix(".traj"))
        yield Item(path.name, signals, remarks)
    except InputError as error:
        yield Malformed(path.name, str(error))


def _message(raw: Any, where: str) -> Message:
    """A message of the history; a tool's answer names its call in a list."""
    raw = expect(raw, dict, where)
    ids = raw.get("tool_call_ids")
    first = ids[0] if isinstance(ids, list) and ids else None
    return as_message({**raw, "tool_call_id": first} if first else raw, where)


def _signals(document: dict[str, Any], name: str) -> tuple[list[Signal], list[str]]:
    history = expect(document.get("history"), list, "history")
    messages = [_message(raw, f"history[{i}]") for i, raw in enumerate(history)]
    prompt, answer = split_prompt(messages)
    steps = [
        expect(step, dict, "trajectory")
        for step in expect(document.get("trajectory") or [], list, "trajectory")
    ]
    info = expect(document.get("info") or {}, dict, "info")
    model, parameters, tools = _settings(document.get("replay_config"))

    need = next((message.content for message in reversed(prompt) if message.role == "user"), "")
    system = "\n".join(message.content for message in prompt if message.role == "system")
    tree = Tree(identifier("swe-agent", need))
    tree.begin(need, context={"environment": document.get("environment")})
    lineage_id, agent_id = tree.agent(
        name, model=model, system_prompt=system, tools=tools, parameters=parameters
    )
    rollout_id = tree.rollout(lineage_id, agent_id, run=conversation_text(messages))
    attempt_id = identifier("attempt", rollout_id, 1)
    spans = _spans(attempt_id, messages, history, steps, model)
    attempt = AttemptFinished(
        attempt_id=attempt_id,
        rollout_id=rollout_id,
        user_need=need,
        prompt=prompt,
        status=_status(info),
        metadata={"exit_status": info.get("exit_status"), "file": name},
        **_usage(info, [span.latency_ms for span in spans]),
    )
    add_run(tree, attempt, spans, _products(answer, info.get("submission")))
    return tree.signals, _remarks(document, messages, steps)


def _products(answer: Sequence[Message], submission: Any) -> list[Product]:
    """The conversation and, where there is one, what was submitted."""
    products = [Product(conversation_text(answer), "messages", "conversation")]
    if isinstance(submission, str) and submission.strip():
        is_diff = submission.lstrip().startswith("diff ")
        products.append(Product(submission, "diff" if is_diff else "text", "submission"))
    return products


def _remarks(document: dict[str, Any], messages: Sequence[Message], steps: list[Any]) -> list[str]:
    answers = sum(message.role == "assistant" for message in messages)
    if "trajectory" not in document or "info" not in document:
        return ["it has no trajectory or info, so its outcome, times and cost are unknown"]
    if answers != len(steps):
        return [f"its trajectory has {len(steps)} steps and its history {answers} answers; history was taken"]
    return []


def _status(info: dict[str, Any]) -> Any:
    exit_status = info.get("exit_status")
    if not isinstance(exit_status, str):
        return "unknown"
    return "success" if exit_status.startswith("submitted") else "failure"


def _settings(replay: Any) -> tuple[str | None, dict[str, Any], Any]:
    """Model, parameters and tools as a replay's settings (an object, or its JSON text) name them."""
    if isinstance(replay, str):
        try:
            replay = msgspec.json.decode(replay)
        except msgspec.DecodeError as error:
            raise InputError(f"replay_config is a text that is no JSON ({error}); mend it.") from error
    agent = replay.get("agent") if isinstance(replay, dict) else None
    model = agent.get("model") if isinstance(agent, dict) else None
    if not isinstance(model, dict):
        return None, {}, None
    names = ("temperature", "top_p", "per_instance_cost_limit", "total_cost_limit", "max_input_tokens")
    parameters = {name: model[name] for name in names if model.get(name) is not None}
    tools = agent.get("tools") if isinstance(agent, dict) else None
    named = model.get("name")
    return (short(named) if isinstance(named, str) else None), parameters, tools


def _usage(info: dict[str, Any], latencies: Sequence[float | None]) -> dict[str, Any]:
    """Tokens and cost; a file whose every figure is 0 was replayed and counted nothing."""
    known = [latency for latency in latencies if latency is not None]
    usage: dict[str, Any] = {"latency_ms": sum(known)} if known else {}
    counted = info.get("model_stats")
    if not isinstance(counted, dict):
        return usage
    sent, received, cost = (
        counted.get(name) or 0 for name in ("tokens_sent", "tokens_received", "instance_cost")
    )
    if all(isinstance(value, (int, float)) and value >= 0 for value in (sent, received, cost)):
        if sent or received:
            usage["tokens"] = Tokens(input=int(sent), output=int(received))
        if cost:
            usage["cost_usd"] = float(cost)
    return usage


def _spans(
    attempt_id: str,
    messages: Sequence[Message],
    history: Sequence[dict[str, Any]],
    steps: Sequence[dict[str, Any]],
    model: str | None,
) -> list[SpanFinished]:
    """Spans of the conversation, with the trajectory's thoughts, plain actions and times among them."""
    answers = [raw for raw, message in zip(history, messages, strict=True) if message.role == "assistant"]
    called = any(message.role == "tool" for message in messages)
    spans: list[SpanFinished] = []
    turn = -1
    for span in conversation_spans(attempt_id, messages, model=model):
        if span.kind == "llm":
            turn += 1
            spans.append(span)
            acted = steps[turn] if turn < len(steps) and not called else None
            spans += _thought_and_action(attempt_id, span.span_id, turn, answers[turn], acted)
        else:
            spans.append(_timed(span, steps[turn] if turn < len(steps) else {}))
    return [msgspec.structs.replace(span, position=position) for position, span in enumerate(spans)]


def _timed(span: SpanFinished, step: dict[str, Any]) -> SpanFinished:
    seconds = step.get("execution_time")
    known = isinstance(seconds, (int, float)) and seconds >= 0 and span.kind == "tool"
    return msgspec.structs.replace(span, latency_ms=seconds * 1000.0) if known and seconds else span


def _thought_and_action(
    attempt_id: str,
    parent: str,
    turn: int,
    answer: dict[str, Any],
    step: dict[str, Any] | None,
) -> list[SpanFinished]:
    spans = []
    thought, action = answer.get("thought"), answer.get("action")
    if isinstance(thought, str) and thought.strip():
        spans.append(
            SpanFinished(
                span_id=identifier("span", attempt_id, turn, "thought"),
                attempt_id=attempt_id,
                kind="reasoning",
                name="thought",
                parent_span_id=parent,
                result=thought,
                status="success",
            )
        )
    if isinstance(action, str) and action.strip() and step is not None:
        spans.append(
            _timed(
                SpanFinished(
                    span_id=identifier("span", attempt_id, turn, "action"),
                    attempt_id=attempt_id,
                    kind="tool",
                    name=short(action.split()[0]),
                    parent_span_id=parent,
                    arguments={"command": action},
                    result=str(step.get("observation") or ""),
                ),
                step,
            )
        )
    return spans
