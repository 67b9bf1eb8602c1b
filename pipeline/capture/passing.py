"""Calling somebody's function so that it notices nothing.

What belongs here: one wrapper for each kind of callable. What does not: what is recorded (``interceptors``).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, NamedTuple


def _nothing(*_: Any) -> None:
    """Neither enters nor leaves anything."""


class Watch(NamedTuple):
    """What happens around one call: ``end`` gets the result or the exception."""

    end: Callable[[Any, BaseException | None], None]
    enter: Callable[[], Any] = _nothing
    leave: Callable[[Any], None] = _nothing


Begin = Callable[[tuple[Any, ...], dict[str, Any]], Watch]


def passed_through(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    """The function, watched; a generator's result is what it returns, an asynchronous one's last item."""
    called = (
        function if inspect.isroutine(function) or inspect.isfunction(function) else type(function).__call__
    )
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
        if inspect.isawaitable(result):  # a plain function that hands out a coroutine
            return _awaited(result, watch)
        watch.end(result, None)
        return result

    return wrapper


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
        token = watch.enter()
        try:
            result = yield from function(*given, **named)
        except BaseException as error:
            watch.leave(token)
            watch.end(None, error)
            raise
        watch.leave(token)
        watch.end(result, None)
        return result

    return wrapper


def _async_generator(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    async def wrapper(*given: Any, **named: Any) -> AsyncGenerator[Any, Any]:
        watch = begin(given, named)
        token = watch.enter()
        inner = function(*given, **named)
        item: Any = None
        try:
            sent: Any = None
            while True:
                try:
                    item = await inner.asend(sent)
                except StopAsyncIteration:
                    break
                sent = yield item
        except GeneratorExit as stopped:
            await inner.aclose()
            watch.end(item, stopped)
            raise
        except BaseException as error:
            watch.end(None, error)
            raise
        finally:
            watch.leave(token)
        watch.end(item, None)

    return wrapper
