"""The runner's asker over the client: an item becomes a request, a reply an answer.

What belongs here: translation only. What does not: sending, retrying and caching (``client``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from pipeline.collector.answers import Answer, Attempted
from pipeline.collector.datasets import Item
from pipeline.collector.exchange import Reply, Request
from pipeline.collector.planning import ModelPlan
from pipeline.collector.running import Job


class Sender(Protocol):
    """What of the client is used here."""

    async def send(self, request: Request) -> Reply:
        """The reply; never raises for a failed request."""
        ...

    async def cached(self, requests: Sequence[Request]) -> list[Reply | None]:
        """What the cache holds for each; sends nothing."""
        ...


class ClientAsker:
    """Has items answered by a client."""

    def __init__(self, client: Sender) -> None:
        self._client = client

    async def ask(self, model: ModelPlan, item: Item, repetition: int) -> Answer:
        """See ``pipeline.collector.running.Asker``."""
        return as_answer(await self._client.send(as_request(model, item, repetition)))

    async def look_up(self, model: ModelPlan, jobs: Sequence[Job]) -> list[Answer | None]:
        """See ``pipeline.collector.running.Asker``."""
        replies = await self._client.cached([as_request(model, item, again) for item, again in jobs])
        return [None if reply is None else as_answer(reply) for reply in replies]


def as_request(model: ModelPlan, item: Item, repetition: int) -> Request:
    """The request of an item: its input for embeddings, its messages otherwise."""
    if model.generator == "embedding":
        return Request(model=model.settings, input=item.query, repetition=repetition)
    images = tuple(_image(text) for text in item.images) if model.generator == "multimodal" else ()
    return Request(model=model.settings, messages=item.messages, images=images, repetition=repetition)


def as_answer(reply: Reply) -> Answer:
    """The reply in the runner's words; an embedding's text is its vector as JSON."""
    attempts = tuple(
        Attempted(
            int(attempt.started_at.timestamp() * 1e6), attempt.status, attempt.error_class, attempt.seconds
            * 1000,
            attempt.wait_seconds, attempt.retry_after, attempt.bytes_received,
        )
        for attempt in reply.attempts
    )  # fmt: skip
    if reply.error is not None:
        return Answer(
            error_class=reply.error.error_class,
            error=reply.error.sentence,
            permanent=not reply.error.infrastructure,
            synthetic=reply.synthetic,
            attempts=attempts,
        )
    text = reply.text if reply.embedding is None else json.dumps(reply.embedding[0])
    return Answer(
        text=text,
        prompt_tokens=reply.usage.prompt_tokens,
        completion_tokens=reply.usage.completion_tokens,
        cached_tokens=reply.usage.cached_tokens,
        reasoning_tokens=reply.usage.reasoning_tokens,
        latency_ms=reply.latency_seconds * 1000,
        finish_reason=reply.finish_reason,
        served_model=reply.served_model,
        cache_hit=reply.cache_hit,
        reused=reply.reused,
        bought_at=reply.received_at,
        synthetic=reply.synthetic,
        extra_fields=_extracted(reply),
        attempts=attempts,
    )


def _image(text: str) -> Any:
    return text if text.startswith(("http://", "https://", "data:")) else Path(text)


def _extracted(reply: Reply) -> str | None:
    """What ``extract_fields`` named, and whether token counts are the client's own estimate."""
    fields = dict(reply.extracted)
    if reply.usage.estimated:
        fields["usage_estimated"] = True
    return json.dumps(fields, ensure_ascii=True, default=str) if fields else None
