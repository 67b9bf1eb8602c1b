"""Answers kept between runs: asked for in batches, written in groups, off the event loop.

What belongs here: which answers are kept and still good, statistics, the two threads, ``why_miss``. What
does not: SQL (``cache_store``) and keys (``keys``). A cache that cannot be opened is an error; one that
fails later is counted, warned about, and the run goes on without it.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import zstandard

from pipeline.collector.cache_store import CacheError, Database, Row, Store
from pipeline.collector.exchange import Failure, Reply, Usage
from pipeline.collector.keys import differences, question_of, shown_parts
from pipeline.hours import now
from pipeline.settings.collector_cache import CacheSettings

logger = logging.getLogger("pipeline.collector.cache")

READ_BATCH = 500
WRITE_BATCH = 2000
BACKLOG = 20_000
_WARN_EVERY = 60.0


@dataclass
class CacheStats:
    """What the cache did. ``incomplete``: rows without the raw response asked for; ``skipped``: kept out
    by the conditions.
    """

    hits: int = 0
    misses: int = 0
    expired: int = 0
    incomplete: int = 0
    writes: int = 0
    skipped: int = 0
    read_errors: int = 0
    write_errors: int = 0


@dataclass(frozen=True)
class Miss:
    """Why a request has no answer in the cache: one sentence, and the fields that differ (ours, stored)."""

    sentence: str
    differing: Mapping[str, tuple[str | None, str | None]]


class _Stored(msgspec.Struct, omit_defaults=True):
    """A reply as JSON in the table."""

    text: str = ""
    usage: tuple[int, int, int, int, bool] = (0, 0, 0, 0, False)
    finish: str | None = None
    served: str | None = None
    seconds: float = 0.0
    received: float = 0.0
    error: tuple[str, bool, str] | None = None
    embedding: tuple[tuple[float, ...], ...] | None = None
    synthetic: bool = False


@dataclass(frozen=True)
class _Entry:
    key: str
    parts: Mapping[str, Any]
    model: str
    reply: Reply


class Cache:
    """Open it with ``await open()``, close it with ``await close()``, which waits until everything is on
    disk.
    """

    def __init__(self, settings: CacheSettings, *, commit_interval_ms: float = 20) -> None:
        self.settings = settings
        self.stats = CacheStats()
        self._interval = commit_interval_ms / 1000
        self._database = Database(settings)
        self._stores = threading.local()
        self._opened_stores: list[Store] = []
        workers = min(4, settings.options.pool_size) if settings.options.use_connection_pool else 1
        self._readers = ThreadPoolExecutor(workers, thread_name_prefix="cache-reader")
        self._idle = workers
        self._asked: dict[str, list[asyncio.Future[Reply | None]]] = {}
        self._scheduled = False
        self._written: queue.SimpleQueue[_Entry | threading.Event | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None
        self._batches: set[asyncio.Task[None]] = set()
        self._warned = -_WARN_EVERY
        logger.setLevel(settings.log_level)

    async def open(self) -> None:
        """Creates the table if needed; raises ``CacheError`` where the cache cannot be used."""
        await asyncio.to_thread(self._database.open)
        self._writer = threading.Thread(target=self._write_forever, name="cache-writer", daemon=True)
        self._writer.start()
        logger.info("The cache is %s.", self._database.shown)

    async def close(self) -> None:
        """Waits until every answer is committed, then closes."""
        if self._batches:
            await asyncio.gather(*self._batches)
        if self._writer is not None:
            self._written.put(None)
            await asyncio.to_thread(self._writer.join)
            self._writer = None
        await asyncio.to_thread(self._readers.shutdown)
        for store in self._opened_stores:
            store.close()
        self._database.close()
        if self.settings.enable_stats:
            logger.info("Cache: %s", self.stats)

    async def flush(self) -> None:
        """Returns when everything put so far is committed or counted as failed."""
        done = threading.Event()
        self._written.put(done)
        await asyncio.to_thread(done.wait)

    async def get(self, key: str) -> Reply | None:
        """The stored answer if it still counts; requests of one moment become one query."""
        if self.settings.force_override_cache:
            return None
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Reply | None] = loop.create_future()
        self._asked.setdefault(key, []).append(future)
        if not self._scheduled and self._idle:
            self._scheduled = True
            loop.call_soon(self._start_batch)
        return await future

    async def get_many(self, keys: Sequence[str]) -> dict[str, Reply]:
        """The stored answers that still count, by key."""
        if self.settings.force_override_cache:
            return {}
        found: dict[str, Reply] = {}
        loop = asyncio.get_running_loop()
        for start in range(0, len(keys), READ_BATCH):
            found |= await loop.run_in_executor(self._readers, self._read, keys[start : start + READ_BATCH])
        return found

    def put(self, key: str, parts: Mapping[str, Any], model: str, reply: Reply) -> bool:
        """Hands an answer to the writer if the conditions let it be kept; says whether they do."""
        conditions = self.settings.conditions
        failed = reply.error is not None and (conditions.cache_successful_only or reply.error.infrastructure)
        short = reply.error is None and reply.usage.completion_tokens < conditions.min_completion_tokens
        if failed or (short and reply.embedding is None):
            self.stats.skipped += 1
            return False
        self._written.put(_Entry(key, parts, model, reply))
        return True

    @property
    def backlog(self) -> int:
        """Answers that wait for the writer."""
        return self._written.qsize()

    def why_miss(self, key: str, parts: Mapping[str, Any], model: str) -> Miss:
        """What keeps a request from being answered by the cache. Blocks."""
        store = self._database.store()
        try:
            row = store.read([key]).get(key)
            if row is not None:
                return Miss(self._why_not_used(row), {})
            ours = shown_parts(parts)
            rows = store.nearest(question_of(parts), model)
            decoder = zstandard.ZstdDecompressor()
            candidates = [differences(ours, msgspec.json.decode(decoder.decompress(row[2]))) for row in rows]
        finally:
            store.close()
        if not candidates:
            return Miss(
                "Nothing like it is stored: neither this question nor this model was answered yet.", {}
            )
        nearest = min(candidates, key=len)
        return Miss(
            f"The nearest stored answer differs in {', '.join(nearest) or 'nothing that is kept'}.", nearest
        )

    def _why_not_used(self, row: tuple[float, bytes, bytes | None]) -> str:
        if self.settings.force_override_cache:
            return "It is stored, but force_override_cache asks again."
        if self._expired(row[0]):
            return f"It is stored, but older than ttl_seconds ({self.settings.options.ttl_seconds})."
        if self._lacks_raw(row[2]):
            return "It is stored without its raw response, and refresh_if_missing_raw_response asks again."
        return "It is no miss: an answer is stored and counts."

    def _start_batch(self) -> None:
        self._scheduled = False
        keys = list(self._asked)[:READ_BATCH]
        if not keys or not self._idle:
            return
        waiting = {key: self._asked.pop(key) for key in keys}
        self._idle -= 1
        task = asyncio.get_running_loop().create_task(self._answer(waiting))
        self._batches.add(task)
        task.add_done_callback(self._batches.discard)

    async def _answer(self, waiting: dict[str, list[asyncio.Future[Reply | None]]]) -> None:
        loop = asyncio.get_running_loop()
        found: dict[str, Reply] = {}
        try:
            found = await loop.run_in_executor(self._readers, self._read, list(waiting))
        finally:
            self._idle += 1
            for key, futures in waiting.items():
                for future in futures:
                    if not future.done():
                        future.set_result(found.get(key))
            if self._asked:
                self._start_batch()

    def _read(self, keys: Sequence[str]) -> dict[str, Reply]:
        """In a reader's thread."""
        try:
            store = getattr(self._stores, "store", None)
            if store is None:
                store = self._stores.store = self._database.store()
                self._stores.decoder = zstandard.ZstdDecompressor()
                self._opened_stores.append(store)
            rows = store.read(keys)
        except Exception as error:  # noqa: BLE001 - whatever the driver raises, the run goes on without the cache
            self.stats.read_errors += len(keys)
            self._warn("Reading", error)
            return {}
        found: dict[str, Reply] = {}
        for key, row in rows.items():
            if self._expired(row[0]):
                self.stats.expired += 1
            elif self._lacks_raw(row[2]):
                self.stats.incomplete += 1
            else:
                self._decode_into(found, key, row)
        self.stats.hits += len(found)
        self.stats.misses += len(keys) - len(found)
        return found

    def _decode_into(self, found: dict[str, Reply], key: str, row: tuple[float, bytes, bytes | None]) -> None:
        decoder = self._stores.decoder
        try:
            stored = _DECODER.decode(decoder.decompress(row[1]))
            raw = msgspec.json.decode(decoder.decompress(row[2])) if row[2] else None
        except (zstandard.ZstdError, msgspec.MsgspecError) as error:
            self.stats.read_errors += 1
            self._warn("Reading a damaged row of", error)
            return
        found[key] = _restored(key, stored, raw)

    def _expired(self, created_at: float) -> bool:
        lifetime = self.settings.options.ttl_seconds
        return lifetime is not None and now().timestamp() - created_at > lifetime

    def _lacks_raw(self, raw: bytes | None) -> bool:
        return raw is None and self.settings.conditions.refresh_if_missing_raw_response

    def _write_forever(self) -> None:
        """The writer's thread: gathers for the commit interval, then one transaction."""
        store = self._database.store()
        compressor = zstandard.ZstdCompressor(level=3)
        running = True
        while running:
            batch, waiting, running = self._gather()
            try:
                store.write(list({entry.key: self._row(entry, compressor) for entry in batch}.values()))
                self.stats.writes += len(batch)
            except Exception as error:  # noqa: BLE001 - whatever the driver raises, it is counted and said
                self.stats.write_errors += len(batch)
                self._warn("Writing", error)
            for event in waiting:
                event.set()
        store.close()

    def _gather(self) -> tuple[list[_Entry], list[threading.Event], bool]:
        batch: list[_Entry] = []
        waiting: list[threading.Event] = []
        until: float | None = None
        while len(batch) < WRITE_BATCH:
            try:
                left = None if until is None else max(0.0, until - time.monotonic())
                item = self._written.get(timeout=left)
            except queue.Empty:
                break
            if item is None:
                return batch, waiting, False
            if isinstance(item, threading.Event):
                waiting.append(item)
                break
            batch.append(item)
            until = until or time.monotonic() + self._interval
        return batch, waiting, True

    def _row(self, entry: _Entry, compressor: zstandard.ZstdCompressor) -> Row:
        reply = entry.reply
        usage, error = reply.usage, reply.error
        received = (reply.received_at or now()).timestamp()
        stored = _Stored(
            reply.text,
            (
                usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens, usage.reasoning_tokens,
                usage.estimated,
            ),
            reply.finish_reason,
            reply.served_model,
            reply.latency_seconds,
            received,
            (error.error_class, error.infrastructure, error.sentence) if error else None,
            reply.embedding,
            reply.synthetic,
        )  # fmt: skip
        keep_raw = self.settings.conditions.cache_raw_response and reply.raw is not None
        return Row(
            entry.key,
            question_of(entry.parts),
            entry.model,
            received,
            compressor.compress(msgspec.json.encode(shown_parts(entry.parts))),
            compressor.compress(msgspec.json.encode(stored)),
            compressor.compress(msgspec.json.encode(reply.raw)) if keep_raw else None,
        )

    def _warn(self, doing: str, error: Exception) -> None:
        """Says it at once, then at most once a minute; the statistics count every one."""
        if time.monotonic() - self._warned >= _WARN_EVERY:
            self._warned = time.monotonic()
            logger.warning("%s The run goes on without it.", self._database.say(doing, error))


_DECODER = msgspec.json.Decoder(_Stored)


def _restored(key: str, stored: _Stored, raw: dict[str, Any] | None) -> Reply:
    return Reply(
        key=key,
        text=stored.text,
        usage=Usage(*stored.usage),
        raw=raw,
        finish_reason=stored.finish,
        served_model=stored.served,
        cache_hit=True,
        latency_seconds=stored.seconds,
        received_at=datetime.fromtimestamp(stored.received, UTC),
        error=Failure(*stored.error) if stored.error else None,
        embedding=stored.embedding,
        synthetic=stored.synthetic,
    )


__all__ = ["Cache", "CacheError", "CacheStats", "Miss"]
