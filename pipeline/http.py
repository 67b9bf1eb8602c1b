"""The one way out: fetching bodies over HTTP within bounds.

What belongs here: timeouts, retries, Retry-After, byte caps, redirects, ETags and the redaction of
secrets in every message. What does not: what a body means, where it is kept, and which sources
there are (``pipeline.sources``). httpx is imported on first use, since it is slow to import.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import ipaddress
import logging
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urljoin, urlsplit

from pipeline import __version__
from pipeline.errors import FetchError
from pipeline.http_bodies import BodyBrokenError, BodyCutError, BodyTooLargeError, BoundedBody
from pipeline.http_headers import HEADER_VALUE, KEPT_HEADERS, QUOTA_HEADERS, retry_after, usable_etag
from pipeline.http_redaction import quieten, scrubbed
from pipeline.settings.addresses import is_secret_name, redact_url, url_carries_credentials

if TYPE_CHECKING:
    import httpx

USER_AGENT = f"pipeline/{__version__} (+python-httpx)"
_SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_RETRIED = frozenset({408, 425, 429})
_CHUNK = 65_536

T = TypeVar("T")


@dataclass(frozen=True)
class Policy:
    """Bounds of one fetch, all times in seconds."""

    attempts: int = 4
    total_seconds: float = 60.0
    connect_seconds: float = 10.0
    read_seconds: float = 20.0
    backoff_seconds: float = 0.5
    maximum_backoff_seconds: float = 8.0
    maximum_wait_seconds: float = 30.0
    redirects: int = 3


@dataclass(frozen=True)
class Request:
    """What to fetch. ``headers`` may hold secrets and therefore never shows in a repr."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    etag: str | None = None
    maximum_bytes: int = 32 * 1024 * 1024
    policy: Policy = Policy()

    @property
    def shown(self) -> str:
        """The address without credentials."""
        return redact_url(self.url)


@dataclass(frozen=True)
class Response:
    """What came back: status 200 with a body, or 304 without one."""

    status: int
    body: bytes
    etag: str | None
    headers: Mapping[str, str]
    duration_ms: float
    attempts: int = 1

    @property
    def quota_remaining(self) -> int | None:
        """Requests left, where the server says so."""
        for name in QUOTA_HEADERS:
            text = self.headers.get(name, "").strip()
            if text.isascii() and text.isdigit():
                return int(text[:15])
        return None


@dataclass(frozen=True)
class Clock:
    """Time as the retries see it; tests replace it."""

    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    jitter: Callable[[float, float], float] = random.uniform


def carries_credentials(request: Request) -> bool:
    """True where a header, the user part or the query of the request holds a secret."""
    if any(name.lower() in _SECRET_HEADERS or is_secret_name(name) for name in request.headers):
        return True
    return url_carries_credentials(request.url)


def make_client(policy: Policy = Policy(), *, connections: int = 16) -> httpx.AsyncClient:
    """A client for ``fetch``; close it with ``async with``."""
    import httpx

    quieten(logging.getLogger("httpx"))
    return httpx.AsyncClient(
        follow_redirects=False,
        headers={"User-Agent": USER_AGENT, "Accept-Encoding": "gzip"},
        timeout=httpx.Timeout(policy.read_seconds, connect=policy.connect_seconds),
        limits=httpx.Limits(max_connections=connections),
    )


async def fetch(client: httpx.AsyncClient, request: Request, *, clock: Clock = Clock()) -> Response:
    """The body at an address.

    Tries again, after a random wait that doubles in its bound, on 408, 425, 429, 5xx and broken
    connections. A wait that the server asks for is kept; one longer than ``maximum_wait_seconds``
    or than the time left ends the attempt. Raises ``FetchError``; ``retryable`` says whether a
    later call may succeed.
    """
    _check(request)
    policy = request.policy
    started = clock.monotonic()
    failure: FetchError | None = None
    for attempt in range(1, policy.attempts + 1):
        left = policy.total_seconds - (clock.monotonic() - started)
        if left <= 0:
            break
        try:
            answer = await _within(left, _attempt(client, request, clock), request)
        except _Transient as transient:
            failure = transient.failure
            wait = _wait(transient, attempt, policy, clock)
        else:
            return replace(answer, duration_ms=(clock.monotonic() - started) * 1000, attempts=attempt)
        left = policy.total_seconds - (clock.monotonic() - started)
        if attempt == policy.attempts or wait > left or wait > policy.maximum_wait_seconds:
            break
        await clock.sleep(wait)
    raise failure or _failed(
        request, f"no attempt was possible within {policy.total_seconds:g} s", "try again later"
    )


