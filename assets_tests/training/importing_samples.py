"""A small document of our own in each format that can be imported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipeline.training.importing.signalling import Item, Malformed
from pipeline.training.importing.writing import reader

CALL = {"id": "c1", "type": "function", "function": {"name": "book", "arguments": '{"seat": 3}'}}

TAU: dict[str, Any] = {
    "task_id": 7,
    "trial": 0,
    "reward": 1.0,
    "info": {"task": {"user_id": "u", "instruction": "Book seat 3.", "actions": []}, "user_cost": 0.01},
    "traj": [
        {"role": "system", "content": "You book seats."},
        {"role": "user", "content": "Seat 3, please."},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "name": "book", "content": "booked"},
        {"role": "user", "content": "Thanks."},
        {"role": "assistant", "content": "Welcome."},
    ],
}

ALPACA: dict[str, Any] = {
    "instruction": "Name a colour.",
    "dataset": "invented",
    "generator_1": "base",
    "output_1": "reference",
    "generator_2": "other",
    "output_2": "candidate",
    "annotator": "judge",
    "preference": 1.2,
    "price_per_example": 0.01,
}

SWE: dict[str, Any] = {
    "environment": "swe_main",
    "history": [
        {"role": "system", "content": "You mend code.", "agent": "primary"},
        {"role": "user", "content": "Mend setup.py.", "agent": "primary"},
        {"role": "assistant", "content": "I look.\n```\nls\n```", "thought": "I look.", "action": "ls\n"},
        {"role": "user", "content": "setup.py"},
        {"role": "assistant", "content": "Done.", "thought": "Done.", "action": "submit"},
    ],
    "trajectory": [
        {"action": "ls\n", "observation": "setup.py", "thought": "I look.", "execution_time": 0.25},
        {"action": "submit", "observation": "", "thought": "Done."},
    ],
    "info": {
        "exit_status": "submitted",
        "submission": "\ndiff --git a/setup.py b/setup.py\n",
        "model_stats": {"tokens_sent": 100, "tokens_received": 9, "instance_cost": 0.5, "api_calls": 2},
    },
    "replay_config": '{"agent": {"model": {"name": "some-model", "temperature": 0.2}}}',
}

SWE_CALLS: dict[str, Any] = {
    "history": [
        {"role": "system", "content": "You mend code."},
        {"role": "user", "content": [{"type": "text", "text": "Mend setup.py."}]},
        {
            "role": "assistant",
            "content": "I look.",
            "thought": "I look.",
            "action": "ls",
            "tool_calls": [
                {
                    "id": "t1",
                    "type": "function",
                    "function": {"name": "bash", "arguments": '{"command": "ls"}'},
                }
            ],
        },
        {"role": "tool", "content": "setup.py", "tool_call_ids": ["t1"]},
        {"role": "assistant", "content": "Done."},
    ]
}

ATIF: dict[str, Any] = {
    "schema_version": "ATIF-v1.8",
    "session_id": "run-1",
    "agent": {
        "name": "clerk",
        "version": "1.0",
        "model_name": "some-model",
        "tool_definitions": [{"type": "function", "function": {"name": "now"}}],
    },
    "steps": [
        {
            "step_id": 1,
            "source": "user",
            "message": "What time is it?",
            "timestamp": "2026-03-01T10:00:00Z",
        },
        {
            "step_id": 2,
            "source": "agent",
            "message": "Let me look.",
            "reasoning_content": "A clock is needed.",
            "timestamp": "2026-03-01T10:00:30Z",
            "tool_calls": [{"tool_call_id": "c1", "function_name": "now", "arguments": {}}],
            "observation": {"results": [{"source_call_id": "c1", "content": "12:00"}]},
            "metrics": {"prompt_tokens": 10, "completion_tokens": 4, "cost_usd": 0.01},
        },
        {
            "step_id": 3,
            "source": "agent",
            "message": "Noon.",
            "timestamp": "2026-03-01T10:01:00Z",
            "metrics": {"prompt_tokens": 10, "completion_tokens": 4, "cost_usd": 0.01},
        },
    ],
    "subagent_trajectories": [
        {
            "schema_version": "ATIF-v1.8",
            "trajectory_id": "child",
            "agent": {"name": "helper", "version": "1.0"},
            "steps": [
                {"step_id": 1, "source": "user", "message": "Check."},
                {"step_id": 2, "source": "agent", "message": "Checked."},
            ],
        }
    ],
}


def attribute(key: str, value: Any) -> dict[str, Any]:
    """An OTLP attribute."""
    kind = "intValue" if isinstance(value, int) else "stringValue"
    return {"key": key, "value": {kind: str(value)}}


def trace(attributes: list[dict[str, Any]]) -> dict[str, Any]:
    """A trace of an agent that calls a model and a tool; the attributes of the three spans."""
    start = 1_772_359_200_000_000_000
    spans = [
        {
            "traceId": "ab" * 16,
            "spanId": f"{number + 1:016x}",
            **({"parentSpanId": f"{1:016x}"} if number else {}),
            "name": f"span {number}",
            "startTimeUnixNano": str(start + (number > 1) * 1000),
            "endTimeUnixNano": str(start + 5_000_000 + number),
            "attributes": [attribute(key, value) for key, value in found.items()],
            "status": {"code": 2, "message": "late"} if number == 2 else {},
        }
        for number, found in enumerate(attributes)
    ]
    resource = {"attributes": [attribute("service.name", "weather-agent")]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}


OTEL = trace(
    [
        {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "weather"},
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "some-model",
            "gen_ai.system_instructions": '[{"type": "text", "content": "Be brief."}]',
            "gen_ai.input.messages": '[{"role": "user", "parts": [{"type": "text", "content": "Weather?"}]}]',
            "gen_ai.output.messages": '[{"role": "assistant", "parts": [{"type": "tool_call", "id": "c", '
            '"name": "weather", "arguments": {"city": "Bonn"}}]}]',
            "gen_ai.usage.input_tokens": 11,
            "gen_ai.usage.output_tokens": 5,
        },
        {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "weather",
            "gen_ai.tool.call.arguments": '{"city": "Bonn"}',
            "gen_ai.tool.call.result": "rain",
        },
    ]
)

OPENINFERENCE = trace(
    [
        {"openinference.span.kind": "AGENT"},
        {
            "openinference.span.kind": "LLM",
            "llm.model_name": "some-model",
            "llm.input_messages.0.message.role": "system",
            "llm.input_messages.0.message.content": "Be brief.",
            "llm.input_messages.1.message.role": "user",
            "llm.input_messages.1.message.content": "Weather?",
            "llm.output_messages.0.message.role": "assistant",
            "llm.output_messages.0.message.tool_calls.0.tool_call.id": "c",
            "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "weather",
            "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": '{"city": "Bonn"}',
            "llm.token_count.prompt": 11,
            "llm.token_count.completion": 5,
        },
        {
            "openinference.span.kind": "TOOL",
            "tool.name": "weather",
            "input.value": '{"city": "Bonn"}',
            "output.value": "rain",
        },
    ]
)

HH: list[dict[str, Any]] = [
    {
        "chosen": "\n\nHuman: Hi\n\nAssistant: Hello",
        "rejected": "\n\nHuman: Hi\n\nAssistant: No",
    }
]

GOOD: dict[str, Any] = {
    "tau-bench": [TAU],
    "alpaca-eval": [ALPACA],
    "swe-agent": SWE,
    "atif": ATIF,
    "otel": OTEL,
    "hh-rlhf": HH,
}


def read(folder: Path, name: str, document: Any) -> list[Item | Malformed]:
    lines = name == "hh-rlhf"
    path = folder / ("data.jsonl" if lines else "data.json")
    rows = document if isinstance(document, list) else [document]
    text = "\n".join(json.dumps(row) for row in rows) if lines else json.dumps(document)
    path.write_text(text, encoding="utf-8")
    return list(reader(name)(path))
