"""How a collection shows itself on stderr, and what Ctrl-C does to it."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

import click

from pipeline.collector.running import Progress

T = TypeVar("T")

LINE_SECONDS = 5.0
"""Between two lines where stderr is no terminal."""
REFRESH_SECONDS = 0.25
CANCELLED = "cancelled"


def run_interruptibly(work: Coroutine[Any, Any, T], progress: Progress, *, quiet: bool = False) -> T:
    """Run ``work`` while showing ``progress``; the first Ctrl-C asks it to finish, the second cancels it.

    Raises ``KeyboardInterrupt`` after the second.
    """
    return asyncio.run(_run(work, progress, quiet))


async def _run(work: Coroutine[Any, Any, T], progress: Progress, quiet: bool) -> T:
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)
    display = loop.create_task(_show(progress)) if not quiet else None

    def interrupt() -> None:
        if progress.stop.is_set():
            progress.stopped_by = CANCELLED
            task.cancel()
            return
        progress.request_stop("interrupted")
        click.echo(
            f"\nFinishing {progress.in_flight} requests under way; press Ctrl-C again to stop at once.",
            err=True,
        )

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    try:
        return await task
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        if display is not None:
            display.cancel()
            await asyncio.gather(display, return_exceptions=True)


def line(progress: Progress, started: float) -> str:
    """The progress as one line: records, rate, money, failures, what is under way, time left."""
    seconds = max(1e-6, time.monotonic() - started)
    ended = progress.done + progress.failed
    rate = ended / seconds
    left = progress.planned - progress.already - ended
    wait = f", about {_duration(left / rate)} left" if rate > 0 and left > 0 else ""
    money = f"{progress.billed:.4f} USD" + (f" + {progress.unpriced} unpriced" if progress.unpriced else "")
    return (
        f"{progress.already + progress.done}/{progress.planned} records, {rate:,.1f}/s, {money}, "
        f"{progress.failed} failed, {progress.in_flight} under way{wait}"
    )


async def _show(progress: Progress) -> None:
    from rich.console import Console

    started = time.monotonic()
    console = Console(stderr=True)
    if not console.is_terminal:
        while True:
            await asyncio.sleep(LINE_SECONDS)
            click.echo(line(progress, started), err=True)
    with console.status(line(progress, started)) as status:
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            status.update(line(progress, started))


def _duration(seconds: float) -> str:
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    return (
        f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"
    )
