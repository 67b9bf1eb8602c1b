"""The derived tables of an hour from the records of all hours up to it.

What belongs here: which records each derived table is computed from. What does not: computing (one
module each), Dagster (``assets``). Tables by session (rankings, verdicts) hold the sessions in which
something happened in the hour; strengths and patterns are over all sessions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import polars as pl

from pipeline.hours import Hour
from pipeline.training import tables
from pipeline.training.derived.comparing import Records, comparisons, entries
from pipeline.training.derived.evolving import evolution_verdicts
from pipeline.training.derived.linking import LINKED, link_columns, orphans
from pipeline.training.derived.patterns import learning_patterns
from pipeline.training.derived.ranking import lineage_rankings
from pipeline.training.derived.strengths import strengths
from pipeline.training.derived.tables import STRENGTHS
from pipeline.training.reading import read_records
from pipeline.warehouse.statements import existing_columns
from pipeline.warehouse.store import Warehouse
from pipeline.warehouse.tables import UTC_DATETIME


@dataclass(frozen=True)
class Derived:
    """The derived tables of one hour."""

    rankings: pl.DataFrame
    strengths: pl.DataFrame
    verdicts: pl.DataFrame
    patterns: pl.DataFrame


@dataclass(frozen=True)
class Inputs:
    """What derived tables are computed from, each record once.

    ``prompts`` are contents that are system prompts; ``tool_calls`` how often (``calls``) each attempt
    (``attempt_id``) called each tool (``name``).
    """

    records: Records
    attempts: pl.DataFrame
    evolutions: pl.DataFrame
    outcomes: pl.DataFrame
    prompts: pl.DataFrame
    tool_calls: pl.DataFrame


def open_links(warehouse: Warehouse, hour: Hour) -> pl.DataFrame:
    """The links that are open as of ``hour``, as ``training.orphans``."""
    records = {
        table.name: read_records(warehouse, table, until=hour, columns=link_columns(table))
        for table in LINKED
    }
    return orphans(records, hour)


def touched_sessions(warehouse: Warehouse, hour: Hour) -> pl.Series:
    """Sessions of which a record happened in ``hour``."""
    found: set[str] = set()
    if warehouse.path.exists():
        with warehouse.reading() as connection:
            for table in tables.RECORDS:
                if existing_columns(connection, table):
                    rows = connection.execute(
                        f"SELECT DISTINCT session_id FROM {table.name} WHERE hour = ?", [hour.start]
                    ).fetchall()
                    found.update(one for (one,) in rows)
    return pl.Series("session_id", sorted(found), dtype=pl.String)


def derive(warehouse: Warehouse, hour: Hour) -> Derived:
    """All derived tables of ``hour``."""
    attempt = ["attempt_id", "session_id", "number", "test_input", "prompt"]
    inputs = Inputs(
        _records(warehouse, hour),
        read_records(warehouse, tables.ATTEMPTS, until=hour, columns=attempt),
        read_records(warehouse, tables.EVOLUTION_RECORDS, until=hour),
        read_records(warehouse, tables.EVOLUTION_OUTCOMES, until=hour),
        _prompts(warehouse, hour),
        _tool_calls(warehouse, hour),
    )
    return derive_from(inputs, touched_sessions(warehouse, hour), hour)


def derive_from(inputs: Inputs, sessions: pl.Series, hour: Hour) -> Derived:
    """The derived tables as of ``hour``; those by session for ``sessions`` only."""
    records = inputs.records
    placed = entries(records)
    compared = comparisons(records, placed)
    touched = pl.col("session_id").is_in(sessions.implode())
    ours = replace(
        records,
        **{
            name: getattr(records, name).filter(touched)
            for name in ("rollouts", "artifacts", "evaluations", "locks")
        },
    )
    evolutions, outcomes = inputs.evolutions.filter(touched), inputs.outcomes.filter(touched)
    return Derived(
        lineage_rankings(placed.filter(touched), compared.filter(touched), hour),
        all_strengths(placed, compared, hour),
        evolution_verdicts(evolutions, outcomes, inputs.attempts.filter(touched), ours, hour),
        learning_patterns(records, inputs.prompts, inputs.attempts, inputs.tool_calls, hour),
    )


def _records(warehouse: Warehouse, hour: Hour) -> Records:
    artifact = [
        "artifact_id",
        "rollout_id",
        "attempt_id",
        "session_id",
        "source",
        "synthetic",
        "happened_at",
        "event_id",
    ]
    evaluation = [
        "evaluation_id",
        "artifact_id",
        "session_id",
        "score",
        "ranking",
        "preference",
        "happened_at",
    ]
    return Records(
        agents=read_records(warehouse, tables.AGENT_DEFINITIONS, until=hour),
        rollouts=read_records(warehouse, tables.ROLLOUTS, until=hour),
        artifacts=read_records(warehouse, tables.ARTIFACTS, until=hour, columns=artifact),
        evaluations=read_records(warehouse, tables.EVALUATIONS, until=hour, columns=evaluation),
        locks=read_records(warehouse, tables.LINEAGE_LOCKS, until=hour),
    )


def _prompts(warehouse: Warehouse, hour: Hour) -> pl.DataFrame:
    columns = ["hash", "media", "text"]
    contents = read_records(warehouse, tables.CONTENTS, until=hour, columns=columns)
    return contents.filter(pl.col("media") == "prompt")


def _tool_calls(warehouse: Warehouse, hour: Hour) -> pl.DataFrame:
    """The tool calls of all attempts up to ``hour``."""
    columns = ["attempt_id", "kind", "name"]
    spans = read_records(warehouse, tables.EXECUTION_SPANS, until=hour, columns=columns)
    return tool_calls(spans)


def tool_calls(spans: pl.DataFrame) -> pl.DataFrame:
    """How often each attempt called each tool, from the spans' attempt_id, kind and name."""
    called = spans.filter(pl.col("kind") == "tool").group_by("attempt_id", "name", maintain_order=True)
    return called.agg(calls=pl.len())


def all_strengths(placed: pl.DataFrame, compared: pl.DataFrame, hour: Hour) -> pl.DataFrame:
    """Strengths of agents (by configuration) and of models, real and synthetic sessions apart."""
    parts = [STRENGTHS.empty()]
    for scope, column in (("agent", "configuration_hash"), ("model", "model")):
        named = placed.select("session_id", "cycle", "lineage_id", "synthetic", who=pl.col(column))
        here = ["session_id", "cycle"]
        who = (
            compared.join(named, left_on=[*here, "left"], right_on=[*here, "lineage_id"], how="inner")
            .join(
                named.drop("synthetic"), left_on=[*here, "right"], right_on=[*here, "lineage_id"], suffix="_r"
            )
            .select("session_id", "left_wins", "synthetic", left="who", right="who_r")
        )
        names = placed.group_by(competitor=pl.col(column)).agg(name=pl.col("agent").sort().first())
        for synthetic in (False, True):
            found = strengths(who.filter(pl.col("synthetic") == synthetic))
            parts.append(
                found.join(names, on="competitor", how="left")
                .with_columns(
                    hour=pl.lit(hour.start, dtype=UTC_DATETIME),
                    scope=pl.lit(scope),
                    synthetic=pl.lit(synthetic),
                )
                .select(list(STRENGTHS.polars_schema))
            )
    return pl.concat(parts)
