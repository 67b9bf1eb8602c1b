"""Finds as rows: for the table ``privacy.findings`` and for summaries.

What belongs here: shaping and counting finds, keeping them in the warehouse. What does not: finding them. No
function here ever sees a value.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import polars as pl

from pipeline.hours import Hour
from pipeline.privacy.detect import Finding
from pipeline.privacy.tables import FINDINGS
from pipeline.warehouse.store import Warehouse


class Located(NamedTuple):
    """A find, the number of its record, and what was done."""

    record: int
    finding: Finding
    action: str = "none"


def findings_frame(found: Iterable[Located], *, hour: Hour, surface: str, source: str) -> pl.DataFrame:
    """The finds of one source as rows of ``privacy.findings``."""
    rows = [
        {
            "hour": hour.start,
            "surface": surface,
            "source": source,
            "record": item.record,
            "action": item.action,
            "field": item.finding.field,
            "span_start": item.finding.start,
            "span_end": item.finding.end,
            "type": item.finding.type,
            "rule": item.finding.rule,
        }
        for item in found
    ]
    return FINDINGS.frame(rows)


def store_findings(
    warehouse: Warehouse, frame: pl.DataFrame, *, hour: Hour, surface: str, source: str
) -> None:
    """Replace what the hour holds of this surface and source; other sources' rows stay."""

    def joined(standing: pl.DataFrame) -> pl.DataFrame:
        others = standing.filter((pl.col("surface") != surface) | (pl.col("source") != source))
        return pl.concat([others, frame]).unique(FINDINGS.key, keep="first", maintain_order=True)

    warehouse.change_hour(FINDINGS, hour, joined)


def summarise(frame: pl.DataFrame) -> pl.DataFrame:
    """How many finds and records by surface, type, rule and action, most first."""
    return (
        frame.group_by("surface", "type", "rule", "action")
        .agg(
            finds=pl.len().cast(pl.Int64),
            records=pl.struct("source", "record").n_unique().cast(pl.Int64),
            fields=pl.col("field").n_unique().cast(pl.Int64),
        )
        .sort("finds", "surface", "type", "rule", descending=[True, False, False, False])
    )
