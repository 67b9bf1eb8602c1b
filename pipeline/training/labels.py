"""One line per record, for the tree of a session.

What belongs here: what a person wants to see of a record first. What does not: drawing, cutting.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

Fields = Mapping[str, Any]


def label(record: str, fields: Fields) -> str:
    """The line of a record (a table's name without its last s)."""
    make = _LABELS.get(record)
    return make(fields) if make is not None and fields else "(has not arrived)"


def _usage(fields: Fields) -> str:
    parts = [fields["status"]]
    if fields.get("latency_ms") is not None:
        parts.append(f"{fields['latency_ms']:,.0f} ms")
    if fields.get("input_tokens") is not None:
        parts.append(f"{fields['input_tokens']:,} + {fields.get('output_tokens', 0):,} tokens")
    if fields.get("cost_usd") is not None:
        parts.append(f"{fields['cost_usd']:.4f} USD")
    return ", ".join(parts)


def _agent(fields: Fields) -> str:
    parameters = json.loads(fields["parameters"])
    named = " ".join(str(fields[one]) for one in ("name", "model") if fields.get(one))
    prompt = fields.get("system_prompt_hash")
    return (
        f"v{fields['version']} {named}"
        + (f" {json.dumps(parameters, ensure_ascii=False)}" if parameters else "")
        + (f" prompt {prompt[:8]}" if prompt else "")
    )


def _span(fields: Fields) -> str:
    if fields["kind"] == "llm":
        said = json.loads(fields["output_messages"])
        text = " ".join(one.get("content") or json.dumps(one.get("tool_calls", [])) for one in said)
    else:
        called = fields.get("arguments")
        text = (f"{called} → " if called is not None else "") + fields["result"]
    return f"{fields['kind']} {fields['name']} ({_usage(fields)}): {text}"


def _evaluation(fields: Fields) -> str:
    parts = [f"by {fields['evaluator']}"]
    if fields.get("score") is not None:
        parts.append(f"{fields['score']:.3g}/10")
    ranking = json.loads(fields["ranking"])
    if ranking:
        parts.append(" > ".join(" = ".join(one[-8:] for one in group) for group in ranking))
    if fields.get("preference") is not None:
        parts.append(f"at {fields['preference']:.2f}")
    if fields["comment"]:
        parts.append(f"“{fields['comment']}”")
    return " ".join(parts)


def _evolution(fields: Fields) -> str:
    changes = "; ".join(json.loads(fields["changes"]))
    return f"{changes or 'changed'}: {fields['hypothesis']}"


_LABELS: Mapping[str, Callable[[Fields], str]] = {
    "session": lambda fields: f"{fields['user_need']} ({fields['source']})",
    "session_ending": lambda fields: f"{fields['outcome']} {fields['reason']}",
    "lineage": lambda fields: f"{fields['label']} {fields['approach']}",
    "lineage_lock": lambda fields: f"{'kept' if fields['locked'] else 'given free'} {fields['reason']}",
    "directive": lambda fields: fields["text"],
    "agent_definition": _agent,
    "rollout": lambda fields: f"cycle {fields['cycle']}",
    "attempt": lambda fields: f"{fields['number']} ({_usage(fields)}) {fields['error']}",
    "execution_span": _span,
    "artifact": lambda fields: f"{fields.get('name') or ''} [{fields['content_format']}] {fields['content']}",
    "evaluation": _evaluation,
    "evolution_record": _evolution,
    "evolution_outcome": lambda fields: f"{fields.get('score_delta', '')} {fields['comment']}",
    "learning_insight": lambda fields: f"{fields['pattern']} {fields['description']}",
}
