"""What answers cost: usage and a dated price in, three figures a record out.

What belongs here: the arithmetic of prices. What does not: where prices come from (``pricing``) and totals
(``results``, ``tables``).

- billed: paid by this run for this record;
- replayed: what the answer had cost when it was bought, where it came from the cache;
- avoided: what asking again would have cost at today's price, where it was not asked.

A price that is not known makes a figure None, never 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple, Protocol

PER = 1_000_000
"""Prices are USD per this many tokens."""


class Tokens(Protocol):
    """Counted tokens: cached ones are part of the prompt's, reasoning ones part of the completion's."""

    @property
    def prompt_tokens(self) -> int | None:
        """Tokens of the prompt, cached ones included."""

    @property
    def completion_tokens(self) -> int | None:
        """Tokens of the answer, reasoning included."""

    @property
    def cached_tokens(self) -> int | None:
        """Tokens of the prompt that the host had cached."""

    @property
    def reasoning_tokens(self) -> int | None:
        """Tokens of reasoning."""


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens from the day ``since`` on (None: always).

    Without a price of their own, cached tokens cost as input and reasoning tokens as output.
    """

    input: float
    output: float
    cached_input: float | None = None
    reasoning: float | None = None
    per_request: float = 0.0
    since: date | None = None
    source: str = "configuration"


class Costs(NamedTuple):
    """The three figures of one record, USD."""

    billed: float | None
    replayed: float | None
    avoided: float | None


def price_on(prices: Sequence[Price], day: date) -> Price | None:
    """The price in force on ``day``: the newest that began by then."""
    begun = [price for price in prices if price.since is None or price.since <= day]
    return max(begun, key=lambda price: price.since or date.min, default=None)


def cost_of(tokens: Tokens, price: Price | None) -> float | None:
    """USD for one request; None where price or usage is unknown."""
    if price is None or tokens.prompt_tokens is None:
        return None
    cached = min(tokens.cached_tokens or 0, tokens.prompt_tokens)
    completion = tokens.completion_tokens or 0
    reasoning = min(tokens.reasoning_tokens or 0, completion)
    of_cached = price.input if price.cached_input is None else price.cached_input
    of_reasoning = price.output if price.reasoning is None else price.reasoning
    total = (tokens.prompt_tokens - cached) * price.input + cached * of_cached
    total += (completion - reasoning) * price.output + reasoning * of_reasoning
    return total / PER + price.per_request


def bound_of(prompt_bytes: int, messages: int, completion_tokens: int, price: Price) -> float:
    """The most a request may cost, USD: no tokenizer makes more tokens than bytes, plus some per message."""
    dearest_input = max(price.input, price.cached_input or 0.0)
    dearest_output = max(price.output, price.reasoning or 0.0)
    tokens_in = prompt_bytes + 16 * (messages + 1)
    return (tokens_in * dearest_input + completion_tokens * dearest_output) / PER + price.per_request


def costs_of_record(
    tokens: Tokens, prices: Sequence[Price], *, now: datetime, bought: datetime | None, reused: bool
) -> Costs:
    """The three figures; ``bought`` is when the answer was received first, ``reused`` that it was not asked
    now."""
    today = cost_of(tokens, price_on(prices, now.date()))
    if not reused:
        return Costs(today, None if today is None else 0.0, None if today is None else 0.0)
    then = cost_of(tokens, price_on(prices, (bought or now).date()))
    return Costs(0.0, then, today)
