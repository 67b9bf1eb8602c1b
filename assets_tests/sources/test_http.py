"""The one HTTP client, against a real server on loopback with invented answers."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from assets_tests.sources.helpers import Answer, Server, serving
from pipeline.errors import FetchError
from pipeline.http import Clock, Policy, Request, Response, fetch_all
from pipeline.http_headers import retry_after
from pipeline.settings.addresses import redact_url

SECRET = "sk-invented-1234567890"  # an invented key


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


class _Waits:
    """A clock whose waits take no time and are noted."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    def clock(self, now: datetime | None = None) -> Clock:
        return Clock(sleep=self.sleep, jitter=lambda low, high: high, now=lambda: now or datetime.now(UTC))


def _one(request: Request, clock: Clock | None = None) -> Response | FetchError:
    return fetch_all([request], clock=clock or _Waits().clock())[0]


def _failed(request: Request, clock: Clock | None = None) -> FetchError:
    outcome = _one(request, clock)
    assert isinstance(outcome, FetchError), outcome
    return outcome


def test_a_body_comes_with_its_etag_and_the_harmless_headers(server: Server) -> None:
    headers = {
        "ETag": '"v1"',
        "X-RateLimit-Remaining": "17",
        "Set-Cookie": "a=b",
        "Content-Type": "text/plain",
    }
    server.answer = lambda path, count, sent: Answer(body=b"hello", headers=headers)
    outcome = _one(Request(server.url + "/ok"))
    assert isinstance(outcome, Response)
    assert (outcome.status, outcome.body, outcome.etag, outcome.quota_remaining) == (
        200,
        b"hello",
        '"v1"',
        17,
    )
    assert "set-cookie" not in outcome.headers
    assert outcome.duration_ms > 0


def test_an_etag_is_sent_back_and_304_has_no_body(server: Server) -> None:
    server.answer = lambda path, count, sent: Answer(304 if sent.get("if-none-match") == '"v1"' else 200)
    outcome = _one(Request(server.url, etag='"v1"'))
    assert isinstance(outcome, Response)
    assert (outcome.status, outcome.body, outcome.etag) == (304, b"", '"v1"')


def test_gzip_is_decoded(server: Server) -> None:
    packed = gzip.compress(b"one") + gzip.compress(b"two")
    server.answer = lambda path, count, sent: Answer(body=packed, headers={"Content-Encoding": "gzip"})
    outcome = _one(Request(server.url))
    assert isinstance(outcome, Response)
    assert outcome.body == b"onetwo"


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_passing_trouble_is_tried_again(server: Server, status: int) -> None:
    server.answer = lambda path, count, sent: Answer(status if count < 2 else 200, b"fine")
    outcome = _one(Request(server.url))
    assert isinstance(outcome, Response)
    assert (outcome.body, outcome.attempts) == (b"fine", 3)


def test_waits_double_within_their_bound_and_attempts_end(server: Server) -> None:
    server.answer = lambda path, count, sent: Answer(500)
    waits = _Waits()
    error = _failed(Request(server.url, policy=Policy(attempts=5, maximum_backoff_seconds=2)), waits.clock())
    assert waits.waits == [0.5, 1.0, 2.0, 2.0]
    assert len(server.seen) == 5
    assert error.retryable and error.http_status == 500


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422])
def test_a_lasting_trouble_is_asked_once_and_explained(server: Server, status: int) -> None:
    server.answer = lambda path, count, sent: Answer(status)
    error = _failed(Request(server.url + "/gone"))
    assert len(server.seen) == 1
    assert not error.retryable and error.http_status == status
    assert str(status) in str(error) and "trying again does not help" in str(error) and "/gone" in str(error)


def test_retry_after_in_seconds_is_kept(server: Server) -> None:
    server.answer = lambda path, count, sent: (
        Answer(429, headers={"Retry-After": "7"}) if not count else Answer()
    )
    waits = _Waits()
    assert isinstance(_one(Request(server.url), waits.clock()), Response)
    assert waits.waits == [7.0]


def test_retry_after_as_a_date_is_kept(server: Server) -> None:
    now = datetime(2026, 5, 4, 10, 0, tzinfo=UTC)
    later = format_datetime(now + timedelta(seconds=9), usegmt=True)
    server.answer = lambda path, count, sent: (
        Answer(503, headers={"Retry-After": later}) if not count else Answer()
    )
    waits = _Waits()
    assert isinstance(_one(Request(server.url), waits.clock(now)), Response)
    assert waits.waits == [9.0]


def test_an_overlong_retry_after_ends_at_once_with_the_time(server: Server) -> None:
    server.answer = lambda path, count, sent: Answer(429, headers={"Retry-After": "86400"})
    waits = _Waits()
    error = _failed(Request(server.url), waits.clock())
    assert (waits.waits, len(server.seen)) == ([], 1)
    assert "86400 s" in str(error) and error.retryable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3", 3.0),
        ("-3", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("Mon, 04 May 2020 10:00:00 GMT", 0.0),
    ],
)
def test_retry_after_that_makes_no_sense(text: str | None, expected: float | None) -> None:
    assert retry_after(text, datetime(2026, 5, 4, tzinfo=UTC)) == expected


