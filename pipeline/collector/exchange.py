"""What goes to a model and what comes back, in the words that client, cache and runner share.

What belongs here: plain frozen records. What does not: sending (``client``), keeping (``cache``), judging
(``evaluators``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.settings.collector import ModelSettings

Image = str | Path | bytes
"""An image: an http(s) or data URL, a file, or its bytes."""


@dataclass(frozen=True, slots=True)
class Request:
    """One question to one model: exactly one of ``messages``, ``prompt`` and ``input``.

    ``prompt`` becomes one user message where the model's API is chat. ``images`` join the last user message
    of a multimodal model. ``parameters`` override the model's for this request. ``repetition`` counts from
    0.
    """

    model: ModelSettings
    messages: tuple[Mapping[str, Any], ...] | None = None
    prompt: str | None = None
    input: str | tuple[str, ...] | None = None
    images: tuple[Image, ...] = ()
    repetition: int = 0
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt: ``number`` from 1; ``status`` None where no answer came.

    ``seconds`` is its length, ``wait_seconds`` the wait after it, ``retry_after`` what the server asked for.
    """

    number: int
    started_at: datetime
    seconds: float
    status: int | None
    error_class: str | None
    wait_seconds: float = 0.0
    retry_after: float | None = None
    bytes_received: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """Counted tokens; cached ones are part of the prompt's, reasoning ones of the completion's.

    ``estimated``: the server told nothing, the figures are a quarter of the characters.
    """

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no answer. ``infrastructure``: an outage, a limit, a deadline: asking again later may
    help.
    """

    error_class: str
    infrastructure: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, or ``error``. A wrong answer is an answer.

    ``key`` is the cache key. ``cache_hit``: it came from the cache; ``shared``: another request in flight
    with the same key was sent for it; ``reused`` is either. ``received_at`` is when the answer came first
    (UTC). ``latency_seconds`` is the successful attempt's, as it was when it came first. ``embedding``
    holds vectors. ``extracted`` holds ``extract_fields`` by path. ``synthetic``: a stub made it.
    """

    key: str
    text: str = ""
    usage: Usage = Usage(0, 0)
    raw: dict[str, Any] | None = None
    finish_reason: str | None = None
    served_model: str | None = None
    attempts: tuple[Attempt, ...] = ()
    cache_hit: bool = False
    shared: bool = False
    latency_seconds: float = 0.0
    received_at: datetime | None = None
    error: Failure | None = None
    embedding: tuple[tuple[float, ...], ...] | None = None
    extracted: Mapping[str, Any] = field(default_factory=dict)
    synthetic: bool = False

    @property
    def reused(self) -> bool:
        """Nothing was sent for it."""
        return self.cache_hit or self.shared
