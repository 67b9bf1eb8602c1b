"""Recorders and the process they live in: forks, its end, its clock, its name, who calls.

What belongs here: what a recorder asks of the running process. What does not: recording.
"""

from __future__ import annotations

import atexit
import errno
import os
import sys
import time
import weakref
from collections.abc import Callable
from typing import Any, Protocol

CLOCK_VARIABLE = "PIPELINE_NOW"
"""As in ``pipeline.hours``, which is loaded only where the variable is set."""


class Process(Protocol):
    """A recorder as far as forks and the process's end matter."""

    def after_fork(self) -> None:
        """Begin anew in the child."""

    def close(self) -> None:
        """Write the last report."""

    def report(self) -> dict[str, Any]:
        """What was counted."""


_ALIVE: weakref.WeakSet[Process] = weakref.WeakSet()


def watch(process: Process) -> None:
    """Let a recorder begin anew after each fork, and close it when the process ends."""
    _ALIVE.add(process)
    atexit.register(_close_at_exit, weakref.ref(process))


def _close_at_exit(reference: weakref.ref[Process]) -> None:
    recorder = reference()
    if recorder is None:
        return
    recorder.close()
    counts = recorder.report()
    lost = sum(counts["failed"].values())
    if lost:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(counts["failed"].items()))
        sys.stderr.write(
            f"Recording: {lost} of {counts['emitted']} events are lost, because neither the spool nor its "
            f"second directory could be written ({reasons}); make room or set PIPELINE_SPOOL_FALLBACK.\n"
        )


def _after_fork() -> None:
    for recorder in list(_ALIVE):
        recorder.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def wall_clock() -> Callable[[], int]:
    """The wall clock in nanoseconds since 1970, or the instant that ``PIPELINE_NOW`` fixes."""
    if not os.environ.get(CLOCK_VARIABLE):
        return time.time_ns
    from pipeline.hours import now

    return lambda: int(now().timestamp()) * 1_000_000_000


def calling_module(depth: int) -> str:
    """The first module outside this package, from ``depth`` frames above the caller on."""
    frame = sys._getframe(depth + 1)
    name: str = frame.f_globals.get("__name__", "")
    while name.startswith("pipeline.capture"):
        if frame.f_back is None:
            return ""
        frame = frame.f_back
        name = frame.f_globals.get("__name__", "")
    return name[:200]


def host_name() -> str:
    """The name of this machine; ``unknown`` where it has none."""
    named = os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")
    return sound(named)[:200] or "unknown"


def sound(text: str) -> str:
    """The text with a question mark for what UTF-8 cannot say (lone surrogates)."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def errno_name(error: OSError) -> str:
    """What went wrong, as ``ENOSPC``."""
    return errno.errorcode.get(error.errno or 0, type(error).__name__)
