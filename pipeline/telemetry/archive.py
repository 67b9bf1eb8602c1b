"""Reading archived events back: an hour's events of some kinds, each once, in order.

What belongs here: where archived segments lie, reading them, leaving out copies. What does not: making them
(``archiving``), turning bodies into columns (``projecting``).
"""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from pipeline.hours import Hour
from pipeline.warehouse.tables import UTC_DATETIME

EVENT_SCHEMA: dict[str, pl.DataType] = {
    "event_id": pl.String(),
    "kind": pl.String(),
    "subject": pl.String(),
    "at": UTC_DATETIME,
    "process": pl.String(),
    "sequence": pl.Int64(),
    "synthetic": pl.Boolean(),
    "host": pl.String(),
    "application": pl.String(),
    "library": pl.String(),
    "content_hash": pl.String(),
    "body": pl.String(),
    "late": pl.Boolean(),
}
"""Columns of events as they are read: the envelope's fields and the body as JSON text; ``late`` says that
the event reached us after its hour had been loaded."""


def read_events(hour: Hour, kinds: Collection[str]) -> pl.DataFrame:
    """The events of ``kinds`` in ``hour`` (``EVENT_SCHEMA``), each once, ordered by time, process, sequence.

    Only what was verified: a broken line, a body that is not its kind's or an event that came beyond the
    configured lateness is left out and stands in ``telemetry.rejected_events``.
    """
    raise NotImplementedError
