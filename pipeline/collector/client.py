"""Asking models: one call in, one reply out, whatever the network does.

What belongs here: the cache before it, requests in flight shared, attempts, waits, deadlines. What does
not: how a body is made (``payloads``) and read (``parsing``), when one may be sent (``limits``), one
attempt (``posting``).

    async with Client(settings) as client:
        reply = await client.send(Request(model, prompt="..."))
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from pipeline.collector.cache import BACKLOG, Cache, Miss
from pipeline.collector.exchange import Attempt, Failure, Reply, Request
from pipeline.collector.failures import OF_THE_ENDPOINT, OVERLOAD, Stumble, sentence
from pipeline.collector.keys import key_parts, make_hasher, narrowed
from pipeline.collector.parsing import extracted
from pipeline.collector.payloads import payload_of
from pipeline.collector.posting import Lane, Poster
from pipeline.errors import InputError
from pipeline.hours import now
from pipeline.http import Clock
from pipeline.settings.addresses import redact_url
from pipeline.settings.collector import CollectorSettings, ModelSettings

_CLOCK = Clock()


class Prepared(NamedTuple):
    """A request ready to be sent or looked up."""

    request: Request
    payload: dict[str, Any]
    parts: Mapping[str, Any]
    key: str


class Client:
    """Sends requests; ``cache`` is None where the settings switch it off.

    Opening raises ``ConfigurationError`` for a missing key and ``CacheError`` for a cache that cannot be
    used; from then on nothing is raised for what the network does. One that is not ``sending`` looks up
    only and needs no keys. ``clock`` is replaced by tests.
    """

    def __init__(self, settings: CollectorSettings, *, sending: bool = True, clock: Clock = _CLOCK) -> None:
        self.settings = settings
        self._sending = sending
        self._clock = clock
        run = settings.run
        self.cache = (
            Cache(settings.cache, commit_interval_ms=run.commit_interval_ms)
            if settings.cache.enabled
            else None
        )
        self._hash = make_hasher(settings.cache.key_generator)
        self._flying: dict[str, asyncio.Task[Reply]] = {}
        self._poster = Poster(run, clock)
        self._ends = time.monotonic() + run.deadline_seconds if run.deadline_seconds else None

    async def __aenter__(self) -> Client:
        """Opens the cache and reads the keys."""
        for model in self.settings.models if self._sending else ():
            self._poster.lane(model)
        if self.cache:
            await self.cache.open()
        if self.settings.run.deadline_seconds:
            self._ends = self._clock.monotonic() + self.settings.run.deadline_seconds
        return self

    async def __aexit__(self, *_: object) -> None:
        """Cancels what is in flight, and waits until what was answered is on disk."""
        flying = list(self._flying.values())
        for task in flying:
            task.cancel()
        await asyncio.gather(*flying, return_exceptions=True)
        await self._poster.close()
        if self.cache:
            await self.cache.close()

    def prepare(self, request: Request) -> Prepared:
        """What would be sent and its key; raises ``InputError`` for a request that cannot be sent."""
        payload = payload_of(request)
        parts = key_parts(request, payload)
        counted = narrowed(parts, self.settings.cache.key_generator) if self.cache else parts
        return Prepared(request, payload, counted, self._hash(counted))

    async def send(self, request: Request) -> Reply:
        """The reply from the cache, from the same request in flight, or from the model."""
        try:
            prepared = self.prepare(request)
        except InputError as error:
            return Reply("", error=Failure("invalid_request", False, str(error)))
        task = self._flying.get(prepared.key)
        if task is not None:
            reply = await asyncio.shield(task)
            return reply if reply.cache_hit else replace(reply, shared=True, attempts=())
        task = asyncio.create_task(self._fly(prepared))
        self._flying[prepared.key] = task
        task.add_done_callback(lambda _: self._flying.pop(prepared.key, None))
        return await asyncio.shield(task)

    async def cached(self, requests: Sequence[Request]) -> list[Reply | None]:
        """What the cache holds for many requests, in their order: the fast way through a warm run."""
        if self.cache is None:
            return [None] * len(requests)
        prepared: list[Prepared | None] = []
        for request in requests:
            try:
                prepared.append(self.prepare(request))
            except InputError:
                prepared.append(None)  # ``send`` says what is wrong with it
        found = await self.cache.get_many(list({one.key for one in prepared if one}))
        replies = ((one, found.get(one.key)) for one in prepared if one)
        by_key = {one.key: _with_fields(reply, one.request.model) for one, reply in replies if reply}
        return [by_key.get(one.key) if one else None for one in prepared]

    async def why_miss(self, request: Request) -> Miss:
        """Why the cache has no answer for a request; raises ``InputError`` for one that cannot be sent."""
        prepared = self.prepare(request)
        if self.cache is None:
            return Miss("The cache is switched off.", {})
        model = request.model.api_model_name
        return await asyncio.to_thread(self.cache.why_miss, prepared.key, prepared.parts, model)

    async def _fly(self, prepared: Prepared) -> Reply:
        model = prepared.request.model
        if self.cache:
            known = await self.cache.get(prepared.key)
            if known is not None:
                return _with_fields(known, model)
        reply = await self._asked(prepared)
        if self.cache:
            self.cache.put(prepared.key, prepared.parts, model.api_model_name, reply)
            while self.cache.backlog > BACKLOG:
                await asyncio.sleep(0.01)
        return _with_fields(reply, model)

    async def _asked(self, prepared: Prepared) -> Reply:
        """Attempts until an answer, a permanent failure, the last attempt or the deadline."""
        lane = self._poster.lane(prepared.request.model)
        attempts: list[Attempt] = []
        tries = self.settings.run.retries + 1
        stumble = _NO_TIME
        for number in range(1, tries + 1):
            left = self._left()
            if left is not None and left <= 0:
                stumble = _NO_TIME
                break
            began, started = now(), self._clock.monotonic()
            outcome, waited = await self._poster.attempt(lane, prepared.payload, prepared.key, left)
            seconds = self._clock.monotonic() - started - waited
            made = Attempt(len(attempts) + 1, began, seconds, 200, None, bytes_received=lane.last_bytes)
            if isinstance(outcome, Reply):
                attempts.append(made)
                return replace(outcome, attempts=tuple(attempts), latency_seconds=seconds, received_at=now())
            stumble = outcome
            self._count(lane, stumble)
            again = number < tries and _may_help(lane, stumble)
            wait = self._wait(stumble, number) if again else 0.0
            if stumble.error_class not in _NOT_SENT:
                attempts.append(_stumbled(made, stumble, wait))
            left = self._left()
            if not again or (left is not None and wait >= left):
                break
            await self._clock.sleep(wait)
        said = sentence(lane.model.name, redact_url(lane.model.endpoint), stumble, len(attempts))
        failure = Failure(stumble.error_class, stumble.infrastructure, said)
        return Reply(prepared.key, error=failure, attempts=tuple(attempts), received_at=now())

    def _count(self, lane: Lane, stumble: Stumble) -> None:
        instant = self._clock.monotonic()
        if stumble.error_class in OVERLOAD:
            lane.places.overloaded(instant)
        if stumble.error_class in OF_THE_ENDPOINT:
            lane.circuit.failed(instant)
        elif stumble.status is not None:
            lane.circuit.went_well()
        elif stumble.error_class != "circuit_open":
            lane.circuit.given_up()

    def _wait(self, stumble: Stumble, number: int) -> float:
        """Full jitter below a bound that doubles; what the server asks for is added to none and never
        undercut.
        """
        run = self.settings.run
        bound = min(run.maximum_wait_seconds, run.backoff_seconds * 2 ** min(number - 1, 20))
        drawn = self._clock.jitter(0.0, bound)
        if stumble.asked is None:
            return drawn
        return min(max(stumble.asked, 0.0), run.maximum_wait_seconds) + random.uniform(0, 0.05)  # noqa: S311 - no secret

    def _left(self) -> float | None:
        return None if self._ends is None else self._ends - self._clock.monotonic()


_NO_TIME = Stumble("run_deadline", "the run's deadline_seconds are over", False, True)
_NOT_SENT = frozenset({"circuit_open", "run_deadline"})


def _may_help(lane: Lane, stumble: Stumble) -> bool:
    """Whether another attempt may; an endpoint that a probe has found down is not waited for."""
    return stumble.again and not (stumble.error_class == "circuit_open" and lane.circuit.confirmed)


def _stumbled(made: Attempt, stumble: Stumble, wait: float) -> Attempt:
    return replace(
        made, status=stumble.status, error_class=stumble.error_class, wait_seconds=wait,
        retry_after=stumble.asked, bytes_received=stumble.bytes_received,
    )  # fmt: skip


def _with_fields(reply: Reply, model: ModelSettings) -> Reply:
    if not model.extract_fields or reply.raw is None:
        return reply
    return replace(reply, extracted=extracted(reply.raw, model.extract_fields))
