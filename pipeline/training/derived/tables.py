"""The tables of schema ``training`` that are computed from its records: columns, units, bounds and keys.

What belongs here: one pandera model per computed table. What does not: records (``training.tables``), computing.
"""

from __future__ import annotations

import pandera.polars as pa
import polars as pl

from pipeline.warehouse.tables import Table, UtcInstant


class Orphans(pa.DataFrameModel):
    """A link to a record that no hour up to this one holds; the row is gone once the parent has arrived."""

    hour: UtcInstant = pa.Field(description="hour as of which the link is open")
    record: pl.String = pa.Field(description="table of the record, without its schema")
    record_id: pl.String = pa.Field(description="id of the record")
    session_id: pl.String = pa.Field(description="its session")
    link: pl.String = pa.Field(description="column that holds the link")
    parent: pl.String = pa.Field(description="table that should hold the parent, without its schema")
    parent_id: pl.String = pa.Field(description="id that was not found")
    since: UtcInstant = pa.Field(description="when the record itself happened")

    class Config:
        strict = True


ORPHANS = Table(
    "training.orphans",
    Orphans,
    ("record", "record_id", "link", "parent_id"),
    "Links whose parent has not arrived.",
)

TABLES = (ORPHANS,)
