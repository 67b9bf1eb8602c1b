"""Interceptors: everything passes through unchanged, and what happened is recorded."""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
from collections.abc import AsyncGenerator, Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from assets_tests.capture.reading import bodies, events, problems
from pipeline.capture.interceptors import wrap_evaluator, wrap_executor, wrap_router, wrap_tool
from pipeline.capture.recorder import Recorder


class Refusal(Exception):
    pass


class Agent:
    """Has every kind of method."""

    def run(self, task: dict[str, Any], *, fail: bool = False) -> dict[str, Any]:
        """Work."""
        if fail:
            raise Refusal
        return {"output": f"done by {type(self).__name__}", "success": True}

    async def run_later(self, task: dict[str, Any], *, fail: bool = False) -> dict[str, Any]:
        await asyncio.sleep(0)
        return self.run(task, fail=fail)

    def stream(self, task: dict[str, Any], *, fail: bool = False) -> Generator[Any, Any, Any]:
        sent = yield "first"
        yield sent
        return self.run(task, fail=fail)

    async def stream_later(self, task: dict[str, Any], *, fail: bool = False) -> AsyncGenerator[Any, Any]:
        sent = yield "first"
        yield sent
        yield self.run(task, fail=fail)

    def __call__(self, task: dict[str, Any], *, fail: bool = False) -> dict[str, Any]:
        return self.run(task, fail=fail)


DONE = {"output": "done by Agent", "success": True}


def unwrapped(call: Any) -> Any:
    return call.func if isinstance(call, functools.partial) else call


