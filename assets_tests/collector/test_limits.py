"""Buckets, rate-limit headers, adaptive concurrency and the circuit, on a clock of numbers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pipeline.collector.limits import Adaptive, Circuit, Gate, TokenBucket, asked_wait, duration

NOW = datetime(2026, 5, 4, 10, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("6m0s", 360.0),
        ("1h2m3.5s", 3723.5),
        ("20ms", 0.02),
        ("12.5", 12.5),
        (str(int(NOW.timestamp()) + 30), 30.0),
        (str((int(NOW.timestamp()) + 30) * 1000), 30.0),
        ("soon", None),
        ("5 minutes", None),
        ("nan", None),
        ("-3", None),
        ("", None),
    ],
)
def test_durations_of_headers(text: str, seconds: float | None) -> None:
    assert duration(text, NOW) == seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "Mon, 04 May 2026 10:20:40 GMT"}, 40.0),
        ({"retry-after": "Mon, 04 May 2026 10:00:00 GMT"}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "later"}, None),
        ({}, None),
    ],
)
def test_what_an_answer_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert asked_wait(headers, NOW) == seconds


def test_a_bucket_lets_no_more_through_than_its_rate() -> None:
    bucket = TokenBucket(120, 0.0)
    waits = [bucket.take(1, 0.0) for _ in range(6)]
    assert waits == pytest.approx([0, 0, 0.5, 1.0, 1.5, 2.0])
    bucket.give_back(4)
    assert bucket.take(1, 0.0) == pytest.approx(0.5)


def test_an_empty_quota_closes_the_gate_until_its_reset_but_never_longer_than_allowed() -> None:
    gate = Gate(None, None, 60, 0.0)
    gate.follow({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6s"}, 8, 0.0, NOW)
    assert gate.wait(10, 1.0) == pytest.approx(5.0)
    gate.follow({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "10h"}, 8, 10.0, NOW)
    assert gate.wait(10, 10.0) == pytest.approx(60.0)


def test_what_is_left_of_a_quota_is_spread() -> None:
    gate = Gate(None, None, 60, 0.0)
    gate.follow({"x-ratelimit-remaining": "4", "x-ratelimit-reset": "8"}, 8, 0.0, NOW)
    assert [gate.wait(1, 0.0) for _ in range(3)] == pytest.approx([0.0, 2.0, 4.0])


def test_concurrency_falls_once_a_second_and_grows_by_one_a_round() -> None:
    places = Adaptive(10)
    places.overloaded(1.0)
    places.overloaded(1.5)
    assert places.limit == pytest.approx(7.0)
    for _ in range(8):
        places.went_well()
    assert 7.9 < places.limit < 8.2
    for step in range(50):
        places.overloaded(3.0 + 2 * step)
    assert places.limit == 1.0


def test_a_circuit_opens_probes_with_one_request_and_closes() -> None:
    circuit = Circuit(3, 10)
    for _ in range(3):
        assert circuit.wait(0.0) == 0.0
        circuit.failed(0.0)
    assert circuit.wait(4.0) == pytest.approx(6.0)
    assert not circuit.confirmed
    assert circuit.wait(10.0) == 0.0
    assert circuit.wait(10.0) > 0.0
    circuit.failed(10.5)
    assert circuit.confirmed
    assert circuit.wait(21.0) == 0.0
    circuit.went_well()
    assert circuit.wait(21.0) == 0.0


def test_a_limit_that_is_told_lets_a_minutes_worth_go_and_then_its_rate() -> None:
    gate = Gate(None, None, 60, 0.0)
    gate.follow({"x-ratelimit-limit-requests": "120"}, 1, 0.0, NOW)
    assert [gate.wait(1, 0.0) for _ in range(120)] == [0.0] * 120
    assert gate.wait(1, 0.0) == pytest.approx(0.5)
    gate.follow({"x-ratelimit-limit-requests": "nonsense", "x-ratelimit-limit": "1"}, 1, 0.0, NOW)
    assert gate.wait(1, 60.0) == 0.0, "a limit of no known span is not taken"


def test_a_token_limit_that_is_told_is_corrected_by_what_was_used() -> None:
    gate = Gate(None, None, 60, 0.0)
    gate.follow({"x-ratelimit-limit-tokens": "6000"}, 1, 0.0, NOW)
    assert gate.wait(6000, 0.0) == 0.0
    gate.used(6000, 5000)
    assert gate.wait(1000, 0.0) == 0.0
    assert gate.wait(100, 0.0) == pytest.approx(1.0)
