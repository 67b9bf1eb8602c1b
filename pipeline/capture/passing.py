"""Calling somebody's function so that it notices nothing.

What belongs here: one wrapper for each kind of callable. What does not: what is recorded (``interceptors``).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from types import CoroutineType
from typing import Any, NamedTuple


def nothing(*_: Any) -> None:
    """Neither enters nor leaves anything."""


class Watch(NamedTuple):
    """What happens around one call: ``end`` gets the result or the exception."""

    end: Callable[[Any, BaseException | None], None]
    enter: Callable[[], Any] = nothing
    leave: Callable[[Any], None] = nothing


Begin = Callable[[tuple[Any, ...], dict[str, Any]], Watch]


def passed_through(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    """The function, watched; a generator's result is what it returns, an asynchronous one's last item."""
    called = function
    while isinstance(called, functools.partial):
        called = called.func
    if not inspect.isroutine(called):
        called = type(called).__call__
    if inspect.isasyncgenfunction(called):
        wrapper = _async_generator(function, begin)
    elif inspect.iscoroutinefunction(called):
        wrapper = _coroutine(function, begin)
    elif inspect.isgeneratorfunction(called):
        wrapper = _generator(function, begin)
    else:
        wrapper = _plain(function, begin)
    return functools.update_wrapper(wrapper, function)


def _plain(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    def wrapper(*given: Any, **named: Any) -> Any:
        watch = begin(given, named)
        token = watch.enter()
        try:
            result = function(*given, **named)
        except BaseException as error:
            watch.leave(token)
            watch.end(None, error)
            raise
        watch.leave(token)
        kind = type(result)  # a foreign object is asked nothing: it may raise even for its class
        if issubclass(kind, CoroutineType):  # a plain function that hands out a coroutine
            return _awaited(result, watch)
        if hasattr(kind, "add_done_callback"):  # a task or future stays the object it is
            result.add_done_callback(functools.partial(_when_done, watch))
            return result
        watch.end(result, None)
        return result

    return wrapper


def _when_done(watch: Watch, future: Any) -> None:
    try:
        value = future.result()
    except BaseException as error:  # noqa: BLE001 - also a cancellation; whoever waits for it gets it still
        watch.end(None, error)
    else:
        watch.end(value, None)


async def _awaited(result: Any, watch: Watch) -> Any:
    token = watch.enter()
    try:
        value = await result
    except BaseException as error:
        watch.end(None, error)
        raise
    finally:
        watch.leave(token)
    watch.end(value, None)
    return value


def _coroutine(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    async def wrapper(*given: Any, **named: Any) -> Any:
        return await _awaited(function(*given, **named), begin(given, named))

    return wrapper


def _generator(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    def wrapper(*given: Any, **named: Any) -> Generator[Any, Any, Any]:
        watch = begin(given, named)
        inner = function(*given, **named)
        step = functools.partial(next, inner)
        try:
            while True:
                token = watch.enter()  # only while the inner generator runs, never while its reader does
                try:
                    item = step()
                except StopIteration as stopped:
                    result = stopped.value
                    break
                finally:
                    watch.leave(token)
                try:
                    sent = yield item
                except GeneratorExit:
                    inner.close()
                    raise
                except BaseException as thrown:  # noqa: BLE001 - handed on to whom it was meant for
                    step = functools.partial(inner.throw, thrown)
                else:
                    step = functools.partial(inner.send, sent)
        except BaseException as error:
            watch.end(None, error)
            raise
        watch.end(result, None)
        return result

    return wrapper


def _async_generator(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    async def wrapper(*given: Any, **named: Any) -> AsyncGenerator[Any, Any]:
        watch = begin(given, named)
        inner = function(*given, **named)
        step = functools.partial(inner.asend, None)
        item: Any = None
        try:
            while True:
                token = watch.enter()
                try:
                    item = await step()
                except StopAsyncIteration:
                    break
                finally:
                    watch.leave(token)
                try:
                    sent = yield item
                except GeneratorExit:
                    await inner.aclose()
                    raise
                except BaseException as thrown:  # noqa: BLE001 - handed on to whom it was meant for
                    step = functools.partial(inner.athrow, thrown)
                else:
                    step = functools.partial(inner.asend, sent)
        except BaseException as error:
            watch.end(None, error)
            raise
        watch.end(item, None)

    return wrapper
