"""Recording somebody's router, executor, evaluator and tools without changing them.

What belongs here: the wrappers. What does not: what is read out of arguments and results (``extractors``).

Each ``wrap_…`` takes a function, bound method, coroutine function, generator or asynchronous generator
function, or an object whose calls are meant, and gives back one with the same signature. Result, exception
and everything sent into or out of a generator pass through unchanged; a fault in an extractor is counted
and stays inside.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar, cast

from pipeline.capture import extractors
from pipeline.capture.passing import Begin, Watch, nothing, passed_through
from pipeline.capture.recording import TaskRecording, failure, new_id
from pipeline.capture.running import Running, current, enter, leave

Function = TypeVar("Function", bound=Callable[..., Any])
Fields = Mapping[str, Any]
Extract = Callable[[Mapping[str, Any], Any], Fields]
"""Reads a body's fields out of the call's arguments by name and its result."""


class FaultCounting(Protocol):
    """A recorder as far as interceptors need it."""

    def fault(self, reason: str) -> None:
        """Count a fault."""


class _Call:
    """One call: its arguments by name, and extractors that cannot fail outwards."""

    def __init__(self, recorder: TaskRecording, function: Callable[..., Any]) -> None:
        self.recorder = recorder
        self._signature = _signature(function)

    def arguments(self, given: tuple[Any, ...], named: dict[str, Any]) -> dict[str, Any]:
        if self._signature is None:
            return {**{f"argument_{place}": value for place, value in enumerate(given)}, **named}
        try:
            return dict(self._signature.bind(*given, **named).arguments)
        except TypeError:
            return dict(named)  # the call itself will say what is wrong with it

    def safely(self, extract: Callable[..., Any], *values: Any) -> dict[str, Any]:
        try:
            return dict(extract(*values))
        except Exception as error:  # noqa: BLE001 - an extractor is foreign code and must not reach the caller
            self.fault(f"extractor: {type(error).__name__}")
            return {}

    def fault(self, reason: str) -> None:
        cast("FaultCounting", self.recorder).fault(reason)

    def guarded(self, begin: Begin) -> Begin:
        """The same, but nothing that goes wrong while recording reaches the function's caller."""

        def safe(given: tuple[Any, ...], named: dict[str, Any]) -> Watch:
            try:
                watch = begin(given, named)
            except Exception as error:  # noqa: BLE001 - a foreign argument may raise anywhere
                self.fault(f"interceptor: {type(error).__name__}")
                return Watch(nothing)

            def end(result: Any, error: BaseException | None) -> None:
                try:
                    watch.end(result, error)
                except Exception as fault:  # noqa: BLE001 - a foreign result may raise anywhere
                    self.fault(f"interceptor: {type(fault).__name__}")

            return watch._replace(end=end)

        return safe


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


def wrap_router(
    recorder: TaskRecording,
    function: Function,
    *,
    extract: Extract = extractors.routing,
    task: Callable[[Mapping[str, Any]], Fields] = extractors.task,
    received: bool = True,
) -> Function:
    """A router that records task_received (unless ``received`` is False) and routing_decided.

    ``task`` reads the task (``task_id`` and fields of ``TaskReceived``) out of the arguments.
    """
    call = _Call(recorder, function)

    def begin(given: tuple[Any, ...], named: dict[str, Any]) -> Watch:
        arguments = call.arguments(given, named)
        facts = call.safely(task, arguments)
        task_id = str(facts.pop("task_id", None) or new_id("task"))
        if received:
            recorder.emit("task_received", task_id, {"task_type": "unknown", **facts})
        begun = recorder.stopwatch()

        def end(result: Any, error: BaseException | None) -> None:
            if error is not None:
                return
            fields = {
                "routing_ms": (recorder.stopwatch() - begun) * 1000,
                **call.safely(extract, arguments, result),
            }
            recorder.emit("routing_decided", task_id, {"selected_agent": "unknown", **fields})

        return Watch(end)

    return cast(Function, passed_through(function, call.guarded(begin)))


