"""The runner: plans in, records on disk, results written.

What belongs here: what is asked next, how many at once, when a record counts, when to stop. What does not:
how a request is sent (``asking``), what is drawn on the terminal (the command).

A request keeps its place among ``concurrency`` until its record is written, so a killed process repeats at
most that many; the record counts once its group is synced (``journal_writer``). Of several models, the one
with the fewest requests under way goes next, so that a slow or limited one holds no more than its share.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from pipeline.collector.answers import Answer, make_record
from pipeline.collector.budget import Budget
from pipeline.collector.costing import bound_of, price_on
from pipeline.collector.datasets import Item
from pipeline.collector.failures import PERHAPS_BILLED
from pipeline.collector.journal import Journal
from pipeline.collector.journal_writer import GROUP_SECONDS, JournalWriter
from pipeline.collector.locks import RunLock
from pipeline.collector.planning import ModelPlan, Plan
from pipeline.collector.records import DONE, Record
from pipeline.collector.results import summarise, write_results
from pipeline.errors import ConfigurationError
from pipeline.hours import now

LOOK_UP = 256
"""Jobs looked up in the cache at once; those it does not answer wait to be sent."""
MAXIMUM_UNWRITTEN = 2_000
"""Reused answers that may wait to be written at once; repeating one costs nothing."""
LOCK_SECONDS = 0.5
RUN_DEADLINE = "run_deadline"
"""Error class of what the run's own deadline cut off: left for the next run, not counted as failed."""


Job = tuple[Item, int]
"""An item and its repetition."""


class Asker(Protocol):
    """Has prompts answered; never raises for a failed request."""

    async def ask(self, model: ModelPlan, item: Item, repetition: int) -> Answer:
        """The answer, or the failure as an answer."""
        ...

    async def look_up(self, model: ModelPlan, jobs: Sequence[Job]) -> list[Answer | None]:
        """What the cache answers, None for each job that would have to be sent; sends nothing."""
        ...


@dataclass
class Progress:
    """Counts that a display may read at any time; ``stop`` asks the run to finish what is under way and
    end."""

    planned: int = 0
    already: int = 0
    done: int = 0
    failed: int = 0
    sent: int = 0
    billed: float = 0.0
    unpriced: int = 0
    in_flight: int = 0
    stopped_by: str = ""
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    say: Callable[[str], None] = lambda _: None

    def request_stop(self, reason: str) -> None:
        """Begin nothing new; the first reason stays."""
        self.stopped_by = self.stopped_by or reason
        self.stop.set()


@dataclass
class _Lane:
    plan: Plan
    jobs: Iterator[Job]
    ready: deque[Job] = field(default_factory=deque)
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)
    read_through: bool = False
    under_way: int = 0
    failed: int = 0


@dataclass(frozen=True)
class _Shared:
    """What all collections of one call have in common."""

    asker: Asker
    journal: Journal
    folder: Path
    progress: Progress
    budget: Budget
    concurrency: int
    group_seconds: float


@dataclass(frozen=True)
class Outcome:
    """How one run ended: "complete", "incomplete" (failed records), "stopped", and its result file."""

    plan: Plan
    status: str
    failed: int
    result: Path | None
    performance: float | None = None


async def run_plans(
    plans: Sequence[Plan],
    asker: Asker,
    journal: Journal,
    folder: Path,
    progress: Progress,
    *,
    concurrency: int,
    max_cost: float | None = None,
    group_seconds: float = GROUP_SECONDS,
) -> list[Outcome]:
    """Collect every plan. A run that another process collects is waited for and then looked at again.

    Raises ``ConfigurationError`` where ``max_cost`` is set and a price is not known, ``JournalError`` where
    records cannot be kept.
    """
    if max_cost is not None:
        _refuse_unpriced(plans)
    shared = _Shared(asker, journal, folder, progress, Budget(max_cost), concurrency, group_seconds)
    locks = [(plan, RunLock(journal.path.parent, plan.run_key)) for plan in plans]
    taken = [(plan, lock) for plan, lock in locks if lock.take()]
    held = [pair for pair in locks if pair not in taken]
    progress.planned = sum(plan.total for plan in plans)
    outcomes = await _collect(taken, shared)
    for plan, lock in held:
        if await _wait_for(plan, lock, progress):
            # The other process may have ended this run or begun a newer one: go on from what stands now.
            outcomes += await _collect([(_as_it_stands(plan, journal), lock)], shared)
        else:
            outcomes.append(Outcome(plan, "stopped", 0, None))
    return outcomes


