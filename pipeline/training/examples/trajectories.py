"""Whole runs in the Agent Trajectory Interchange Format (``atif``).

What belongs here: an attempt as one ATIF document: system and user messages, then the agent's turns with
their reasoning, tool calls and observations. What does not: validating it, which the package ``atif`` does.
"""

from __future__ import annotations

from typing import Any

from pipeline.settings.exports import Criteria
from pipeline.training.examples.conversations import Message, conversation
from pipeline.training.examples.example import Example, example_of
from pipeline.training.examples.records import Texts
from pipeline.training.examples.supervised import with_reasoning

SCHEMA_VERSION = "ATIF-v1.8"

_SOURCES = {"system": "system", "developer": "system", "user": "user", "assistant": "agent"}


def trajectory(candidate: dict[str, Any], texts: Texts, criteria: Criteria) -> Example:
    """One ATIF document per artifact."""
    talk = conversation(candidate, texts, system=criteria.system_prompt != "leave_out")
    spans = texts.spans.get(candidate["attempt_id"], [])
    answer = with_reasoning(talk.answer, spans)
    found = texts.inputs[candidate["attempt_id"]]
    agent = {"name": candidate["agent_name"] or "unknown", "version": str(candidate["agent_number"] or 0)}
    if candidate["model"]:
        agent["model_name"] = candidate["model"]
    row: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "trajectory_id": candidate["events"][0],
        "agent": agent,
        "steps": _steps([*talk.prompt, *answer]),
    }
    metrics = {
        "total_prompt_tokens": found["input_tokens"],
        "total_completion_tokens": found["output_tokens"],
        "total_cost_usd": found["cost_usd"],
        "total_steps": len(row["steps"]),
    }
    row["final_metrics"] = {name: value for name, value in metrics.items() if value is not None}
    extra = {"status": found["status"], "score": candidate["score"], "task_type": candidate["task_type"]}
    row["extra"] = {name: value for name, value in extra.items() if value is not None}
    events = (*candidate["events"], *(span["event_id"] for span in spans))
    return example_of(candidate, row, rule="attempt", events=events)


def _steps(messages: list[Message]) -> list[dict[str, Any]]:
    """Messages as steps from 1; a tool's message becomes an observation of the turn that called it."""
    steps: list[dict[str, Any]] = []
    for message in messages:
        if message["role"] == "tool":
            _observe(steps, message)
            continue
        step: dict[str, Any] = {
            "step_id": len(steps) + 1,
            "source": _SOURCES[message["role"]],
            "message": message["content"],
        }
        if message.get("reasoning_content"):
            step["reasoning_content"] = message["reasoning_content"]
        if message.get("tool_calls"):
            step["tool_calls"] = [
                {
                    "tool_call_id": call.get("id") or f"call_{step['step_id']}_{place}",
                    "function_name": call["function"]["name"],
                    "arguments": call["function"]["arguments"],
                }
                for place, call in enumerate(message["tool_calls"])
            ]
        steps.append(step)
    return steps


def _observe(steps: list[dict[str, Any]], message: Message) -> None:
    """Put a tool's answer to the last step, naming its call where that step made it."""
    if not steps:
        steps.append({"step_id": 1, "source": "system", "message": ""})
    last = steps[-1]
    result: dict[str, Any] = {"content": message["content"]}
    if message.get("tool_call_id") in {call["tool_call_id"] for call in last.get("tool_calls", ())}:
        result["source_call_id"] = message["tool_call_id"]
    last.setdefault("observation", {"results": []})["results"].append(result)
