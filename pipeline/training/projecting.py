"""One hour of events into the tables of training records.

What belongs here: decoding bodies, filing rows under tables, keeping the first of two events with one
id. What does not: reading the archive, writing tables (``assets``), the form of a row (``rows``), open
links (``derived.linking``).

A record is immutable: of two events with one id the first stands. A second one that says the same is dropped;
one that says something else is kept among the rejected rows with the reason.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import polars as pl

from pipeline.capture.signals import SIGNAL_KINDS, EvaluationGiven
from pipeline.hours import Hour
from pipeline.training.rows import TABLE_OF_KIND, Row, evaluation_directives
from pipeline.training.tables import CONTENTS, DIRECTIVES, RECORDS
from pipeline.warehouse.tables import REJECTED_SCHEMA, UTC_DATETIME, Table

EVENTS_SCHEMA: dict[str, pl.DataType] = {
    "event_id": pl.String(),
    "kind": pl.String(),
    "subject": pl.String(),
    "happened_at": UTC_DATETIME,
    "synthetic": pl.Boolean(),
    "application": pl.String(),
    "content_hash": pl.String(),
    "body": pl.String(),
}
"""Columns that a frame of events has (it may have more): the envelope's fields, ``body`` as JSON text,
``application`` the one that recorded it, null where it gave no name."""

UNNAMED = "unnamed"
"""The source of a record whose application gave no name."""

_DECODERS = {kind: msgspec.json.Decoder(body) for kind, body in SIGNAL_KINDS.items()}


@dataclass(frozen=True)
class Projected:
    """One table's rows of an hour, and events that became no row (``REJECTED_SCHEMA``)."""

    frame: pl.DataFrame
    rejected: pl.DataFrame


def project(
    events: pl.DataFrame, hour: Hour, *, known_contents: Collection[str] = ()
) -> Mapping[str, Projected]:
    """Table name to its rows of ``hour``, for every table of records.

    ``events`` has the columns of ``EVENTS_SCHEMA``; kinds that are no training record are passed over, and
    events of another hour are refused into the rejected rows. ``known_contents`` are hashes that earlier
    hours hold already: those contents are not stored again.
    """
    rows: dict[str, list[Row]] = {table.name: [] for table in RECORDS}
    rejected: dict[str, list[Row]] = {table.name: [] for table in RECORDS}
    ordered = (
        events.select(list(EVENTS_SCHEMA))
        .filter(pl.col("kind").is_in(list(TABLE_OF_KIND)))
        .sort("happened_at", "event_id")
        .with_columns(pl.col("happened_at").dt.epoch("us"), pl.col("application").fill_null(UNNAMED))
    )
    start, end = (int(edge.timestamp()) * 1_000_000 for edge in (hour.start, hour.end))
    for number, event in enumerate(ordered.iter_rows(named=True)):
        table, make_row = TABLE_OF_KIND[event["kind"]]
        try:
            body = _DECODERS[event["kind"]].decode(event["body"])
        except (msgspec.DecodeError, UnicodeError) as error:
            rejected[table.name].append(_refused(event, number, f"its body cannot be read: {error}"))
            continue
        if not start <= event["happened_at"] < end:
            rejected[table.name].append(_refused(event, number, f"it did not happen in {hour}"))
            continue
        recorded = _recorded(event, start)
        rows[table.name].append({**recorded, **make_row(body)})
        if isinstance(body, EvaluationGiven):
            rows[DIRECTIVES.name] += [{**recorded, **row} for row in evaluation_directives(body)]
    rows[CONTENTS.name] = [row for row in rows[CONTENTS.name] if row["hash"] not in known_contents]
    return {table.name: _settle(table, rows[table.name], rejected[table.name]) for table in RECORDS}


def _recorded(event: Mapping[str, Any], hour: int) -> Row:
    return {
        "hour": hour,
        "session_id": event["subject"],
        "event_id": event["event_id"],
        "happened_at": event["happened_at"],
        "source": event["application"],
        "synthetic": event["synthetic"],
        "content_hash": event["content_hash"],
    }


def _refused(event: Mapping[str, Any], number: int, reason: str) -> Row:
    return {
        "origin": event["event_id"],
        "row_number": number,
        "reason": f"The event {event['event_id']} of kind {event['kind']}: {reason}.",
        "row": event["body"],
    }


def _settle(table: Table, rows: list[Row], rejected: list[Row]) -> Projected:
    """Rows as a frame, each key once: the first stands, a different second one is rejected."""
    first: dict[tuple[Any, ...], Row] = {}
    refused = list(rejected)
    for number, row in enumerate(rows):
        key = tuple(row[name] for name in table.key)
        standing = first.setdefault(key, row)
        if standing["content_hash"] != row["content_hash"] and table is not CONTENTS:
            refused.append(
                {
                    "origin": row["event_id"],
                    "row_number": number,
                    "reason": f"The event {row['event_id']}: {table.key[0]} {key[0]} was recorded before by "
                    f"event {standing['event_id']}, which says something else; the first stands.",
                    "row": msgspec.json.encode(row).decode(),
                }
            )
    return Projected(records_frame(table, list(first.values())), pl.DataFrame(refused, REJECTED_SCHEMA))


def records_frame(table: Table, rows: list[Row]) -> pl.DataFrame:
    """Rows with instants as integers (microseconds) in the table's columns and types."""
    schema = table.polars_schema
    plain = {name: pl.Int64() if isinstance(dtype, pl.Datetime) else dtype for name, dtype in schema.items()}
    return pl.DataFrame(rows, schema=plain, orient="row").cast(schema)  # type: ignore[arg-type]