async def _wait_for(plan: Plan, lock: RunLock, progress: Progress) -> bool:
    progress.say(f"{plan.title} is being collected by {lock.holder()}; waiting for it to end")
    while not progress.stop.is_set():
        if lock.take():
            return True
        await asyncio.sleep(LOCK_SECONDS)
    return False


def _as_it_stands(plan: Plan, journal: Journal) -> Plan:
    standing = journal.newest_run(plan.run_key)
    if standing is None:
        return plan
    entry = replace(standing, status="running", planned=max(plan.entry.planned, standing.planned))
    return replace(plan, entry=entry, fresh=False)


async def _collect(taken: Sequence[tuple[Plan, RunLock]], shared: _Shared) -> list[Outcome]:
    whole = [(plan, outcome) for plan, _ in taken if (outcome := _already_whole(plan, shared)) is not None]
    started = time.monotonic()
    lanes = [_open_lane(plan, shared) for plan, _ in taken if all(plan is not other for other, _ in whole)]
    outcomes = []
    try:
        async with JournalWriter(shared.journal, shared.group_seconds) as writer:
            work = _Work(lanes, shared, writer)
            async with asyncio.TaskGroup() as group:
                for _ in range(shared.concurrency):
                    group.create_task(work.work())
            await work.settle_all()
    except BaseExceptionGroup as many:
        raise _first(many) from many
    finally:
        try:
            outcomes = [_finish(lane, shared, time.monotonic() - started) for lane in lanes]
        finally:
            for _, lock in taken:
                lock.release()
    return [*(outcome for _, outcome in whole), *outcomes]


def _already_whole(plan: Plan, shared: _Shared) -> Outcome | None:
    """The outcome of a run with nothing left to ask and its results in place; None where there is work."""
    done = shared.journal.done(plan.entry.run_id)
    within = _within(plan, done)
    result = Path(plan.entry.result) if plan.entry.result else None
    if within < plan.total or len(done) < plan.entry.planned or result is None or not result.exists():
        return None
    shared.progress.already += within
    performance = summarise(shared.journal, plan.entry)["performance"]
    return Outcome(plan, "complete", 0, result, performance)


def _within(plan: Plan, done: set[tuple[int, int]]) -> int:
    """How many of the records that stay belong to this plan (a demo asks for fewer rows than were done)."""
    return sum(
        position <= plan.checked.items and repetition < plan.repetitions for position, repetition in done
    )


def _open_lane(plan: Plan, shared: _Shared) -> _Lane:
    done = shared.journal.done(plan.entry.run_id)
    shared.progress.already += _within(plan, done)
    shared.journal.begin_run(plan.entry)
    return _Lane(plan, jobs_of(plan, done))


