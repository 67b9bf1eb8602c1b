"""What a run keeps of each prompt: the record and its attempts, as the journal and the results have them."""

from __future__ import annotations

from dataclasses import dataclass, fields

SCORED = "scored"
UNPARSEABLE = "unparseable"
UNSCORED = "unscored"
FAILED_INFRASTRUCTURE = "failed_infrastructure"
FAILED_PERMANENT = "failed_permanent"

STATUSES = (SCORED, UNPARSEABLE, UNSCORED, FAILED_INFRASTRUCTURE, FAILED_PERMANENT)
DONE = (SCORED, UNPARSEABLE, UNSCORED)
"""States that stay; records in another state are asked again by the next run."""
JUDGED = (SCORED, UNPARSEABLE)
"""States with a score. An answer nothing could be read from is the model's fault: it scores 0."""


@dataclass(frozen=True, slots=True)
class Record:
    """One prompt and repetition of one run.

    Instants are microseconds since 1970, costs USD, ``latency_ms`` the time of the last attempt. ``position``
    counts rows from 1, ``repetition`` from 0. ``score`` is 0-1, None where nothing was judged.
    """

    run_id: str
    position: int
    repetition: int
    status: str
    completed_at: int
    identifier: str
    cluster: str
    origin_query: str
    prompt: str
    ground_truth: str | None
    prediction: str | None
    score: float | None
    raw_output: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    cached_tokens: int | None
    reasoning_tokens: int | None
    billed: float | None
    replayed: float | None
    avoided: float | None
    latency_ms: float | None
    attempts: int
    finish_reason: str | None
    error_class: str | None
    error: str | None
    served_model: str | None
    cache_hit: bool
    evaluator: str
    synthetic: bool
    extra_fields: str | None = None


@dataclass(frozen=True, slots=True)
class RequestAttempt:
    """One attempt to have a record answered: ``number`` from 1, times in seconds, ``started_at`` as above."""

    run_id: str
    position: int
    repetition: int
    number: int
    started_at: int
    status: int | None
    error_class: str | None
    latency_ms: float | None
    waited_seconds: float | None
    retry_after_seconds: float | None
    bytes_received: int | None


RECORD_COLUMNS = tuple(field.name for field in fields(Record))
ATTEMPT_COLUMNS = tuple(field.name for field in fields(RequestAttempt))
