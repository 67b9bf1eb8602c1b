"""Importing files: each format's items to the recorder, with a report.

What belongs here: the loop over files and items, what was imported before, the report. What does not:
formats (one module each), the recorder (``pipeline.capture``).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from pipeline.capture.kinds import Body
from pipeline.errors import InputError
from pipeline.hours import FIRST_HOUR, Hour, now
from pipeline.training.importing.ledger import item_digest, known_items, ledger_path, remember
from pipeline.training.importing.signalling import Item, Malformed, Read, Signal

FORMATS = {
    "tau-bench": "tau_bench",
    "alpaca-eval": "alpaca_eval",
    "swe-agent": "swe_agent",
    "atif": "atif",
    "otel": "otel",
    "hh-rlhf": "hh_rlhf",
}
"""Format to the module that reads it."""

Write = Callable[[str, Body, int], bool]
"""Records a body under a session's id at an instant (ns since 1970 UTC); false where it was refused."""

ITEMS_AT_ONCE = 1_000
"""Items after which, at the end of a file, what was written is made durable and remembered."""

_encode = msgspec.json.Encoder().encode


@dataclass
class Report:
    """What an import did. ``hours`` are the partition keys of the hours that got events."""

    format: str
    files: int = 0
    imported: int = 0
    known: int = 0
    events: int = 0
    malformed: list[Malformed] = field(default_factory=list)
    remarks: list[Malformed] = field(default_factory=list)
    sessions: set[str] = field(default_factory=set)
    hours: set[str] = field(default_factory=set)


def source_of(format_name: str) -> str:
    """The source of imported records: ``import:`` and the format."""
    return f"import:{format_name}"


def reader(format_name: str) -> Callable[[Path], Read]:
    """What reads a format; raises ``InputError`` for one that is not known."""
    if format_name not in FORMATS:
        raise InputError(f"Importing: there is no format {format_name!r}; use one of {', '.join(FORMATS)}.")
    module = importlib.import_module(f"pipeline.training.importing.{FORMATS[format_name]}")
    read: Callable[[Path], Read] = module.read
    return read


def import_files(
    format_name: str,
    paths: Sequence[Path],
    write: Write,
    *,
    settle: Callable[[], None] = lambda: None,
    again: bool = False,
    progress: Callable[[Report], None] = lambda report: None,
) -> Report:
    """Hand every item of the files to ``write`` that was not imported before; ``again`` imports it anyway.

    ``settle`` makes what was written durable; a file's items count as imported only after it returned.
    Events without a time of their own get the present; times before the first hour that can be materialised,
    or in the future, count as none. Never raises for what a file holds.
    """
    read, report, place = reader(format_name), Report(format_name), ledger_path()
    known = set() if again else known_items(place)
    present = int(now().timestamp() * 1_000_000_000)
    written: set[str] = set()
    done: list[str] = []

    def keep() -> None:
        settle()
        remember(place, done)
        done.clear()

    for path in paths:
        report.files += 1
        for piece in read(path):
            _take(piece, report, known, done, _Writing(write, present, written))
            progress(report)
        if len(done) >= ITEMS_AT_ONCE:
            keep()
    keep()
    return report


@dataclass(frozen=True)
class _Writing:
    """How one import writes: each record once."""

    write: Write
    present: int
    written: set[str]

    def time_of(self, signal: Signal) -> int:
        earliest = int(FIRST_HOUR.timestamp()) * 1_000_000_000
        known = signal.at is not None and earliest <= signal.at <= self.present
        return signal.at if known and signal.at is not None else self.present


def _take(
    piece: Item | Malformed, report: Report, known: set[str], done: list[str], writing: _Writing
) -> None:
    if isinstance(piece, Malformed):
        report.malformed.append(piece)
        return
    digest = item_digest(piece.signals)
    if digest in known:
        report.known += 1
        return
    fault = _fault(piece.signals)
    if fault is not None:
        report.malformed.append(Malformed(piece.where, fault))
        return
    refused = [one for one in piece.signals if not _record(one, report, writing)]
    if refused:
        kinds = ", ".join(sorted({type(one.body).__name__ for one in refused}))
        report.malformed.append(
            Malformed(piece.where, f"privacy's door keeps {len(refused)} events apart ({kinds})")
        )
        return
    report.imported += 1
    report.remarks += [Malformed(piece.where, remark) for remark in piece.remarks]
    known.add(digest)
    done.append(digest)


def _fault(signals: Sequence[Signal]) -> str | None:
    """Why the item's records would be refused: nothing is written of an item that is not whole."""
    for signal in signals:
        try:
            msgspec.json.decode(_encode(signal.body), type=type(signal.body))
        except (msgspec.MsgspecError, UnicodeError, TypeError, ValueError, RecursionError) as error:
            return f"{type(signal.body).__name__}: {error}"
    return None


def _record(signal: Signal, report: Report, writing: _Writing) -> bool:
    at = writing.time_of(signal)
    key = item_digest([signal])
    if key in writing.written:
        return True
    if not writing.write(signal.session_id, signal.body, at):
        return False
    writing.written.add(key)
    report.events += 1
    report.sessions.add(signal.session_id)
    report.hours.add(Hour.of(datetime.fromtimestamp(at / 1e9, UTC)).key)
    return True