def finish(call: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """What a call of any kind gives at its end; its first and second item are checked on the way."""
    started: Any = call(*given, **named)
    if inspect.isgeneratorfunction(unwrapped(call)):
        assert [next(started), started.send("sent")] == ["first", "sent"]
        with pytest.raises(StopIteration) as stopped:
            next(started)
        return stopped.value.value
    if inspect.isasyncgenfunction(unwrapped(call)):

        async def read() -> Any:
            assert [await anext(started), await started.asend("sent")] == ["first", "sent"]
            items = [item async for item in started]
            return items[-1]

        return asyncio.run(read())
    return asyncio.run(started) if inspect.iscoroutine(started) else started


def handing_out(agent: Agent) -> Callable[..., Any]:
    def plain(task: dict[str, Any], *, fail: bool = False) -> Any:
        return agent.run_later(task, fail=fail)

    return plain


WAYS: list[tuple[str, Callable[[Agent], Callable[..., Any]]]] = [
    ("bound method", lambda agent: agent.run),
    ("coroutine", lambda agent: agent.run_later),
    ("generator", lambda agent: agent.stream),
    ("asynchronous generator", lambda agent: agent.stream_later),
    ("object", lambda agent: agent),
    ("partial", lambda agent: functools.partial(agent.run)),
    ("partial of a coroutine", lambda agent: functools.partial(agent.run_later)),
    ("partial of a generator", lambda agent: functools.partial(agent.stream)),
    ("plain function that hands out a coroutine", handing_out),
]


@pytest.mark.parametrize("way", [way for _, way in WAYS], ids=[name for name, _ in WAYS])
def test_every_kind_of_callable_keeps_result_exception_and_signature(
    recorder: Recorder, places: tuple[Path, Path], way: Callable[[Agent], Callable[..., Any]]
) -> None:
    plain = way(Agent())
    wrapped = wrap_executor(recorder, plain)
    assert inspect.signature(wrapped) == inspect.signature(plain)
    assert finish(wrapped, {"task_id": "t"}) == finish(plain, {"task_id": "t"}) == DONE
    with pytest.raises(Refusal):
        finish(wrapped, {"task_id": "t"}, fail=True)
    good, bad = bodies("execution_completed", places[0])
    assert (good["success"], good["output"]) == (True, "done by Agent")
    assert (bad["success"], bad["failure_reason"]) == (False, "Refusal")
    assert problems([places[0]]) == []


def test_a_wrapped_class_member_is_still_a_method(recorder: Recorder, places: tuple[Path, Path]) -> None:
    class Wrapped(Agent):
        run = wrap_executor(recorder, Agent.run)

    assert Wrapped().run({"task_id": "t", "agent": "a"}) == {"output": "done by Wrapped", "success": True}
    assert bodies("execution_started", places[0])[0]["agent"] == "a"


def test_names_documentation_and_kind_stay(recorder: Recorder) -> None:
    wrapped = wrap_executor(recorder, Agent.run)
    assert (wrapped.__name__, wrapped.__doc__) == ("run", "Work.")
    assert inspect.iscoroutinefunction(wrap_executor(recorder, Agent.run_later))
    assert inspect.isgeneratorfunction(wrap_executor(recorder, Agent.stream))
    assert inspect.isasyncgenfunction(wrap_executor(recorder, Agent.stream_later))


def test_what_is_thrown_into_a_generator_arrives_there(recorder: Recorder) -> None:
    seen: list[str] = []

    def inner(task: str) -> Generator[str, Any, None]:
        try:
            yield "first"
        except Refusal:
            seen.append("thrown")
            yield "caught"
        finally:
            seen.append("closed")

    async def inner_later(task: str) -> AsyncGenerator[str, Any]:
        try:
            yield "first"
        except Refusal:
            seen.append("thrown")
            yield "caught"
        finally:
            seen.append("closed")

    async def read() -> None:
        items = wrap_executor(recorder, inner_later)("t")
        assert [await anext(items), await items.athrow(Refusal())] == ["first", "caught"]
        await items.aclose()

    items = wrap_executor(recorder, inner)("t")
    assert [next(items), items.throw(Refusal())] == ["first", "caught"]
    items.close()
    asyncio.run(read())
    assert seen == ["thrown", "closed"] * 2


def test_a_generator_that_waits_is_not_the_running_execution(
    recorder: Recorder, places: tuple[Path, Path]
) -> None:
    tool: Any = wrap_tool(recorder, str, name="look")

    def work(task: dict[str, Any]) -> Generator[int, Any, None]:
        yield 1
        tool("inside")
        yield 2

    first, second = (wrap_executor(recorder, work)({"task_id": name}) for name in "ab")
    next(first), next(second), tool("outside"), next(first), next(second)
    first.close()
    second.close()
    called = [event.subject for event in events(places[0]) if event.kind == "tool_called"]
    assert called == ["unknown", "a", "b"]


def test_a_task_stays_the_task_it_is(recorder: Recorder, places: tuple[Path, Path]) -> None:
    async def main() -> None:
        def start(task: dict[str, Any]) -> asyncio.Task[dict[str, Any]]:
            return asyncio.create_task(Agent().run_later(task))

        running = wrap_executor(recorder, start)({"task_id": "t"})
        assert isinstance(running, asyncio.Task)
        assert await running == DONE
        stopped = wrap_executor(recorder, start)({"task_id": "t"})
        stopped.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopped

    asyncio.run(main())
    done = bodies("execution_completed", places[0])
    assert [body["success"] for body in done] == [True, False]
    assert done[1]["failure_reason"] == "CancelledError"


class Hostile:
    """Raises whatever is asked of it."""

    def __getattribute__(self, name: str) -> Any:
        raise Refusal(name)

    def __str__(self) -> str:
        raise Refusal

    __repr__ = __str__


def test_hostile_arguments_and_results_reach_nobody(recorder: Recorder) -> None:
    def same(task: Any, agent: Any = None) -> Any:
        return task

    hostile = Hostile()
    for wrap in (wrap_router, wrap_executor, wrap_evaluator, wrap_tool):
        wrapped: Any = wrap(recorder, same)
        assert wrapped(hostile, agent=hostile) is hostile
        assert wrapped({"task_id": hostile, "id": hostile}) == {"task_id": hostile, "id": hostile}
    counts = recorder.report()
    assert sum(counts["faults"].values()) + sum(counts["refused"].values()) > 0


def test_an_extractor_that_raises_is_counted(recorder: Recorder, places: tuple[Path, Path]) -> None:
    def broken(*_: Any) -> dict[str, Any]:
        raise Refusal

    assert wrap_evaluator(recorder, lambda task: 0.5)({"id": "t1"}) == 0.5
    assert wrap_executor(recorder, lambda task: "x", extract=broken)({"id": "t1"}) == "x"
    assert recorder.report()["faults"] == {"extractor: Refusal": 1}
    assert bodies("execution_completed", places[0])[0]["success"] is True


def test_a_router_records_candidates_of_any_shape(recorder: Recorder, places: tuple[Path, Path]) -> None:
    class Named:
        def __init__(self, agent: str, score: float) -> None:
            self.agent, self.score, self.memory = agent, score, ["much"] * 100

    routed: Any = wrap_router(
        recorder, lambda task: {"agent": "a", "candidates": ["a", Named("b", 0.5), {"agent": "c"}]}
    )
    routed({"id": "t", "type": "bug_fix", "prompt": "words"})
    (body,) = bodies("routing_decided", places[0])
    assert body["candidates"] == [{"agent": "a"}, {"agent": "b", "score": 0.5}, {"agent": "c"}]
    assert bodies("task_received", places[0]) == [{"task_type": "bug_fix", "description": "words"}]


def test_blocks_record_what_has_no_function_to_wrap(recorder: Recorder, places: tuple[Path, Path]) -> None:
    @recorder.tool
    def look(what: str) -> str:
        raise TimeoutError("slow")

    with recorder.task("t", task_type="bug_fix") as task:
        task.routed("a", strategy="only one")
        with pytest.raises(Refusal), task.execution("a", model="m") as execution:
            execution.tool("grep", arguments={"pattern": "x"}, result="three lines")
            with pytest.raises(TimeoutError):
                look("there")
            raise Refusal("too hard")
        with task.execution("a") as second:
            second.finished(success=True, tokens={"input": 5})
        task.evaluated(0.75, evaluator="tests")
    kinds = [event.kind for event in events(places[0]) if event.subject == "t"]
    assert kinds == ["task_received", "routing_decided", "execution_started", "tool_called", "tool_called",
                     "execution_completed", "execution_started", "execution_completed",
                     "evaluation_finished"]  # fmt: skip
    first, last = bodies("execution_completed", places[0])
    assert (first["success"], first["failure_reason"], first["failure_message"]) == (
        False,
        "Refusal",
        "too hard",
    )
    assert (first["attempt"], first["tool_call_count"], last["attempt"]) == (1, 2, 2)
    assert first["time_to_first_action_ms"] <= first["latency_ms"]
    assert last["tokens"] == {"input": 5}
    assert [body["outcome"] for body in bodies("tool_called", places[0]) if "outcome" in body] == ["timeout"]
    assert json.loads(bytes(events(places[0])[1].body))["task_type"] == "bug_fix"
    assert problems([places[0]]) == []
