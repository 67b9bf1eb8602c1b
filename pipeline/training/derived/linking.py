"""Links between records, and those whose parent has not arrived.

What belongs here: which column of which table names a row of which other table, and the search for open
links. What does not: reading all hours (``reading``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from pipeline.hours import Hour
from pipeline.training import tables
from pipeline.training.derived.tables import ORPHANS
from pipeline.warehouse.tables import UTC_DATETIME, Table


@dataclass(frozen=True)
class Link:
    """``column`` of ``table`` holds the key of a row of ``parent``."""

    table: Table
    column: str
    parent: Table


LINKS = (
    Link(tables.SESSION_ENDINGS, "session_id", tables.SESSIONS),
    Link(tables.LINEAGES, "session_id", tables.SESSIONS),
    Link(tables.LINEAGES, "parent_lineage_id", tables.LINEAGES),
    Link(tables.LINEAGE_LOCKS, "lineage_id", tables.LINEAGES),
    Link(tables.DIRECTIVES, "lineage_id", tables.LINEAGES),
    Link(tables.AGENT_DEFINITIONS, "lineage_id", tables.LINEAGES),
    Link(tables.AGENT_DEFINITIONS, "parent_agent_id", tables.AGENT_DEFINITIONS),
    Link(tables.AGENT_DEFINITIONS, "system_prompt_hash", tables.CONTENTS),
    Link(tables.AGENT_DEFINITIONS, "tools_hash", tables.CONTENTS),
    Link(tables.AGENT_DEFINITIONS, "flow_hash", tables.CONTENTS),
    Link(tables.ROLLOUTS, "lineage_id", tables.LINEAGES),
    Link(tables.ROLLOUTS, "agent_id", tables.AGENT_DEFINITIONS),
    Link(tables.ATTEMPTS, "rollout_id", tables.ROLLOUTS),
    Link(tables.EXECUTION_SPANS, "attempt_id", tables.ATTEMPTS),
    Link(tables.EXECUTION_SPANS, "parent_span_id", tables.EXECUTION_SPANS),
    Link(tables.EXECUTION_SPANS, "continues_span_id", tables.EXECUTION_SPANS),
    Link(tables.ARTIFACTS, "rollout_id", tables.ROLLOUTS),
    Link(tables.ARTIFACTS, "attempt_id", tables.ATTEMPTS),
    Link(tables.EVALUATIONS, "artifact_id", tables.ARTIFACTS),
    Link(tables.EVALUATIONS, "ranking", tables.ARTIFACTS),
    Link(tables.EVOLUTION_RECORDS, "lineage_id", tables.LINEAGES),
    Link(tables.EVOLUTION_RECORDS, "before_agent_id", tables.AGENT_DEFINITIONS),
    Link(tables.EVOLUTION_RECORDS, "after_agent_id", tables.AGENT_DEFINITIONS),
    Link(tables.EVOLUTION_OUTCOMES, "evolution_id", tables.EVOLUTION_RECORDS),
    Link(tables.LEARNING_INSIGHTS, "session_id", tables.SESSIONS),
    Link(tables.LEARNING_INSIGHTS, "lineage_id", tables.LINEAGES),
)
"""Every link between records."""


def link_columns(table: Table) -> list[str]:
    """The columns of ``table`` that the search for open links reads."""
    own = [link.column for link in LINKS if link.table is table]
    return list(dict.fromkeys([*table.key, "session_id", "happened_at", "event_id", *own]))


LINKED = tuple(dict.fromkeys([*(link.table for link in LINKS), *(link.parent for link in LINKS)]))
"""Tables that have links or are linked to."""


def orphans(records: Mapping[str, pl.DataFrame], hour: Hour) -> pl.DataFrame:
    """The open links among ``records`` (table name to its rows up to ``hour``), as ``training.orphans``."""
    found = [_open_links(link, records) for link in LINKS]
    return (
        pl.concat(found)
        .with_columns(hour=pl.lit(hour.start, dtype=UTC_DATETIME))
        .select(list(ORPHANS.polars_schema))
        .sort("since", "record", "record_id", "link", "parent_id")
    )


def _open_links(link: Link, records: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    rows = records[link.table.name]
    key = link.table.key[0]
    links = rows.select(
        record=pl.lit(link.table.table_name),
        record_id=pl.col(key),
        session_id=pl.col("session_id"),
        link=pl.lit(link.column),
        parent=pl.lit(link.parent.table_name),
        parent_id=pl.col(link.column),
        since=pl.col("happened_at"),
    )
    if link.column == "ranking":
        groups = pl.List(pl.List(pl.String))
        links = links.with_columns(pl.col("parent_id").str.json_decode(groups)).explode("parent_id")
        links = links.explode("parent_id")
    parents = records[link.parent.name].select(parent_id=pl.col(link.parent.key[0]))
    return (
        links.filter(pl.col("parent_id").is_not_null())
        .join(parents, on="parent_id", how="anti")
        .unique(["record_id", "link", "parent_id"], maintain_order=True)
    )
