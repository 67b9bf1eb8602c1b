"""One attempt: wait for a place, post, read within bounds, and say what came.

What belongs here: lanes (one per model: headers, limits, places), the circuit of each endpoint, reading
bodies. What does not: trying again (``client``). No secret leaves this module but in the headers that are
sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from pipeline import __version__
from pipeline.collector.exchange import Reply
from pipeline.collector.failures import Stumble, of_status
from pipeline.collector.limits import Adaptive, Circuit, Gate, asked_wait
from pipeline.collector.parsing import (
    ErrorInAnswerError,
    EventStream,
    MalformedAnswerError,
    error_code,
    error_text,
    read_json,
    reply_of,
)
from pipeline.collector.payloads import streamed
from pipeline.collector.transport import (
    CONNECT_SECONDS,
    ForbiddenAddressError,
    check_url,
    is_forbidden,
    is_loopback,
    make_transport,
)
from pipeline.errors import ConfigurationError
from pipeline.http import Clock
from pipeline.http_bodies import BodyBrokenError, BodyCutError, BodyTooLargeError, BoundedBody
from pipeline.http_redaction import scrubbed
from pipeline.settings.collector import ModelSettings, RunSettings

if TYPE_CHECKING:
    import httpx
    from httpx_aiohttp import AiohttpTransport

ERROR_BYTES = 256 * 1024
"""Of an error's body no more is read."""


class Lane:
    """What requests to one model share."""

    def __init__(self, model: ModelSettings, run: RunSettings, circuit: Circuit, instant: float) -> None:
        import httpx

        secrets = model.secret_headers()
        parts = urlsplit(model.base_url)
        if secrets and parts.scheme == "http" and not is_loopback(parts.hostname or ""):
            raise ConfigurationError(
                f"Reading base_url of model {model.name}: a key would travel over plain http; use https."
            )
        self.model = model
        self.secrets = tuple(secrets.values())
        self.url = httpx.URL(model.endpoint)
        self.headers = httpx.Headers(
            {
                "User-Agent": f"pipeline/{__version__}",
                "Accept": "text/event-stream" if model.stream else "application/json",
                "Accept-Encoding": "gzip",
                "Content-Type": "application/json",
                **secrets,
            }
        )
        most = min(run.concurrency, model.limits.concurrency or run.concurrency)
        self.places = Adaptive(most)
        limits = model.limits
        self.gate = Gate(
            limits.requests_per_minute, limits.tokens_per_minute, run.maximum_wait_seconds, instant
        )
        self.circuit = circuit
        self.last_bytes = 0


class Poster:
    """Posts for every lane; ``close`` ends all connections."""

    def __init__(self, run: RunSettings, clock: Clock) -> None:
        self._run, self._clock = run, clock
        self._lanes: dict[int, Lane] = {}
        self._circuits: dict[str, Circuit] = {}
        self._transports: dict[bool, AiohttpTransport] = {}

    def lane(self, model: ModelSettings) -> Lane:
        """The lane of a model; raises ``ConfigurationError`` where its key is missing."""
        lane = self._lanes.get(id(model))
        if lane is None:
            circuit = self._circuits.setdefault(
                model.base_url, Circuit(self._run.circuit_failures, self._run.circuit_seconds)
            )
            lane = self._lanes[id(model)] = Lane(model, self._run, circuit, self._clock.monotonic())
        return lane

    async def close(self) -> None:
        """Ends all connections."""
        for transport in self._transports.values():
            await transport.aclose()

    async def attempt(
        self, lane: Lane, payload: Mapping[str, Any], key: str, left: float | None
    ) -> tuple[Reply | Stumble, float]:
        """A reply or what went wrong, and the seconds that it waited for its place before sending."""
        begun = self._clock.monotonic()
        await lane.places.enter()
        try:
            closed = lane.circuit.wait(self._clock.monotonic())
            if closed:
                what = "the endpoint failed so often in a row that nothing is sent to it for a while"
                return Stumble("circuit_open", what, True, True, asked=closed), 0.0
            body = self._body(lane, payload)
            estimate = len(body) // 4 + int(payload.get(lane.model.max_tokens_field) or 0)
            wait = lane.gate.wait(estimate, self._clock.monotonic())
            if left is not None and wait >= left:
                lane.circuit.given_up()
                return Stumble("run_deadline", "the run's deadline_seconds are over", False, True), 0.0
            if wait > 0:
                await self._clock.sleep(wait)
            waited = self._clock.monotonic() - begun
            timeout = (
                lane.model.timeout if left is None else min(lane.model.timeout, max(left - waited, 0.01))
            )
            outcome = await self._posted(lane, body, payload, key, timeout)
        except asyncio.CancelledError:
            lane.circuit.given_up()
            raise
        finally:
            lane.places.leave()
        if isinstance(outcome, Reply):
            lane.places.went_well()
            lane.circuit.went_well()
            lane.gate.used(estimate, outcome.usage.prompt_tokens + outcome.usage.completion_tokens)
        return outcome, waited

    @staticmethod
    def _body(lane: Lane, payload: Mapping[str, Any]) -> bytes:
        can_stream = lane.model.stream and lane.model.generator_type != "embedding"
        return msgspec.json.encode(streamed(payload) if can_stream else payload)

    async def _posted(
        self, lane: Lane, body: bytes, payload: Mapping[str, Any], key: str, timeout: float
    ) -> Reply | Stumble:
        import httpx

        try:
            if not lane.model.allow_private_address:
                check_url(lane.model.endpoint)
            async with asyncio.timeout(timeout):
                return await self._exchanged(lane, body, payload, key)
        except TimeoutError:
            return Stumble("timeout", f"no whole answer came within {timeout:g} s", True, True)
        except (httpx.TransportError, OSError) as error:
            return _of_transport(error, lane)

    async def _exchanged(
        self, lane: Lane, body: bytes, payload: Mapping[str, Any], key: str
    ) -> Reply | Stumble:
        import httpx

        request = httpx.Request(
            "POST",
            lane.url,
            headers=lane.headers,
            content=body,
            extensions={"timeout": {"connect": CONNECT_SECONDS}},
        )
        response = await self._transport(lane.model.allow_private_address).handle_async_request(request)
        headers = response.headers
        instant = self._clock.now()
        lane.gate.follow(headers, lane.places.running, self._clock.monotonic(), instant)
        try:
            if response.status_code != 200:
                return await _refused(response, lane, asked_wait(headers, instant))
            return await _answered(response, lane, payload, key)
        finally:
            await response.aclose()

    def _transport(self, allow_private: bool) -> AiohttpTransport:
        transport = self._transports.get(allow_private)
        if transport is None:
            transport = self._transports[allow_private] = make_transport(allow_private=allow_private)
        return transport


