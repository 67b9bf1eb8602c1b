"""Every table of every domain, for the commands that look across domains."""

from __future__ import annotations

import difflib

import click

from pipeline.capability.tables import TABLES as CAPABILITY_TABLES
from pipeline.collector.tables import TABLES as COLLECTOR_TABLES
from pipeline.privacy.tables import TABLES as PRIVACY_TABLES
from pipeline.sources.tables import TABLES as SOURCES_TABLES
from pipeline.telemetry.aggregate_tables import TABLES as HOUR_TABLES
from pipeline.telemetry.span_tables import SPANS
from pipeline.telemetry.tables import TABLES as TELEMETRY_TABLES
from pipeline.training.export_tables import TABLES as EXPORT_TABLES
from pipeline.training.tables import TABLES as TRAINING_TABLES
from pipeline.warehouse.tables import Table

ALL_TABLES: tuple[Table, ...] = (
    *SOURCES_TABLES,
    *COLLECTOR_TABLES,
    *CAPABILITY_TABLES,
    *TELEMETRY_TABLES,
    SPANS,
    *HOUR_TABLES,
    *TRAINING_TABLES,
    *EXPORT_TABLES,
    *PRIVACY_TABLES,
)


def find_table(name: str) -> Table:
    """The table of that name; a usage error names the nearest where there is none."""
    by_name = {table.name: table for table in ALL_TABLES}
    if name in by_name:
        return by_name[name]
    short = [table for table in ALL_TABLES if table.table_name == name]
    if len(short) == 1:
        return short[0]
    near = difflib.get_close_matches(name, by_name, n=3, cutoff=0.4)
    raise click.UsageError(
        f"There is no table {name!r}; "
        + (f"did you mean {', '.join(near)}?" if near else "see `pipeline tables`.")
    )