def fetch_all(
    requests: Sequence[Request],
    *,
    concurrency: int = 8,
    clock: Clock = Clock(),
    client_factory: Callable[[], httpx.AsyncClient] = make_client,
) -> list[Response | FetchError]:
    """Every body, or the error that stood in its way, in the order asked; one never affects another."""

    async def one(
        client: httpx.AsyncClient, gate: asyncio.Semaphore, request: Request
    ) -> Response | FetchError:
        async with gate:
            try:
                return await fetch(client, request, clock=clock)
            except FetchError as error:
                return error

    async def every() -> list[Response | FetchError]:
        gate = asyncio.Semaphore(max(1, concurrency))
        async with client_factory() as client:
            return list(await asyncio.gather(*(one(client, gate, request) for request in requests)))

    return run_sync(every()) if requests else []


def run_sync(work: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine to its end, also where an event loop is already running in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


class _Transient(Exception):
    """One attempt failed in a way that another may not."""

    def __init__(self, failure: FetchError, asked_wait: float | None = None) -> None:
        super().__init__(str(failure))
        self.failure = failure
        self.asked_wait = asked_wait


async def _within(seconds: float, attempt: Coroutine[Any, Any, Response], request: Request) -> Response:
    try:
        async with asyncio.timeout(seconds):
            return await attempt
    except TimeoutError as error:
        total = request.policy.total_seconds
        failure = _failed(request, f"it took longer than the {total:g} s allowed for it", "try again later")
        raise _Transient(failure) from error


async def _attempt(client: httpx.AsyncClient, request: Request, clock: Clock) -> Response:
    import httpx

    url = request.url
    for _ in range(request.policy.redirects + 1):
        headers = dict(request.headers)
        if request.etag:
            headers["If-None-Match"] = request.etag
        try:
            async with client.stream("GET", url, headers=headers) as answer:
                if answer.status_code not in _REDIRECTS:
                    return await _read(answer, request, clock)
                url = _redirected(request, url, answer.headers.get("location", ""))
        except (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.LocalProtocolError) as error:
            raise _failed(
                request, "the address or a header cannot be sent", "correct it", retryable=False
            ) from error
        except httpx.TransportError as error:
            raise _Transient(_failed(request, _transport(error, request), "try again later")) from error
    raise _failed(
        request,
        f"it led on more than {request.policy.redirects} times",
        "correct the address",
        retryable=False,
    )


async def _read(answer: httpx.Response, request: Request, clock: Clock) -> Response:
    status = answer.status_code
    if status == 304 and request.etag:
        return Response(304, b"", request.etag, _kept(answer), 0.0)
    if status != 200:
        raise _refused(answer, request, clock)
    body = await _decoded(answer, request)
    return Response(200, body, usable_etag(answer.headers.get("etag")), _kept(answer), 0.0)


async def _decoded(answer: httpx.Response, request: Request) -> bytes:
    """The body, decoded here because a decoder without an output bound lets a small body fill the memory."""
    encoding = answer.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "", "gzip", "x-gzip"):
        raise _failed(
            request,
            f"its encoding {encoding[:40]!r} was not asked for",
            "report it to the source",
            retryable=False,
        )
    body = BoundedBody(request.maximum_bytes, compressed="gzip" in encoding)
    try:
        async for chunk in answer.aiter_raw(_CHUNK):
            body.feed(chunk)
        return body.finish()
    except BodyTooLargeError as error:
        raise _too_large(request) from error
    except BodyCutError as error:
        what = "the compressed body breaks off before its end"
        raise _Transient(_failed(request, what, "try again later")) from error
    except BodyBrokenError as error:
        what = "its body is no valid gzip although it says so"
        raise _failed(request, what, "report it to the source", retryable=False) from error


