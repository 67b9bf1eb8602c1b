"""The client against real servers on loopback: every way in which they fail."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from pipeline.collector.client import Client
from pipeline.collector.exchange import Reply, Request
from pipeline.collector.stub.server import StubOptions, serving
from pipeline.collector.transport import ForbiddenAddressError, check_address
from pipeline.errors import ConfigurationError
from pipeline.settings.collector import CollectorSettings

SECRET = "sk-invented-0123456789"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
GOOD = {
    "model": "m-1",
    "choices": [{"message": {"content": "42"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}},
}


def settings(url: str, **sections: Any) -> CollectorSettings:
    model = {"name": "m", "base_url": url, "timeout": 5, **sections.pop("model", {})}
    run = {"retries": 2, "backoff_seconds": 0.01, "maximum_wait_seconds": 0.2, **sections.pop("run", {})}
    document = {"models": [model], "datasets": [{"dataset_id": "d"}], "run": run, "cache": {"enabled": False}}
    return CollectorSettings.model_validate(document | sections)


class Backend:
    """A server whose answers a test gives; counts what it was sent."""

    def __init__(self, answer: Handler) -> None:
        self._given = answer
        self.requests: list[dict[str, str]] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(dict(request.headers))
        await request.read()
        return await self._given(request)


async def ask(answer: Handler, *, prompts: int = 1, **sections: Any) -> tuple[list[Reply], Backend]:
    backend = Backend(answer)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", backend.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        chosen = settings(f"http://127.0.0.1:{runner.addresses[0][1]}/v1", **sections)
        async with Client(chosen) as client:
            sent = (client.send(Request(chosen.models[0], prompt=f"p{n}")) for n in range(prompts))
            return list(await asyncio.gather(*sent)), backend
    finally:
        await runner.cleanup()


def one(answer: Handler, **sections: Any) -> tuple[Reply, int]:
    replies, backend = asyncio.run(ask(answer, **sections))
    return replies[0], len(backend.requests)


def fixed(status: int = 200, body: Any = GOOD, **headers: str) -> Handler:
    async def answer(_: web.Request) -> web.StreamResponse:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return web.Response(
            status=status,
            body=content,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        )

    return answer


def test_an_answer_comes_with_usage_and_the_served_model() -> None:
    reply, sent = one(fixed())
    assert (reply.text, reply.error, reply.served_model, reply.finish_reason, sent) == (
        "42",
        None,
        "m-1",
        "stop",
        1,
    )
    assert (reply.usage.prompt_tokens, reply.usage.cached_tokens, reply.usage.estimated) == (9, 4, False)
    assert not reply.synthetic


@pytest.mark.parametrize(
    ("status", "error_class"),
    [
        (400, "bad_request"),
        (401, "unauthorized"),
        (403, "forbidden"),
        (404, "not_found"),
        (422, "unprocessable"),
    ],
)
def test_a_permanent_error_gets_exactly_one_attempt(status: int, error_class: str) -> None:
    reply, sent = one(fixed(status, {"error": {"message": "no"}}))
    assert reply.error is not None
    assert (reply.error.error_class, reply.error.infrastructure, sent, len(reply.attempts)) == (
        error_class,
        False,
        1,
        1,
    )


@pytest.mark.parametrize("status", [408, 409, 429, 500, 503])
def test_a_passing_error_is_tried_again_and_is_an_outage(status: int) -> None:
    reply, sent = one(fixed(status, b"no json"))
    assert reply.error is not None
    assert (reply.error.infrastructure, sent, len(reply.attempts)) == (True, 3, 3)


def test_an_exhausted_quota_is_not_asked_again() -> None:
    reply, sent = one(fixed(429, {"error": {"code": "insufficient_quota", "message": "pay"}}))
    assert reply.error is not None
    assert (reply.error.error_class, sent) == ("quota_exhausted", 1)


def test_a_wait_that_is_asked_for_is_kept_and_a_long_one_clamped() -> None:
    reply, _ = one(fixed(429, {}, Retry_After="3600"), run={"retries": 1})
    assert reply.attempts[0].retry_after == 3600
    assert 0.2 <= reply.attempts[0].wait_seconds <= 0.26


async def _hang(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(60)
    return web.Response()


async def _drip(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" ")
        await asyncio.sleep(0.02)


async def _reset(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def _cut(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "500"})
    await response.prepare(request)
    await response.write(b'{"choices":')
    assert request.transport is not None
    request.transport.close()
    return response


@pytest.mark.parametrize(
    ("answer", "error_class"),
    [
        (_hang, "timeout"),
        (_drip, "timeout"),
        (_reset, "connection_broken"),
        (_cut, "connection_broken"),
        (fixed(200, b'{"choices": ['), "malformed_answer"),
        (fixed(200, {"choices": []}), "malformed_answer"),
        (fixed(200, gzip.compress(b"{}" * 99)[:-9], Content_Encoding="gzip"), "malformed_answer"),
        (fixed(200, b"plain", Content_Encoding="gzip"), "malformed_answer"),
        (fixed(200, {"error": {"code": 503, "message": "behind me"}}), "server_error"),
        (
            fixed(
                200, b'data: {"choices":[{"delta":{"content":"4"}}]}\n\n', Content_Type="text/event-stream"
            ),
            "malformed_answer",
        ),
    ],
)
def test_every_outage_has_a_name_and_ends(answer: Handler, error_class: str) -> None:
    timeout = 0.3 if error_class == "timeout" else 30
    reply, sent = one(answer, run={"retries": 1}, model={"timeout": timeout})
    assert reply.error is not None
    assert (reply.error.error_class, reply.error.infrastructure, sent) == (error_class, True, 2)


def test_a_small_body_that_unpacks_to_a_large_one_is_given_up() -> None:
    bomb = gzip.compress(b" " * 5_000_000)
    reply, sent = one(fixed(200, bomb, Content_Encoding="gzip"), model={"max_response_bytes": 100_000})
    assert reply.error is not None
    assert (reply.error.error_class, sent) == ("too_large", 1)


def test_a_redirect_is_not_followed() -> None:
    reply, sent = one(fixed(307, b"", Location="http://127.0.0.1:9/steal"))
    assert reply.error is not None
    assert (reply.error.error_class, sent) == ("redirected", 1)


def test_no_secret_stands_in_an_error_or_a_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("INVENTED_API_KEY", SECRET)
    caplog.set_level(logging.DEBUG)
    replies, backend = asyncio.run(
        ask(fixed(400, {"error": {"message": f"bad key {SECRET}"}}), model={"api_key": "INVENTED_API_KEY"})
    )
    assert backend.requests[0]["Authorization"] == f"Bearer {SECRET}"
    assert "***" in str(replies[0].error)
    assert SECRET not in repr(replies) + caplog.text


def test_a_key_over_plain_http_or_a_missing_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def opened(url: str) -> None:
        async with Client(settings(url, model={"api_key": "INVENTED_API_KEY"})):
            raise AssertionError("it must not open")

    with pytest.raises(ConfigurationError, match="INVENTED_API_KEY is not set"):
        asyncio.run(opened("https://api.example.com/v1"))
    monkeypatch.setenv("INVENTED_API_KEY", SECRET)
    with pytest.raises(ConfigurationError, match="plain http"):
        asyncio.run(opened("http://api.example.com/v1"))


@pytest.mark.parametrize(
    ("host", "address", "allowed"),
    [
        ("api.example.com", "93.184.216.34", True),
        ("localhost", "127.0.0.1", True),
        ("evil.example.com", "127.0.0.1", False),
        ("evil.example.com", "169.254.169.254", False),
        ("evil.example.com", "10.0.0.7", False),
        ("evil.example.com", "::ffff:10.0.0.7", False),
        ("evil.example.com", "64:ff9b::a00:7", False),
        ("evil.example.com", "fe80::1", False),
        ("evil.example.com", "fd00::1", False),
        ("evil.example.com", "224.0.0.1", False),
    ],
)
def test_addresses_that_are_not_public(host: str, address: str, allowed: bool) -> None:
    if allowed:
        check_address(host, address)
        return
    with pytest.raises(ForbiddenAddressError):
        check_address(host, address)


def test_the_metadata_address_is_not_asked() -> None:
    async def asked() -> Reply:
        chosen = settings("http://169.254.169.254/v1")
        async with Client(chosen) as client:
            return await client.send(Request(chosen.models[0], prompt="p"))

    reply = asyncio.run(asked())
    assert reply.error is not None
    assert reply.error.error_class == "forbidden_address"


def test_an_endpoint_that_is_down_is_soon_left_alone() -> None:
    replies, backend = asyncio.run(
        ask(
            _reset,
            prompts=40,
            run={"retries": 3, "circuit_failures": 5, "circuit_seconds": 0.1, "concurrency": 4},
        )
    )
    assert {reply.error.error_class for reply in replies if reply.error} >= {"circuit_open"}
    assert all(reply.error and reply.error.infrastructure for reply in replies)
    assert len(backend.requests) < 40


def test_the_run_deadline_ends_everything() -> None:
    reply, _ = one(_hang, run={"deadline_seconds": 0.3, "retries": 5})
    assert reply.error is not None and reply.error.infrastructure
    assert reply.error.error_class in ("timeout", "run_deadline")


def test_identical_requests_in_flight_are_sent_once(tmp_path: Path) -> None:
    async def asked() -> tuple[list[Reply], int]:
        async with serving(StubOptions(port=0, log=tmp_path / "log.jsonl")) as (stub, url):
            chosen = settings(url)
            async with Client(chosen) as client:
                request = Request(chosen.models[0], prompt="same")
                replies = list(await asyncio.gather(*(client.send(request) for _ in range(5))))
            return replies, stub.outcomes["answered"]

    replies, sent = asyncio.run(asked())
    assert sent == 1
    assert [reply.shared for reply in replies].count(True) == 4
    assert {reply.text for reply in replies} == {replies[0].text}
    assert json.loads((tmp_path / "log.jsonl").read_text())["kind"] == "answered"


@pytest.mark.parametrize(
    "model", [{}, {"stream": True}, {"api": "completions"}, {"generator_type": "embedding"}]
)
def test_every_api_of_the_stub_is_understood_and_marked_synthetic(model: dict[str, Any]) -> None:
    async def asked() -> Reply:
        async with serving(StubOptions(port=0, answers={"2+2?": "4"}, accuracy=1, latency_ms=0)) as (_, url):
            chosen = settings(url, model=model)
            async with Client(chosen) as client:
                return await client.send(Request(chosen.models[0], prompt="2+2?"))

    reply = asyncio.run(asked())
    assert reply.error is None and reply.synthetic
    assert reply.embedding is not None if model.get("generator_type") else reply.text.endswith("#### 4")


def test_a_faulty_stub_is_worked_through() -> None:
    faults = StubOptions(
        port=0,
        latency_ms=1,
        rate_429=0.05,
        retry_after=0.05,
        rate_hang=0.01,
        rate_400=0.02,
        rate_malformed=0.02,
        rate_truncated=0.02,
    )

    async def asked() -> list[Reply]:
        async with serving(faults) as (_, url):
            chosen = settings(url, model={"timeout": 0.5}, run={"retries": 5})
            async with Client(chosen) as client:
                return list(
                    await asyncio.gather(
                        *(client.send(Request(chosen.models[0], prompt=f"{n}")) for n in range(300))
                    )
                )

    replies = asyncio.run(asked())
    failed = [reply for reply in replies if reply.error]
    assert {reply.error.error_class for reply in failed if reply.error} == {"bad_request"}
    assert all(len(reply.attempts) == 1 for reply in failed)
    waits = [
        attempt for reply in replies for attempt in reply.attempts if attempt.error_class == "rate_limited"
    ]
    assert waits and all(attempt.wait_seconds >= 0.05 for attempt in waits)
