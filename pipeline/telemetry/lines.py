"""From a segment's bytes to rows: every line verified, its envelope and body checked against their types.

What belongs here: judging lines. What does not: files (``archiving``), tables (``projecting``).

A row keeps the line as it came: ``before``, ``body`` and ``after`` joined are the envelope's JSON; ``raw``
holds what cannot be read as text. So a segment can be made again, byte for byte, from its rows
(``restored``).
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zlib import crc32

import msgspec
import polars as pl

import pipeline.capture.events
import pipeline.capture.otel.spans
import pipeline.capture.reports
import pipeline.capture.signals  # noqa: F401 - each registers its kinds of events
from pipeline.capture.envelope import Envelope
from pipeline.capture.kinds import body_type
from pipeline.capture.spool import LARGEST_LINE
from pipeline.hours import FIRST_HOUR
from pipeline.warehouse.tables import UTC_DATETIME

PIECE_BYTES = 16 * 1024 * 1024
"""How much of a segment is judged at a time; bounds memory."""

FUTURE_ALLOWANCE = timedelta(minutes=5)
"""How far an event's clock may run ahead of ours."""

ROW_SCHEMA: dict[str, pl.DataType] = {
    "byte_offset": pl.Int64(),
    "length": pl.Int64(),
    "kind": pl.String(),
    "event_id": pl.String(),
    "subject": pl.String(),
    "happened_at": UTC_DATETIME,
    "process": pl.String(),
    "sequence": pl.Int64(),
    "synthetic": pl.Boolean(),
    "host": pl.String(),
    "application": pl.String(),
    "library": pl.String(),
    "content_hash": pl.String(),
    "before": pl.String(),
    "body": pl.String(),
    "after": pl.String(),
    "raw": pl.Binary(),
    "reason": pl.String(),
    "message": pl.String(),
}
"""Columns of a judged line; ``reason`` and ``message`` are null where it is a good event."""

_LARGEST = 2**63 - 1
_PROCESS = re.compile(r"([0-7][0-9A-HJKMNP-TV-Z]{25})-\d+")
_ULID = "^[0-7][0-9A-HJKMNP-TV-Z]{25}$"
_PLAIN, _SYNTHETIC = -len("}"), -len(',"synthetic":true}')
"""Where a body ends that a recorder wrote, from the end of its line."""


class _Quick(Envelope, kw_only=True, frozen=True, gc=False):
    """An envelope whose ULIDs are checked all at once (``_doubtful``): one by one they cost more than all
    the rest."""

    id: str
    process: str


_quick = msgspec.json.Decoder(_Quick).decode
_envelopes = msgspec.json.Decoder(Envelope)
_first_ns = int(FIRST_HOUR.timestamp() * 1e9)

Row = tuple[Any, ...]


def judge(data: bytes, offset: int, now: datetime) -> pl.DataFrame:
    """The lines of ``data``, which begins at ``offset`` of its segment, as rows (``ROW_SCHEMA``).

    A last line without a line feed is torn. An event from before 2024 or more than five minutes after ``now``
    has the reason ``bad_time``.
    """
    latest = int((now + FUTURE_ALLOWANCE).timestamp() * 1e9)
    lines = data.split(b"\n")
    last = lines.pop()
    starts = list(itertools.accumulate((len(line) + 1 for line in lines), initial=offset))
    rows = [_quickly(line, start, latest) for line, start in zip(lines, starts, strict=False)]
    for number in _doubtful(rows):
        rows[number] = _judged(lines[number], starts[number], latest)
    if last:
        rows.append(
            _broken(last, starts[-1], "torn_line", "The line has no end: its writing was cut off.", 0)
        )
    columns = zip(*rows, strict=True) if rows else [()] * len(ROW_SCHEMA)
    return pl.DataFrame(
        [
            pl.Series(name, values, pl.Int64() if name == "happened_at" else dtype).cast(dtype)
            for (name, dtype), values in zip(ROW_SCHEMA.items(), columns, strict=True)
        ]
    )


def pieces(data: bytes, size: int = PIECE_BYTES) -> Iterator[tuple[int, bytes]]:
    """Offset and bytes of stretches of about ``size`` that end with a line feed.

    A line longer than any event is cut into stretches without one, so that no line fills the memory.
    """
    start = 0
    while start < len(data):
        least = min(start + size, len(data))
        end = data.find(b"\n", least - 1, least + LARGEST_LINE) + 1 or min(least + LARGEST_LINE, len(data))
        yield start, data[start:end]
        start = end


def restored(rows: pl.DataFrame) -> bytes:
    """The bytes that rows of one segment were judged from, in the order of their offsets."""
    parts = []
    for before, body, after, raw, length in (
        rows.sort("byte_offset").select("before", "body", "after", "raw", "length").iter_rows()
    ):
        line = raw if raw is not None else _sealed((before + body + after).encode())
        parts.append(line if len(line) == length else line + b"\n")
    return b"".join(parts)


