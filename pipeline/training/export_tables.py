"""The table ``training.exports``: columns, units, bounds and key.

What belongs here: its pandera model. What does not: how rows come about (``hourly_exports``).
"""

from __future__ import annotations

import pandera.polars as pa
import polars as pl

from pipeline.settings.exports import KINDS
from pipeline.warehouse.tables import Table, UtcInstant

STATUSES = ["written", "reused", "refused", "halted"]


class Exports(pa.DataFrameModel):
    """One kind of export an hour: where it lies, or why there is none."""

    hour: UtcInstant = pa.Field(description="hour up to whose end records were used, UTC")
    kind: pl.String = pa.Field(isin=list(KINDS), description="format")
    status: pl.String = pa.Field(
        isin=STATUSES,
        description="written; reused (an earlier hour's directory, made of the same); refused; halted by an alert",
    )
    reason: pl.String = pa.Field(nullable=True, description="one sentence where it was refused or halted")
    directory: pl.String = pa.Field(nullable=True, description="where it lies, below the data folder")
    digest: pl.String = pa.Field(
        nullable=True, description="SHA-256 of its SHA256SUMS, which stands for all its files"
    )
    fingerprint: pl.String = pa.Field(
        description="SHA-256 over records, criteria, privacy settings and code: the same where all are the same"
    )
    rows: pl.Int64 = pa.Field(ge=0, metadata={"unit": "rows"}, description="rows of all parts and splits")
    train_rows: pl.Int64 = pa.Field(ge=0, metadata={"unit": "rows"}, description="of these in train")
    validation_rows: pl.Int64 = pa.Field(
        ge=0, metadata={"unit": "rows"}, description="of these in validation"
    )
    test_rows: pl.Int64 = pa.Field(ge=0, metadata={"unit": "rows"}, description="of these in test")
    tokens: pl.Int64 = pa.Field(
        ge=0, metadata={"unit": "tokens"}, description="of all rows, as the criteria count them"
    )
    artifacts: pl.Int64 = pa.Field(
        nullable=True, ge=0, metadata={"unit": "artifacts"}, description="artifacts there were"
    )
    left_out: pl.String = pa.Field(
        metadata={"long_text": True},
        description="JSON object: reason to count, of artifacts, pairs and examples",
    )
    newest_record_at: UtcInstant = pa.Field(nullable=True, description="newest record among the rows")

    class Config:
        strict = True


EXPORTS = Table(
    "training.exports", Exports, ("kind",), "Exports by hour: where they lie, or why there is none."
)

TABLES: tuple[Table, ...] = (EXPORTS,)
