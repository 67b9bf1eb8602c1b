"""A segment's lines: which are events, which are not, and that none of their bytes is lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets_tests.telemetry.events import HOUR, Emitter
from pipeline.capture.spool import checked, line_of
from pipeline.telemetry.lines import judge, pieces, restored

NOW = datetime(2026, 11, 21, tzinfo=UTC)
AT = HOUR.start + timedelta(minutes=1)
GOOD = line_of(Emitter().event("task_received", "t", AT, {"task_type": "docs"}))


def event_line(kind: str = "task_received", at: datetime = AT, **body: object) -> bytes:
    return line_of(Emitter().event(kind, "t", at, dict(body)))


@pytest.mark.parametrize(
    ("line", "reason", "said"),
    [
        (GOOD, None, ""),
        (b"0" + GOOD[1:], "broken_line", "checksum"),
        (GOOD[:40] + b"X" + GOOD[41:], "broken_line", "checksum"),
        (GOOD[:-20], "torn_line", "cut off"),
        (b"\n", "broken_line", "checksum"),
        (checked(b"{}"), "bad_envelope", "id"),
        (checked(b'"\xff"'), "bad_envelope", "envelope"),
        (checked(b"[" * 5000), "bad_envelope", "envelope"),
        (event_line("no_such_kind"), "unknown_kind", "no_such_kind"),
        (event_line("task_received"), "bad_body", "task_type"),
        (event_line("evaluation_finished", overall_score=1.7), "bad_body", "$.overall_score"),
        (event_line("evaluation_finished", overall_score="high"), "bad_body", "$.overall_score"),
        (event_line(at=datetime(2023, 12, 31, tzinfo=UTC), task_type="x"), "bad_time", "2023-12-31"),
        (event_line(at=NOW + timedelta(minutes=6), task_type="x"), "bad_time", "future"),
        (event_line(at=NOW + timedelta(minutes=4), task_type="x"), None, ""),
    ],
)
def test_a_line_is_an_event_or_says_why_not(line: bytes, reason: str | None, said: str) -> None:
    rows = judge(line, 0, NOW)
    assert rows["reason"].to_list() == [reason]
    assert said in (rows["message"][0] or "")
    assert restored(rows) == line


def test_a_broken_line_spoils_no_other_one() -> None:
    data = GOOD + b"rubbish\n" + GOOD + GOOD[:30]
    rows = judge(data, 100, NOW)
    assert rows["reason"].to_list() == [None, "broken_line", None, "torn_line"]
    assert rows["byte_offset"].to_list() == [100, 100 + len(GOOD), 108 + len(GOOD), 108 + 2 * len(GOOD)]


@given(st.lists(st.one_of(st.binary(max_size=60), st.just(GOOD), st.just(GOOD[:50])), max_size=8))
def test_every_byte_of_any_segment_is_kept(parts: list[bytes]) -> None:
    data = b"".join(parts)
    frames = [judge(piece, offset, NOW) for offset, piece in pieces(data, 40)]
    assert restored(pl.concat(frames)) == data if frames else data == b""


@pytest.mark.parametrize(
    "text", ["\x00", "\u2028\u202e", "\ud83d\ude00", "a\nb\tc", '"}],', "\\u0000", "e\u0301" * 50]
)
def test_hostile_text_comes_back_as_it_was(text: str) -> None:
    rows = judge(
        event_line(task_type="x", description=text.encode("utf-16", "surrogatepass").decode("utf-16")), 0, NOW
    )
    assert rows["reason"].to_list() == [None]