def test_a_body_above_the_cap_is_refused(server: Server) -> None:
    server.answer = lambda path, count, sent: Answer(body=b"x" * 5000)
    error = _failed(Request(server.url, maximum_bytes=4999))
    assert "4,999 bytes" in str(error) and not error.retryable
    assert isinstance(_one(Request(server.url, maximum_bytes=5000)), Response)


def test_a_gzip_bomb_is_refused_before_it_unfolds(server: Server) -> None:
    bomb = gzip.compress(bytes(200_000_000), 9)
    server.answer = lambda path, count, sent: Answer(body=bomb, headers={"Content-Encoding": "gzip"})
    error = _failed(Request(server.url, maximum_bytes=1_000_000))
    assert "1,000,000 bytes" in str(error)


def test_a_body_that_breaks_off_is_no_body(server: Server) -> None:
    server.answer = lambda path, count, sent: Answer(body=b"half", cut=True)
    error = _failed(Request(server.url, policy=Policy(attempts=2)))
    assert "broke off" in str(error) and error.retryable and len(server.seen) == 2


def test_a_truncated_gzip_is_no_body(server: Server) -> None:
    packed = gzip.compress(b"a" * 10_000)[:-9]
    server.answer = lambda path, count, sent: Answer(body=packed, headers={"Content-Encoding": "gzip"})
    assert "breaks off" in str(_failed(Request(server.url, policy=Policy(attempts=1))))


def test_a_slow_server_ends_at_the_total_time(server: Server) -> None:
    server.answer = lambda path, count, sent: Answer(delay=20)
    error = _failed(Request(server.url, policy=Policy(total_seconds=0.4, read_seconds=10)))
    assert "0.4 s" in str(error) and error.retryable


def test_nobody_there(server: Server) -> None:
    error = _failed(Request("http://127.0.0.1:1/x", policy=Policy(attempts=2)))
    assert "no connection" in str(error) and error.retryable


def test_one_failing_source_leaves_the_others_alone(server: Server) -> None:
    server.answer = lambda path, count, sent: Answer(410 if path == "/bad" else 200, path.encode())
    outcomes = fetch_all([Request(server.url + path) for path in ("/a", "/bad", "/b")])
    assert [outcome.body for outcome in outcomes if isinstance(outcome, Response)] == [b"/a", b"/b"]
    assert isinstance(outcomes[1], FetchError)


def test_a_redirect_within_the_host_is_followed_with_the_key(server: Server) -> None:
    server.answer = lambda path, count, sent: (
        Answer(302, headers={"Location": "/new"})
        if path == "/old"
        else Answer(body=sent["x-api-key"].encode())
    )
    outcome = _one(Request(server.url + "/old", {"x-api-key": SECRET}))
    assert isinstance(outcome, Response)
    assert outcome.body == SECRET.encode()


def test_a_key_is_never_carried_to_another_host(server: Server) -> None:
    with serving() as other:
        server.answer = lambda path, count, sent: Answer(
            302, headers={"Location": other.url + "/take?token=abc"}
        )
        error = _failed(Request(server.url, {"x-api-key": SECRET}))
        assert other.seen == []
        assert isinstance(_one(Request(server.url)), Response)
        assert "x-api-key" not in other.seen[0][1]
    assert SECRET not in str(error) and "abc" not in str(error) and not error.retryable


def test_a_loop_of_redirects_ends(server: Server) -> None:
    server.answer = lambda path, count, sent: Answer(302, headers={"Location": "/again"})
    assert "more than 3 times" in str(_failed(Request(server.url + "/again")))


@pytest.mark.parametrize("url", ["http://models.example/v1", "http://10.0.0.1/v1"])
def test_a_key_never_travels_unencrypted(url: str) -> None:
    error = _failed(Request(url, {"Authorization": f"Bearer {SECRET}"}))
    assert "unencrypted" in str(error) and SECRET not in str(error)


@pytest.mark.parametrize("value", ["line\nbreak", "köy", "tab\x00"])
def test_a_key_with_odd_characters_is_refused_without_showing_it(server: Server, value: str) -> None:
    error = _failed(Request(server.url, {"x-api-key": value}))
    assert value not in str(error) and "environment variable" in str(error) and server.seen == []


@pytest.mark.parametrize("url", ["ftp://x/y", "file:///etc/passwd", "not an address", "http://[bad"])
def test_no_address(url: str) -> None:
    assert "no http or https address" in str(_failed(Request(url)))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://u:p@host/x?a=1&api_key=abc#frag", "https://host/x?a=1&api_key=***"),
        ("https://host:8443/x?token=abc&page=2", "https://host:8443/x?token=***&page=2"),
        ("https://host/x", "https://host/x"),
        ("http://[bad", "<no valid address>"),
    ],
)
def test_redaction(url: str, shown: str) -> None:
    assert redact_url(url) == shown


def test_no_secret_in_logs_reprs_or_errors(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.answer = lambda path, count, sent: Answer(500, SECRET.encode())
    request = Request(f"{server.url}/x?api_key={SECRET}", {"x-api-key": SECRET}, policy=Policy(attempts=1))
    with caplog.at_level(logging.DEBUG):
        error = _failed(request)
    assert caplog.records
    assert SECRET not in caplog.text + str(error) + repr(request) + repr(replace(request, etag='"a"'))