def wrap_executor(
    recorder: TaskRecording,
    function: Function,
    *,
    extract: Extract = extractors.execution,
    task: Callable[[Mapping[str, Any]], Fields] = extractors.started,
) -> Function:
    """An executor that records execution_started and execution_completed, also when it raises.

    ``task`` reads ``task_id``, ``agent`` and further fields of ``ExecutionStarted`` out of the arguments.
    Tools wrapped by ``wrap_tool`` that run inside belong to this execution.
    """
    call = _Call(recorder, function)

    def begin(given: tuple[Any, ...], named: dict[str, Any]) -> Watch:
        arguments = call.arguments(given, named)
        facts = call.safely(task, arguments)
        task_id = str(facts.pop("task_id", None) or new_id("task"))
        facts = {"agent": "unknown", "execution_id": new_id("execution"), **facts}
        actions: list[float] = []
        begun = recorder.stopwatch()
        running = Running(
            task_id,
            facts["execution_id"],
            facts["agent"],
            lambda: actions.append(recorder.stopwatch() - begun),
        )
        recorder.emit("execution_started", task_id, facts)

        def end(result: Any, error: BaseException | None) -> None:
            fields: dict[str, Any] = {
                **facts,
                "success": error is None,
                "latency_ms": (recorder.stopwatch() - begun) * 1000,
                "time_to_first_action_ms": actions[0] * 1000 if actions else None,
                "tool_call_count": len(actions),
            }
            fields |= call.safely(extract, arguments, result) if error is None else failure(error)
            recorder.emit("execution_completed", task_id, fields)

        return Watch(end, lambda: enter(running), leave)

    return cast(Function, passed_through(function, call.guarded(begin)))


def wrap_evaluator(
    recorder: TaskRecording, function: Function, *, extract: Extract = extractors.evaluation
) -> Function:
    """An evaluator that records evaluation_finished; ``extract`` also gives ``task_id``."""
    call = _Call(recorder, function)

    def begin(given: tuple[Any, ...], named: dict[str, Any]) -> Watch:
        arguments = call.arguments(given, named)
        begun = recorder.stopwatch()

        def end(result: Any, error: BaseException | None) -> None:
            if error is not None:
                return
            fields = {
                "evaluation_ms": (recorder.stopwatch() - begun) * 1000,
                **call.safely(extract, arguments, result),
            }
            task_id = str(fields.pop("task_id", None) or "unknown")
            recorder.emit("evaluation_finished", task_id, fields)

        return Watch(end)

    return cast(Function, passed_through(function, call.guarded(begin)))


def wrap_tool(recorder: TaskRecording, function: Function, *, name: str | None = None) -> Function:
    """A tool whose calls are recorded as tool_called of the running execution (or of the task
    ``unknown``)."""
    call = _Call(recorder, function)
    tool = name or getattr(function, "__name__", type(function).__name__)

    def begin(given: tuple[Any, ...], named: dict[str, Any]) -> Watch:
        arguments = call.arguments(given, named)
        running = current()
        begun = recorder.stopwatch()
        if running is not None:
            running.acted()

        def end(result: Any, error: BaseException | None) -> None:
            fields: dict[str, Any] = {
                "tool": tool,
                "arguments": call.safely(extractors.shown, arguments),
                "duration_ms": (recorder.stopwatch() - begun) * 1000,
                "outcome": "success" if error is None else "failure",
            }
            if error is None:
                fields |= call.safely(lambda: {"result": extractors.text_of(result)})
            else:
                fields |= {"error": failure(error)["failure_message"] or type(error).__name__}
                if isinstance(error, TimeoutError):
                    fields["outcome"] = "timeout"
            if running is not None:
                fields |= {"execution_id": running.execution_id, "agent": running.agent}
            recorder.emit("tool_called", running.task_id if running else "unknown", fields)

        return Watch(end)

    return cast(Function, passed_through(function, call.guarded(begin)))
