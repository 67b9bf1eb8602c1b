"""Typed helpers for the life of a task.

What belongs here: one method per kind of event, and the ``with`` blocks of a task and an execution. What does
not: writing (``recorder``), wrapping somebody's functions (``interceptors``).
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

from pipeline.capture.kinds import Body

Function = TypeVar("Function", bound=Callable[..., Any])


class TaskRecording(ABC):
    """What a recorder offers for tasks; fields are those of the bodies in ``events``."""

    stopwatch: Callable[[], float]
    """Seconds since any instant; durations are differences of it. A simulation puts its own in."""

    @abstractmethod
    def emit(
        self, kind: str, subject: str, body: Body | Mapping[str, Any], *, complexity: str | None = None
    ) -> bool:
        """Record one event; see ``Recorder.emit``."""

    def task_received(self, task_id: str, *, task_type: str, **fields: Any) -> bool:
        """A task came in (``TaskReceived``)."""
        return self.emit("task_received", task_id, {"task_type": task_type, **fields})

    def routing_decided(self, task_id: str, *, selected_agent: str, **fields: Any) -> bool:
        """Somebody was chosen (``RoutingDecided``)."""
        return self.emit("routing_decided", task_id, {"selected_agent": selected_agent, **fields})

    def execution_started(self, task_id: str, *, execution_id: str, agent: str, **fields: Any) -> bool:
        """An agent began (``ExecutionStarted``)."""
        return self.emit(
            "execution_started", task_id, {"execution_id": execution_id, "agent": agent, **fields}
        )

    def tool_called(self, task_id: str, *, tool: str, **fields: Any) -> bool:
        """A tool was called (``ToolCalled``)."""
        return self.emit("tool_called", task_id, {"tool": tool, **fields})

    def execution_completed(
        self, task_id: str, *, execution_id: str, agent: str, success: bool, **fields: Any
    ) -> bool:
        """An agent finished (``ExecutionCompleted``)."""
        body = {"execution_id": execution_id, "agent": agent, "success": success, **fields}
        return self.emit("execution_completed", task_id, body)

    def evaluation_finished(self, task_id: str, *, overall_score: float, **fields: Any) -> bool:
        """A result was judged (``EvaluationFinished``)."""
        return self.emit("evaluation_finished", task_id, {"overall_score": overall_score, **fields})

    def deep_analysis(self, task_id: str, *, complexity: str | None = None, **fields: Any) -> bool:
        """A sampled task was looked at closely (``DeepAnalysis``)."""
        return self.emit("deep_analysis", task_id, fields, complexity=complexity)

    def task(self, task_id: str | None = None, *, task_type: str, **fields: Any) -> TaskBlock:
        """A task as a ``with`` block: ``with recorder.task(task_type="bug_fix") as task: …``."""
        return TaskBlock(self, task_id or new_id("task"), {"task_type": task_type, **fields})

    def tool(self, function: Function) -> Function:
        """A decorator that records each call as a tool call of the running execution."""
        from pipeline.capture.interceptors import wrap_tool

        wrapped: Function = wrap_tool(self, function)
        return wrapped


def new_id(kind: str) -> str:
    """An id that nobody else has."""
    return f"{kind}-{os.urandom(16).hex()}"


class TaskBlock:
    """A running task; entering it records that it came in."""

    def __init__(self, recorder: TaskRecording, task_id: str, fields: dict[str, Any]) -> None:
        self.recorder, self.task_id, self._fields = recorder, task_id, fields
        self._attempts = 0

    def __enter__(self) -> Self:
        self.recorder.emit("task_received", self.task_id, self._fields)
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is recorded: the executions say how it went."""

    def routed(self, selected_agent: str, **fields: Any) -> bool:
        """Record who got the task."""
        return self.recorder.routing_decided(self.task_id, selected_agent=selected_agent, **fields)

    def execution(self, agent: str, **fields: Any) -> ExecutionBlock:
        """An execution as a ``with`` block; each one of a task is the next attempt."""
        self._attempts += 1
        return ExecutionBlock(self, agent, {"attempt": self._attempts, **fields})

    def evaluated(self, overall_score: float, **fields: Any) -> bool:
        """Record what it is worth."""
        return self.recorder.evaluation_finished(self.task_id, overall_score=overall_score, **fields)


class ExecutionBlock:
    """A running execution; an exception inside is recorded as its failure and goes on unchanged."""

    def __init__(self, task: TaskBlock, agent: str, fields: dict[str, Any]) -> None:
        self.task, self.agent, self._fields = task, agent, fields
        self._stopwatch = task.recorder.stopwatch
        self.execution_id = str(fields.pop("execution_id", "") or new_id("execution"))
        self._result: dict[str, Any] = {}
        self._tools = 0
        self._first_action: float | None = None
        self._begun = self._stopwatch()

    def __enter__(self) -> Self:
        from pipeline.capture.running import Running, enter

        self._begun = self._stopwatch()
        self.task.recorder.emit("execution_started", self.task.task_id, self._named(self._fields))
        self._token = enter(Running(self.task.task_id, self.execution_id, self.agent, self._note_action))
        return self

    def _named(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        return {"execution_id": self.execution_id, "agent": self.agent, **fields}

    def _note_action(self) -> None:
        self._tools += 1
        if self._first_action is None:
            self._first_action = (self._stopwatch() - self._begun) * 1000

    def tool(self, tool: str, **fields: Any) -> bool:
        """Record one tool call (fields of ``ToolCalled``)."""
        self._note_action()
        return self.task.recorder.emit(
            "tool_called", self.task.task_id, self._named({"tool": tool, **fields})
        )

    def finished(self, *, success: bool = True, **fields: Any) -> None:
        """Say how it went; recorded when the block ends. Without it the block succeeded."""
        self._result = {"success": success, **fields}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from pipeline.capture.running import leave

        leave(self._token)
        fields: dict[str, Any] = {
            **self._fields,
            "success": True,
            "latency_ms": (self._stopwatch() - self._begun) * 1000,
            "time_to_first_action_ms": self._first_action,
            "tool_call_count": self._tools,
            **self._result,
        }
        if error is not None:
            fields |= {"success": False, **failure(error)}
        self.task.recorder.emit("execution_completed", self.task.task_id, self._named(fields))


def failure(error: BaseException) -> dict[str, Any]:
    """An exception as the fields of a failure; its text may hold anything and passes privacy's door."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - a foreign __str__ may raise anything
        text = ""
    return {"failure_reason": type(error).__name__[:200], "failure_message": text}
