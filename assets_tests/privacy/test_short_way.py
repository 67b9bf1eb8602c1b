"""The short way for clean events: it passes over what only looks like a value, and never over a value."""

from __future__ import annotations

import json

import pytest

from assets_tests.privacy.corpus import labelled
from assets_tests.privacy.held_out import recall
from pipeline.privacy.detect import Detector


@pytest.mark.parametrize("name", ["phone", "card", "iban", "wallet", "ssn", "ip", "assigned", "token"])
def test_what_a_text_holds_is_found_in_a_record_written_as_json(name: str) -> None:
    detector = Detector()
    for case in labelled(name, 300, seed=29):
        text = case["text"]
        expected = [(f.type, f.start, f.end) for f in detector.scan_text(text)]
        for written in (json.dumps({"v": text}), json.dumps({"v": text}, separators=(",", ":"))):
            found = [(f.type, f.start, f.end) for f in detector.scan_json(written)]
            assert found == expected, written


@pytest.mark.parametrize(
    "record",
    [
        {"phone": 2025550147},
        {"n": ["12", "2025550147"]},
        {"tel": "2025550147"},
        {"card": 4111111111111111},
        {"a": [1, 4111111111111111]},
        {"password": "Hunter2!x"},
        {"phone": ["none", "5550147"]},
        {"api_keys": ["a8Fk2Lq9Zx7Wc3Vb6Nm1"]},
        {"passwords": ["", "Hunter2!x"]},
        {"from": "\b192.0.2.7"},
        {"to": "postgres://svc:Hunter2x@db.example.com/prod"},
        {"note": "Server=db;Uid=sa;Password=Hunter2x;"},
        {"note": "bWFpbCBqYW5lQGV4YW1wbGUuY29tIHNvb24="},
        {"password": "Hunter2!x is the one"},
        {"author": "x", "api_key": "a8Fk2Lq9Zx7Wc3Vb6Nm1"},
    ],
)
def test_values_beside_signs_of_json_are_found_in_any_spacing(record: object) -> None:
    detector = Detector()
    for separators in (None, (",", ":")):
        found = detector.scan_json(json.dumps(record, separators=separators))
        assert found and found == detector.scan_record(record)


@pytest.mark.parametrize(
    "record",
    [
        {"event_id": "03040532-1234-4625-8123-123456789012", "at": "2026-11-20T10:00:00.123456Z"},
        {
            "session_id": "9531923e-8a53-4a52-9c1e-2b7d1c9c6f11",
            "total_tokens": 123456,
            "author": "Jane Novak",
        },
        {"latency_ms": 2165.96700114, "passed": False, "passes": "12 passed", "token_type": "bearer_kind"},
        {"digest": "bf77324224934123bf77324224934123bf773242", "at_ns": 1763690000000000000},
    ],
)
def test_identifiers_dates_and_counts_are_clean(record: object) -> None:
    assert Detector().scan_json(json.dumps(record)) == []


def test_most_named_secrets_of_a_second_corpus_are_found() -> None:
    share, missed = recall(600, 4, Detector(deadline_seconds=20))
    assert share >= 0.9, missed.most_common(5)