def process_of(segment: str) -> str | None:
    """The process that wrote a segment, by its name."""
    found = _PROCESS.match(segment)
    return found[1] if found else None


def _sealed(payload: bytes) -> bytes:
    return b"%08x %b" % (crc32(payload), payload)


def _quickly(line: bytes, offset: int, latest: int) -> Row | None:
    """The row of a good event, but for the form of its ULIDs; None for whatever ``_judged`` must look at.

    Half of an hour's loading goes by here: hence no helper per line, and the body is looked for where
    recorders put it.
    """
    payload = line[9:]
    if line[:9] != b"%08x " % crc32(payload):
        return None
    try:
        envelope = _quick(payload)
        _decoders[envelope.kind](envelope.body)
        text, body = payload.decode(), bytes(envelope.body).decode()
    except (KeyError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    end = (
        _PLAIN if text.endswith(body, 0, _PLAIN) else _SYNTHETIC if text.endswith(body, 0, _SYNTHETIC) else 0
    )
    if not end or not (_first_ns <= envelope.at <= latest and -1 < envelope.sequence <= _LARGEST):
        return None
    source = envelope.provenance
    return (
        offset,
        len(line) + 1,
        envelope.kind,
        envelope.id,
        envelope.subject,
        envelope.at // 1000,
        envelope.process,
        envelope.sequence,
        envelope.synthetic,
        source.host,
        source.application or None,
        source.library,
        envelope.content_hash,
        text[: end - len(body)],
        body,
        text[end:],
        None,
        None,
        None,
    )


def _doubtful(rows: list[Row | None]) -> list[int]:
    """Which rows must be judged one by one: those that are none, and those with an id that is no ULID."""
    ids = pl.Series([row[3] if row else None for row in rows], dtype=pl.String)
    doubtful = ~ids.str.contains(_ULID).fill_null(False)
    if not doubtful.any() and all(_PROCESS.match(f"{name}-1") for name in {row[6] for row in rows if row}):
        return []
    return [
        number
        for number, (row, doubt) in enumerate(zip(rows, doubtful, strict=True))
        if row is None or doubt or not _PROCESS.match(f"{row[6]}-1")
    ]


def _judged(line: bytes, offset: int, latest: int) -> Row:
    """The row of any line, whatever is wrong with it."""
    payload = line[9:]
    if line[:9] != b"%08x " % crc32(payload):
        return _broken(line, offset, "broken_line", "The line does not fit its checksum.", 1)
    try:
        envelope = _envelopes.decode(payload)
        text = payload.decode()
        body = bytes(envelope.body).decode()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return _broken(line, offset, "bad_envelope", f"The envelope cannot be read: {_said(error)}.", 1)
    if not (-_LARGEST <= envelope.at <= _LARGEST and -1 < envelope.sequence <= _LARGEST):
        return _broken(
            line, offset, "bad_envelope", "The envelope's time or sequence is no 64-bit number.", 1
        )
    reason, message = _verdict(envelope, latest)
    source = envelope.provenance
    place = text.find(body)
    return (
        offset,
        len(line) + 1,
        envelope.kind,
        envelope.id,
        envelope.subject,
        envelope.at // 1000,
        envelope.process,
        envelope.sequence,
        envelope.synthetic,
        source.host,
        source.application or None,
        source.library,
        envelope.content_hash,
        text[:place],
        body,
        text[place + len(body) :],
        None,
        reason,
        message,
    )


def _verdict(envelope: Envelope, latest: int) -> tuple[str | None, str | None]:
    if not _first_ns <= envelope.at <= latest:
        when = _instant(envelope.at)
        return "bad_time", f"The event says that it happened {when}: before 2024, or in the future."
    decoder = _decoder(envelope.kind)
    if decoder is None:
        return "unknown_kind", f"This version knows no event kind {envelope.kind[:80]!r}."
    try:
        decoder.decode(envelope.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return "bad_body", f"The body is no {envelope.kind}: {_said(error)}."
    return None, None


class _Decoders(dict[str, Any]):
    """By kind, what reads a body as its type; ``KeyError`` for a kind that nobody registered."""

    def __missing__(self, kind: str) -> Any:
        decoder = _decoder(kind)
        if decoder is None:
            raise KeyError(kind)
        self[kind] = decoder.decode
        return decoder.decode


_decoders = _Decoders()


@functools.cache
def _decoder(kind: str) -> msgspec.json.Decoder[Any] | None:
    body = body_type(kind)
    return None if body is None else msgspec.json.Decoder(body)


def _broken(line: bytes, offset: int, reason: str, message: str, feed: int) -> Row:
    nothing = [None] * 13
    return (offset, len(line) + feed, *nothing[:11], None, None, None, line, reason, message)


def _said(error: Exception) -> str:
    return str(error).rstrip(".")[:300] or type(error).__name__


def _instant(nanoseconds: int) -> str:
    earliest, newest = -62_135_596_800, 253_402_300_799
    seconds = min(max(nanoseconds // 1_000_000_000, earliest), newest)
    return datetime.fromtimestamp(seconds, UTC).isoformat()
