"""How fast a model may be asked: buckets, the server's own headers, adaptive concurrency, the circuit.

What belongs here: deciding when the next attempt may go, on a clock that is handed in. What does not:
sleeping and sending (``client``). All times are seconds of a monotonic clock unless a header says
otherwise.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pipeline.http_headers import retry_after as parse_retry_after

_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|h|m|s|d)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_EPOCH_SECONDS = 1_000_000_000


class TokenBucket:
    """``per_minute`` units a minute, at most ``at_once`` of them (one second's worth, at least one)."""

    def __init__(self, per_minute: float, now: float, at_once: float | None = None) -> None:
        self._rate = per_minute / 60
        self._capacity = max(1.0, self._rate if at_once is None else at_once)
        self._level = self._capacity
        self._at = now

    def take(self, amount: float, now: float) -> float:
        """Takes ``amount`` in any case and returns the seconds to wait before using it."""
        self._level = min(self._capacity, self._level + (now - self._at) * self._rate)
        self._at = now
        before = self._level
        self._level -= amount
        # More than the bucket holds may go once it is full: the rest is owed by those who come later.
        return max(0.0, (min(amount, self._capacity) - before) / self._rate)

    def give_back(self, amount: float) -> None:
        """Corrects an estimate: what was taken too much comes back, what was used beyond is owed."""
        self._level = min(self._capacity, self._level + amount)


def duration(text: str | None, now: datetime) -> float | None:
    """Seconds of a rate-limit header: ``6m0s``, ``20ms``, ``12.5``, seconds or milliseconds since 1970."""
    if not text:
        return None
    text = text.strip()
    try:
        number = float(text)
    except ValueError:
        parts = _DURATION.findall(text)
        if not parts or "".join(value + unit for value, unit in parts) != text:
            return None
        return float(sum(float(value) * _UNITS[unit] for value, unit in parts))
    if not 0 <= number < 1e15:  # also no NaN
        return None
    if number > _EPOCH_SECONDS:
        instant = number / 1000 if number > _EPOCH_SECONDS * 1000 else number
        return max(0.0, instant - now.timestamp())
    return number


def asked_wait(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that an answer asks to wait: ``retry-after-ms``, else ``retry-after`` in seconds or as a
    date.
    """
    milliseconds = headers.get("retry-after-ms", "").strip()
    if milliseconds.isascii() and milliseconds.replace(".", "", 1).isdigit():
        return float(milliseconds[:12]) / 1000
    text = headers.get("retry-after")
    seconds = parse_retry_after(text, now)
    return duration(text, now) if seconds is None else seconds


@dataclass
class Pace:
    """What the server's headers say of one quota: nothing before ``open_at``, then one each ``interval``."""

    open_at: float = 0.0
    interval: float = 0.0
    until: float = 0.0
    next_at: float = 0.0

    def follow(self, remaining: float, reset: float, in_flight: int, now: float) -> None:
        """Closes at nothing left; spreads what is left where it is less than twice what is in flight."""
        if remaining <= 0:
            self.open_at = now + reset
        elif remaining < 2 * in_flight:
            self.interval, self.until = reset / remaining, now + reset
        else:
            self.interval = 0.0

    def wait(self, now: float) -> float:
        """Seconds until the next may go, which is counted as going."""
        start = max(now, self.open_at)
        if self.interval and start < self.until:
            start = max(start, self.next_at)
            self.next_at = start + self.interval
        return start - now


class _Told:
    """A limit that the server tells (``x-ratelimit-limit-*``), a minute's worth of which may go at once.

    What is left and when it is reset is the ``Pace``'s; this bounds a server that tells its limit only.
    """

    def __init__(self) -> None:
        self.limit = 0.0
        self.bucket: TokenBucket | None = None

    def follow(self, text: str | None, now: float) -> None:
        limit = None if text is None else _count(text)
        if limit is not None and limit >= 1 and limit != self.limit:
            self.limit, self.bucket = limit, TokenBucket(limit, now, at_once=limit)


class Gate:
    """The speed of one model: buckets of the configuration, limits and paces of the server."""

    def __init__(self, requests: float | None, tokens: float | None, longest: float, now: float) -> None:
        self._requests = TokenBucket(requests, now) if requests else None
        self._tokens = TokenBucket(tokens, now) if tokens else None
        self._paces = (Pace(), Pace())
        self._told = (_Told(), _Told())
        self._longest = longest

    def wait(self, tokens: int, now: float) -> float:
        """Seconds to wait before the next request of about ``tokens`` tokens."""
        waits = [min(pace.wait(now), self._longest) for pace in self._paces]
        if self._requests:
            waits.append(self._requests.take(1, now))
        if self._tokens:
            waits.append(self._tokens.take(tokens, now))
        for told, amount in zip(self._told, (1, tokens), strict=True):
            if told.bucket:
                waits.append(min(told.bucket.take(amount, now), self._longest))
        return max(waits)

    def used(self, estimated: int, real: int) -> None:
        """Corrects the estimate of a finished request."""
        for bucket in (self._tokens, self._told[1].bucket):
            if bucket:
                bucket.give_back(estimated - real)

    def follow(self, headers: Mapping[str, str], in_flight: int, now: float, instant: datetime) -> None:
        """Takes in ``x-ratelimit-remaining/reset`` and limits, of requests and of tokens, or of no kind.

        A limit is a minute's by custom; a bare ``x-ratelimit-limit`` may be any span's and is not taken.
        """
        self._told[0].follow(headers.get("x-ratelimit-limit-requests"), now)
        self._told[1].follow(headers.get("x-ratelimit-limit-tokens"), now)
        for pace, kinds in zip(self._paces, (("-requests", ""), ("-tokens",)), strict=True):
            for kind in kinds:
                left = headers.get(f"x-ratelimit-remaining{kind}")
                if left is None:
                    continue
                reset = duration(headers.get(f"x-ratelimit-reset{kind}"), instant)
                remaining = _count(left)
                if remaining is not None and reset is not None:
                    # Of tokens only an empty quota says something: how many a request takes is not known.
                    busy = in_flight if kind != "-tokens" else 0
                    pace.follow(remaining, min(reset, self._longest), busy, now)
                break


class Adaptive:
    """So many at once: fewer by three tenths after a 429 or a timeout, one more for each full round that
    went well.

    A cut counts once a second, so that one burst of refusals is one cut.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = float(most)
        self.running = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._cut_at = -1e9

    async def enter(self) -> None:
        """Waits for a place."""
        if self.running < int(self.limit) and not self._waiting:
            self.running += 1
            return
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.leave()
            raise

    def leave(self) -> None:
        """Frees a place and lets the next in."""
        self.running -= 1
        while self._waiting and self.running < int(self.limit):
            place = self._waiting.popleft()
            if not place.done():
                self.running += 1
                place.set_result(None)

    def went_well(self) -> None:
        """One more for each full round."""
        if self.limit < self.most:
            self.limit = min(float(self.most), self.limit + 1 / self.limit)

    def overloaded(self, now: float) -> None:
        """Three tenths fewer, never less than one."""
        if now - self._cut_at >= 1.0:
            self._cut_at = now
            self.limit = max(1.0, self.limit * 0.7)


class Circuit:
    """An endpoint that failed ``failures`` times in a row is left alone for ``seconds``, then tried by one
    request.

    Until the first such probe has failed, requests wait for it; from then on they fail at once.
    """

    def __init__(self, failures: int, seconds: float) -> None:
        self._most, self._seconds = failures, seconds
        self._count = 0
        self._open_until: float | None = None
        self._probing = False
        self.confirmed = False

    def wait(self, now: float) -> float:
        """0 where the caller may send (and is the probe of an open circuit), else seconds to wait."""
        if self._open_until is None:
            return 0.0
        if now >= self._open_until and not self._probing:
            self._probing = True
            return 0.0
        return max(self._open_until - now, 0.05)

    def went_well(self) -> None:
        """Any answer of the endpoint closes the circuit."""
        self._count, self._open_until, self._probing, self.confirmed = 0, None, False, False

    def failed(self, now: float) -> None:
        """Counts a failure of the endpoint; opens the circuit at the most allowed."""
        self._count += 1
        if self._probing:
            self._probing, self.confirmed = False, True
            self._open_until = now + self._seconds
        elif self._count >= self._most and self._open_until is None:
            self._open_until = now + self._seconds

    def given_up(self) -> None:
        """The probe was cancelled: another may take its place."""
        self._probing = False


def _count(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < 1e15 else None
