"""An answer or a failure in the runner's own words, and how it becomes a record.

What belongs here: the form the runner works with, and judging. What does not: how an answer is had
(``asking``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pipeline.collector.costing import Costs, Price, costs_of_record
from pipeline.collector.datasets import Item
from pipeline.collector.evaluators import Evaluator
from pipeline.collector.records import (
    FAILED_INFRASTRUCTURE,
    FAILED_PERMANENT,
    SCORED,
    UNPARSEABLE,
    UNSCORED,
    Record,
    RequestAttempt,
)


@dataclass(frozen=True, slots=True)
class Attempted:
    """One attempt: instants and durations as ``RequestAttempt`` has them."""

    started_at: int
    status: int | None
    error_class: str | None
    latency_ms: float | None
    waited_seconds: float | None
    retry_after_seconds: float | None
    bytes_received: int | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of asking: a text, or ``error_class`` with a sentence.

    ``permanent`` failures are not worth repeating as they stand; others are the network's or the host's.
    ``reused``: nothing was sent for it now, it came from the cache (``cache_hit``) or shares a request in
    flight. ``bought_at`` is when the answer was received first.
    """

    text: str | None = None
    error_class: str | None = None
    error: str | None = None
    permanent: bool = False
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    latency_ms: float | None = None
    finish_reason: str | None = None
    served_model: str | None = None
    cache_hit: bool = False
    reused: bool = False
    bought_at: datetime | None = None
    synthetic: bool = False
    extra_fields: str | None = None
    attempts: tuple[Attempted, ...] = ()


def make_record(
    answer: Answer,
    item: Item,
    *,
    run_id: str,
    repetition: int,
    evaluator: Evaluator,
    prices: Sequence[Price],
    now: datetime,
    synthetic: bool,
) -> tuple[Record, tuple[RequestAttempt, ...]]:
    """The record with its judgement and costs, and its attempts. A failure has no score and no cost."""
    status, prediction, score = _judged(answer, item, evaluator)
    costs = Costs(None, None, None)
    if answer.error_class is None:
        costs = costs_of_record(answer, prices, now=now, bought=answer.bought_at, reused=answer.reused)
    record = Record(
        run_id=run_id, position=item.index, repetition=repetition, status=status,
        completed_at=int(now.timestamp() * 1e6), identifier=storable(item.identifier), cluster=item.cluster,
        origin_query=storable(item.query), prompt=storable(item.prompt),
        ground_truth=None if item.target is None else storable(item.target),
        prediction=None if prediction is None else storable(prediction), score=score,
        raw_output=None if answer.text is None else storable(answer.text),
        prompt_tokens=answer.prompt_tokens, completion_tokens=answer.completion_tokens,
        cached_tokens=answer.cached_tokens, reasoning_tokens=answer.reasoning_tokens,
        billed=costs.billed, replayed=costs.replayed, avoided=costs.avoided,
        latency_ms=answer.latency_ms, attempts=len(answer.attempts), finish_reason=answer.finish_reason,
        error_class=answer.error_class, error=answer.error, served_model=answer.served_model,
        cache_hit=answer.cache_hit, evaluator=evaluator.full_name, synthetic=synthetic or answer.synthetic,
        extra_fields=answer.extra_fields,
    )  # fmt: skip
    attempts = tuple(
        RequestAttempt(
            run_id, item.index, repetition, number, attempt.started_at, attempt.status, attempt.error_class,
            attempt.latency_ms, attempt.waited_seconds, attempt.retry_after_seconds, attempt.bytes_received,
        )
        for number, attempt in enumerate(answer.attempts, start=1)
    )  # fmt: skip
    return record, attempts


def storable(text: str) -> str:
    """The text without lone surrogates, which JSON can carry and UTF-8 cannot."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _judged(answer: Answer, item: Item, evaluator: Evaluator) -> tuple[str, str | None, float | None]:
    if answer.error_class is not None:
        return (FAILED_PERMANENT if answer.permanent else FAILED_INFRASTRUCTURE), None, None
    judged = evaluator.judge(answer.text or "", item.target)
    if judged.unparseable:
        return UNPARSEABLE, None, 0.0
    return (UNSCORED if judged.score is None else SCORED), judged.prediction, judged.score
