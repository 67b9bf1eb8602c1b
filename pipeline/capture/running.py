"""Which task and execution the running code belongs to, across threads' and coroutines' contexts.

What belongs here: the context variable. What does not: recording.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import NamedTuple


class Running(NamedTuple):
    """The running execution; ``acted`` is told of every tool call."""

    task_id: str
    execution_id: str
    agent: str
    acted: Callable[[], None]


_running: ContextVar[Running | None] = ContextVar("pipeline_capture_running", default=None)


def current() -> Running | None:
    """The running execution of this context; none outside of one."""
    return _running.get()


def enter(running: Running) -> Token[Running | None]:
    """Make an execution the running one; the token leaves it again."""
    return _running.set(running)


def leave(token: Token[Running | None]) -> None:
    """Go back to what ran before; from another context (a generator that moved) nothing is left to undo."""
    try:
        _running.reset(token)
    except ValueError:
        _running.set(None)
