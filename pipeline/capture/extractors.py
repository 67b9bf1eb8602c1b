"""What the interceptors read out of arguments and results when nobody says otherwise.

What belongs here: sensible defaults for mappings, dataclasses, objects and texts. What does not: recording.

The defaults look for fields of the body by name, and for a few other usual names (``type`` for
``task_type``, ``score`` for ``overall_score``, ``id`` for ``task_id``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import msgspec

from pipeline.capture.events import (
    Candidate,
    EvaluationFinished,
    ExecutionCompleted,
    ExecutionStarted,
    RoutingDecided,
    TaskReceived,
)

_LONGEST = 20_000
_TASK_NAMES = {"type": "task_type", "kind": "task_type", "prompt": "description", "text": "description"}


def fields_of(value: Any) -> dict[str, Any]:
    """The named parts of a mapping, dataclass, struct, named tuple or plain object; nothing for the rest."""
    if isinstance(value, Mapping):
        return {str(name): part for name, part in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.asdict(value)
    if hasattr(value, "_asdict"):
        return dict(value._asdict())
    if hasattr(value, "__dict__") and not isinstance(value, type) and not callable(value):
        return {name: part for name, part in vars(value).items() if not name.startswith("_")}
    return {}


def text_of(value: Any) -> str:
    """A result as text: a text as it is, anything else as JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value[:_LONGEST]
    return msgspec.json.encode(value, enc_hook=str).decode()[:_LONGEST]


def shown(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """A tool's arguments without the object that a method belongs to."""
    return {name: value for name, value in arguments.items() if name not in ("self", "cls")}


def _known(fields: Mapping[str, Any], body: type[msgspec.Struct]) -> dict[str, Any]:
    return {name: fields[name] for name in body.__struct_fields__ if fields.get(name) is not None}


def task(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """``task_id`` and the fields of ``TaskReceived`` from the argument ``task``, or from all arguments."""
    first = _subject(arguments)
    if isinstance(first, str):
        return {**_known(arguments, TaskReceived), "task_id": arguments.get("task_id"), "description": first}
    found = fields_of(first) or dict(arguments)
    for other, name in _TASK_NAMES.items():
        if name not in found and isinstance(found.get(other), str):
            found[name] = found[other]
    return {**_known(found, TaskReceived), "task_id": _task_id(arguments, found)}


def _subject(arguments: Mapping[str, Any]) -> Any:
    if "task" in arguments:
        return arguments["task"]
    return next(iter(shown(arguments).values()), None)


def _task_id(arguments: Mapping[str, Any], found: Mapping[str, Any]) -> Any:
    return arguments.get("task_id") or found.get("task_id") or found.get("id")


def routing(arguments: Mapping[str, Any], result: Any) -> dict[str, Any]:
    """The fields of ``RoutingDecided``; a text is the agent's name."""
    if isinstance(result, str):
        return {"selected_agent": result}
    found = fields_of(result)
    for other in ("agent", "selected", "name"):
        if "selected_agent" not in found and isinstance(found.get(other), str):
            found["selected_agent"] = found[other]
    known = _known(found, RoutingDecided)
    if "candidates" in known:
        known["candidates"] = [
            {"agent": part} if isinstance(part, str) else _known(fields_of(part), Candidate)
            for part in known["candidates"]
        ]
    return known


def started(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """``task_id``, ``agent`` and the fields of ``ExecutionStarted`` from the arguments and the task."""
    first = _subject(arguments)
    found = {**fields_of(first), **arguments}
    agent = found.get("agent")
    if agent is not None and not isinstance(agent, str):
        found["agent"] = fields_of(agent).get("name") or type(agent).__name__
    return {**_known(found, ExecutionStarted), "task_id": _task_id(arguments, found)}


def execution(arguments: Mapping[str, Any], result: Any) -> dict[str, Any]:
    """The fields of ``ExecutionCompleted``; a result without any is the output."""
    found = _known(fields_of(result), ExecutionCompleted)
    if "tokens" in found and not isinstance(found["tokens"], Mapping | msgspec.Struct):
        found["tokens"] = {"output": found["tokens"]} if isinstance(found["tokens"], int) else None
    if "output" in found or (found and not isinstance(result, str)):
        if not isinstance(found.get("output", ""), str):
            found["output"] = text_of(found["output"])
        return found
    return {"output": text_of(result)}


def evaluation(arguments: Mapping[str, Any], result: Any) -> dict[str, Any]:
    """``task_id`` and the fields of ``EvaluationFinished``; a number is the overall score."""
    first = fields_of(_subject(arguments))
    execution_id = arguments.get("execution_id") or first.get("execution_id")
    links = {"task_id": _task_id(arguments, first), "execution_id": execution_id, "agent": first.get("agent")}
    links = {name: value for name, value in links.items() if isinstance(value, str)}
    if isinstance(result, int | float):
        return {**links, "overall_score": float(result)}
    found = fields_of(result)
    if "overall_score" not in found and "score" in found:
        found["overall_score"] = found["score"]
    task_id = found.get("task_id") or links.get("task_id")
    return {**links, **_known(found, EvaluationFinished), "task_id": task_id}