def _check(request: Request) -> None:
    """Refuses a request that would give a secret away or cannot be sent."""
    try:
        parts = urlsplit(request.url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        raise _failed(
            request, "it is no http or https address", "correct it in configs/sources.yaml", retryable=False
        )
    if parts.scheme == "http" and carries_credentials(request) and not _loopback(host):
        what = "a key would travel unencrypted over plain http"
        raise _failed(request, what, "use an https address", retryable=False)
    for name, value in request.headers.items():
        if not HEADER_VALUE.match(value):
            what = f"the value for the header {name} holds characters that cannot be sent"
            raise _failed(request, what, "check the environment variable that holds it", retryable=False)


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _redirected(request: Request, url: str, location: str) -> str:
    """The address a redirect leads to, unless following it would weaken or leak something."""
    try:
        target = urljoin(url, location)
        old, new = urlsplit(url), urlsplit(target)
        same = (old.scheme, old.hostname, old.port) == (new.scheme, new.hostname, new.port)
    except ValueError:
        target = ""
    if not location or not target or new.scheme not in ("http", "https"):
        raise _failed(request, "it leads on to no usable address", "correct the address", retryable=False)
    if old.scheme == "https" and new.scheme == "http":
        raise _failed(
            request,
            f"it leads on to unencrypted {redact_url(target)}",
            "correct the address",
            retryable=False,
        )
    if not same and carries_credentials(request):
        what = f"it leads on to {redact_url(target)}, and a key is not sent to another host"
        raise _failed(request, what, "correct the address if the service has moved", retryable=False)
    return target


def _refused(answer: httpx.Response, request: Request, clock: Clock) -> FetchError | _Transient:
    status = answer.status_code
    if status in _RETRIED or status >= 500:
        asked = retry_after(answer.headers.get("retry-after"), clock.now())
        hint = f"; it asks to wait {asked:.0f} s" if asked else ""
        remedy = "try again later" if asked is None else "try again after that time"
        return _Transient(_failed(request, f"it answered {status}{hint}", remedy, status=status), asked)
    reasons = {
        401: ("it answered 401, the key is missing or wrong", "check the environment variable of the key"),
        403: ("it answered 403, access is not allowed", "check the key and what it permits"),
        404: (
            "it answered 404, there is nothing at this address",
            "correct the address in configs/sources.yaml",
        ),
        410: ("it answered 410, the address is gone for good", "replace the address in configs/sources.yaml"),
    }
    what, remedy = reasons.get(status, (f"it answered {status}", "check the address"))
    return _failed(request, what, f"{remedy}; trying again does not help", status=status, retryable=False)


def _wait(transient: _Transient, attempt: int, policy: Policy, clock: Clock) -> float:
    bound = min(policy.maximum_backoff_seconds, policy.backoff_seconds * 2 ** (attempt - 1))
    drawn = clock.jitter(0.0, bound)
    return drawn if transient.asked_wait is None else max(transient.asked_wait, drawn)


def _kept(answer: httpx.Response) -> dict[str, str]:
    return {
        name.lower(): value[:200] for name, value in answer.headers.items() if name.lower() in KEPT_HEADERS
    }


def _transport(error: httpx.TransportError, request: Request) -> str:
    import httpx

    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return f"no connection came about within {request.policy.connect_seconds:g} s"
    if isinstance(error, httpx.TimeoutException):
        return f"nothing came for {request.policy.read_seconds:g} s"
    if isinstance(error, httpx.RemoteProtocolError):
        return "the connection broke off before the end of the answer"
    detail = scrubbed(str(error), request.headers.values())
    return f"no connection came about ({detail})" if detail else "the connection broke"


def _too_large(request: Request) -> FetchError:
    what = f"its body is larger than the {request.maximum_bytes:,} bytes allowed"
    return _failed(
        request, what, "raise maximum_bytes in configs/sources.yaml if that is right", retryable=False
    )


def _failed(
    request: Request, what: str, remedy: str, *, status: int | None = None, retryable: bool = True
) -> FetchError:
    return FetchError(f"Fetching {request.shown}: {what}; {remedy}.", http_status=status, retryable=retryable)
