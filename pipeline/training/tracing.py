"""From a row of an export back to the records and events that it was made of.

What belongs here: finding the row, its events' rows in the tables, and the raw lines they were recorded as.
What does not: printing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import polars as pl

from pipeline.capture.envelope import Envelope
from pipeline.capture.spool import read_segment, segments, spool_directories
from pipeline.errors import InputError
from pipeline.hours import Hour
from pipeline.telemetry.archive import default_archive
from pipeline.training import tables
from pipeline.training.verifying import read_manifest
from pipeline.training.writing.formats import part_of
from pipeline.training.writing.parquet import read_shards
from pipeline.training.writing.rows import Row, without_nulls
from pipeline.warehouse.statements import existing_columns
from pipeline.warehouse.store import Warehouse


class Origin(NamedTuple):
    """One event behind a row: the table and the record it became, and the raw line where it is at hand."""

    event_id: str
    table: str | None
    record: dict[str, Any]
    raw_file: str | None
    raw: dict[str, Any] | None


class Trace(NamedTuple):
    """A row, what the manifest says of it, and its origins in the order they are listed."""

    entry: dict[str, Any]
    row: Row
    origins: list[Origin]


def find_entry(manifest: dict[str, Any], name: str) -> dict[str, Any]:
    """The row that ``name`` means: ``split:index``, ``part:split:index``, or the beginning of its hash (8 or
    more).
    """
    pieces = name.split(":")
    if len(pieces) in (2, 3) and pieces[-1].isdigit():
        part = pieces[0] if len(pieces) == 3 else "default"
        wanted = (part, pieces[-2], int(pieces[-1]))
        found = [e for e in manifest["rows"] if (e["part"], e["split"], e["index"]) == wanted]
    else:
        found = [e for e in manifest["rows"] if len(name) >= 8 and e["hash"].startswith(name)]
    if len(found) != 1:
        what = "no row" if not found else f"{len(found)} rows"
        raise InputError(
            f"Tracing {name[:80]!r}: {what} of this export has that name; write train:0, "
            "scores:test:3 or the first "
            "8 or more digits of a row's hash."
        )
    return dict(found[0])


def read_row(directory: Path, manifest: dict[str, Any], entry: dict[str, Any]) -> Row:
    """The row from its Parquet shard."""
    part = part_of(manifest["kind"], entry["part"])
    facts = manifest["parts"][part.name]["splits"][entry["split"]]
    rows = read_shards([directory / name for name in facts["files"]], manifest["kind"])
    for number, row in enumerate(rows):
        if number == entry["index"]:
            return dict(without_nulls(row))
    raise InputError(
        f"Reading {directory.name}: its Parquet files end before row {entry['index']}; "
        "see `pipeline export verify`."
    )


def trace(directory: Path, name: str, warehouse: Warehouse) -> Trace:
    """The row of that name with the records and raw events behind it; raises ``InputError``."""
    manifest = read_manifest(directory)
    entry = find_entry(manifest, name)
    recorded = _recorded(warehouse, entry["events"])
    raw = _raw_lines(entry["events"], recorded)
    origins = []
    for event_id in entry["events"]:
        table, record = recorded.get(event_id, (None, {}))
        where, line = raw.get(event_id, (None, None))
        origins.append(Origin(event_id, table, record, where, line))
    return Trace(entry, read_row(directory, manifest, entry), origins)


def _recorded(warehouse: Warehouse, events: Sequence[str]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Table and record by event id."""
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    if not warehouse.path.exists():
        return found
    with warehouse.reading() as connection:
        connection.register("wanted", pl.DataFrame({"id": list(events)}, schema={"id": pl.String}))
        for table in tables.RECORDS:
            if not existing_columns(connection, table):
                continue
            rows = connection.execute(
                f"SELECT * FROM {table.name} WHERE event_id IN (SELECT id FROM wanted)"
            ).pl()
            for row in rows.iter_rows(named=True):
                found.setdefault(row["event_id"], (table.name, row))
    return found


def _raw_lines(
    events: Sequence[str], recorded: dict[str, tuple[str, dict[str, Any]]]
) -> dict[str, tuple[str, dict[str, Any]]]:
    """Event id to the place of its raw line and what it says: from the archive, else from open segments."""
    hours = sorted({Hour.of(record["hour"]) for _, record in recorded.values()})
    found = _archived(events, hours)
    missing = set(events) - set(found)
    if missing:
        found.update(_in_segments(missing, {hour.key for hour in hours}))
    return found


def _archived(events: Sequence[str], hours: list[Hour]) -> dict[str, tuple[str, dict[str, Any]]]:
    wanted = pl.DataFrame({"id": list(events)}, schema={"id": pl.String})
    with default_archive().reading(*hours) as connection:
        if connection is None:
            return {}
        connection.register("wanted", wanted)
        rows = connection.execute(
            "SELECT event_id, kind, happened_at, process, sequence, content_hash, body, file, byte_offset "
            "FROM lines WHERE event_id IN (SELECT id FROM wanted) ORDER BY file, byte_offset"
        ).pl()
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for row in rows.iter_rows(named=True):
        where = f"{Path(row.pop('file')).name} at byte {row.pop('byte_offset')} of its segment"
        found.setdefault(row["event_id"], (where, {**row, "body": json.loads(row["body"])}))
    return found


def _in_segments(events: set[str], hours: set[str]) -> Iterator[tuple[str, tuple[str, dict[str, Any]]]]:
    """Only segments of those hours; all where no hour is known."""
    for segment in segments(spool_directories()):
        if hours and segment.hour not in hours:
            continue
        for line in read_segment(segment.path):
            envelope = line.event
            if isinstance(envelope, Envelope) and envelope.id in events:
                where = f"{segment.hour} {segment.path.name} line {line.number}"
                yield envelope.id, (where, msgspec.json.decode(msgspec.json.encode(envelope)))