async def _answered(
    response: httpx.Response, lane: Lane, payload: Mapping[str, Any], key: str
) -> Reply | Stumble:
    body = _bounded(response, lane.model.max_response_bytes)
    if body is None:
        return Stumble("malformed_answer", "its answer is in an encoding not asked for", False, True, 200)
    try:
        if response.headers.get("content-type", "").startswith("text/event-stream"):
            stream = EventStream()
            async for chunk in response.aiter_raw():
                stream.feed(body.feed(chunk))
                if stream.done:
                    break
            document = stream.document()
        else:
            async for chunk in response.aiter_raw():
                body.feed(chunk)
            document = read_json(body.finish())
        lane.last_bytes = body.received
        reply = reply_of(document, key, payload)
    except BodyTooLargeError:
        what = f"its answer is larger than max_response_bytes ({lane.model.max_response_bytes:,})"
        return Stumble("too_large", what, False, False, 200, None, body.received)
    except (BodyBrokenError, BodyCutError):
        what = "its compressed answer is broken or breaks off"
        return Stumble("malformed_answer", what, True, True, 200, None, body.received)
    except MalformedAnswerError as error:
        return Stumble("malformed_answer", str(error), True, True, 200, None, body.received)
    except ErrorInAnswerError as error:
        return of_status(error.status, scrubbed(str(error), lane.secrets), "", None, body.received)
    is_marked = reply.synthetic or response.headers.get("x-synthetic", "").lower() == "true"
    return replace(reply, synthetic=True) if is_marked and not reply.synthetic else reply


async def _refused(response: httpx.Response, lane: Lane, asked: float | None) -> Stumble:
    body = _bounded(response, ERROR_BYTES)
    document: Any = None
    received = 0
    if body is not None:
        try:
            async for chunk in response.aiter_raw():
                body.feed(chunk)
            document = read_json(body.finish())
        except (BodyTooLargeError, BodyBrokenError, BodyCutError, MalformedAnswerError):
            document = None  # an error without a readable reason is told by its status alone
        received = body.received
    detail = scrubbed(error_text(document), lane.secrets)
    return of_status(response.status_code, detail, error_code(document), asked, received)


def _bounded(response: httpx.Response, cap: int) -> BoundedBody | None:
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        return None
    return BoundedBody(cap, compressed="gzip" in encoding)


def _of_transport(error: Exception, lane: Lane) -> Stumble:
    import httpx

    if isinstance(error, ForbiddenAddressError) or is_forbidden(error):
        return Stumble("forbidden_address", "its address is not a public one", False, False)
    if (
        isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
        and "disconnected" not in str(error).lower()
    ):
        detail = scrubbed(str(error), lane.secrets)
        return Stumble("connection_failed", f"no connection came about ({detail})", True, True)
    return Stumble("connection_broken", "the connection broke off before the end of the answer", True, True)