class _Work:
    """What the workers of one collection share."""

    def __init__(self, lanes: list[_Lane], shared: _Shared, writer: JournalWriter) -> None:
        self._open = lanes
        self._asker, self._progress, self._budget = shared.asker, shared.progress, shared.budget
        self._writer = writer
        self._unwritten: deque[asyncio.Future[None]] = deque()

    async def work(self) -> None:
        """Take jobs until none is left or the run is to stop."""
        while not self._progress.stop.is_set():
            found = await self._next()
            if found is None:
                return
            lane, (item, repetition) = found
            lane.under_way += 1
            self._progress.in_flight += 1
            try:
                await self._send(lane, item, repetition)
            finally:
                lane.under_way -= 1
                self._progress.in_flight -= 1

    async def settle_all(self) -> None:
        """Wait until every record is written; leaving the writer syncs them."""
        while self._unwritten:
            await self._unwritten.popleft()

    async def _next(self) -> tuple[_Lane, Job] | None:
        """The next job that has to be sent, of the model with the fewest under way."""
        while self._open and not self._progress.stop.is_set():
            lane = min(self._open, key=lambda one: one.under_way)
            if lane.ready:
                return lane, lane.ready.popleft()
            if lane.read_through:
                self._open = [other for other in self._open if other is not lane]
                continue
            async with lane.looking:
                if not lane.ready and not lane.read_through:
                    await self._look_up(lane)
        return None

    async def _look_up(self, lane: _Lane) -> None:
        """Read on; keep what the cache answers at once, queue the rest to be sent."""
        jobs = list(itertools.islice(lane.jobs, LOOK_UP))
        answers = await self._asker.look_up(lane.plan.model, jobs) if jobs else []
        for (item, repetition), answer in zip(jobs, answers, strict=True):
            if answer is None:
                lane.ready.append((item, repetition))
            else:
                await self._keep(lane, item, repetition, answer)
        # Said last: whoever finds a lane read through and nothing ready leaves it for good.
        lane.read_through = len(jobs) < LOOK_UP

    async def _send(self, lane: _Lane, item: Item, repetition: int) -> None:
        model = lane.plan.model
        bound = self._bound(model, item) if self._budget.limit is not None else 0.0
        if not await self._budget.reserve(bound):
            self._progress.request_stop("cost")
            return
        answer = await self._asker.ask(model, item, repetition)
        # What a host may have billed for attempts without an answer counts as the most it could be.
        lost = bound * sum(attempt.error_class in PERHAPS_BILLED for attempt in answer.attempts)
        if answer.error_class == RUN_DEADLINE:
            self._progress.request_stop("deadline")
            if not answer.attempts:
                self._budget.settle(bound, 0.0, None)
                return
        record = await self._keep(lane, item, repetition, answer)
        billed = record.billed if record.status in DONE else 0.0
        self._budget.settle(bound, lost + (bound if billed is None else billed), record.completion_tokens)

    async def _keep(self, lane: _Lane, item: Item, repetition: int, answer: Answer) -> Record:
        """Judge and write; an answer that was sent for is waited for until a killed process keeps it."""
        record, attempts = make_record(
            answer, item, run_id=lane.plan.entry.run_id, repetition=repetition,
            evaluator=lane.plan.reader.evaluator, prices=lane.plan.model.prices, now=now(),
            synthetic=lane.plan.entry.synthetic,
        )  # fmt: skip
        written = self._writer.add(
            record, attempts, urgent=not answer.reused, counted=partial(self._count, lane, record)
        )
        if answer.reused:
            self._unwritten.append(written)
            if len(self._unwritten) > MAXIMUM_UNWRITTEN:
                await self._unwritten.popleft()
        else:
            await written
        return record

    def _bound(self, model: ModelPlan, item: Item) -> float:
        price = price_on(model.prices, now().date())
        assert price is not None  # refused before anything is sent
        size = sum(len(str(message["content"]).encode("utf-8", "replace")) for message in item.messages)
        completion = (
            0 if model.generator == "embedding" else model.maximum_tokens or self._budget.longest_completion
        )
        return bound_of(size, len(item.messages), completion, price)

    def _count(self, lane: _Lane, record: Record) -> None:
        progress = self._progress
        progress.sent += record.attempts > 0
        if record.status not in DONE:
            lane.failed += 1
            progress.failed += 1
            return
        progress.done += 1
        if record.billed is None:
            progress.unpriced += 1
        else:
            progress.billed += record.billed


def jobs_of(plan: Plan, done: set[tuple[int, int]]) -> Iterator[Job]:
    """The jobs of a plan that are not done, in order, as a stream."""
    for item in plan.reader.items(plan.limit):
        for repetition in range(plan.repetitions):
            if (item.index, repetition) not in done:
                yield item, repetition


def _finish(lane: _Lane, shared: _Shared, seconds: float) -> Outcome:
    """Note how far the run came; where nothing was left out, write its results."""
    plan, journal = lane.plan, shared.journal
    kept = journal.done(plan.entry.run_id)
    within = _within(plan, kept)
    if within >= plan.total and len(kept) >= plan.entry.planned:
        status = "complete"
    else:
        status = "incomplete" if within + lane.failed >= plan.total else "stopped"
    result, performance = None, None
    if status != "stopped":
        standing = journal.newest_run(plan.run_key) or plan.entry  # records may have made it synthetic
        entry = replace(standing, status=status, seconds=standing.seconds + seconds)
        result, performance = write_results(journal, entry, shared.folder, now())
    journal.end_run(
        plan.entry.run_id, status=status, at=int(now().timestamp() * 1e6), seconds=seconds,
        result=str(result) if result else None,
    )  # fmt: skip
    return Outcome(plan, status, lane.failed, result, performance)


def _refuse_unpriced(plans: Sequence[Plan]) -> None:
    for plan in plans:
        if price_on(plan.model.prices, now().date()) is None:
            raise ConfigurationError(
                f"Bounding the cost: the price of {plan.model.name} is not known; give it under "
                "pricing in the "
                "configuration, or run without --max-cost."
            )


def _first(many: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first failure of a group of tasks: they fail together, for one reason."""
    error: BaseException = many
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
