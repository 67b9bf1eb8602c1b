"""The assets of group ``training`` that hold records and what is computed from them.

What belongs here: wiring the domain's functions to tables, checks and plots. What does not: projecting,
comparing, estimating; the assets of exports (``export_assets``).
"""

import functools
from collections.abc import Mapping

import polars as pl

from pipeline.plots import bars, histogram
from pipeline.telemetry.archive import read_events
from pipeline.telemetry.tables import EVENT_SEGMENTS
from pipeline.training.derived.computing import derive, open_links
from pipeline.training.derived.tables import (
    EVOLUTION_VERDICTS,
    LEARNING_PATTERNS,
    LINEAGE_RANKINGS,
    ORPHANS,
    STRENGTHS,
)
from pipeline.training.projecting import project
from pipeline.training.reading import contradicting_ids, earlier_contents
from pipeline.training.rows import TABLE_OF_KIND
from pipeline.training.tables import EVALUATIONS, RECORDS
from pipeline.warehouse.assets import Check, Computed, Finding, Output, Step, preview, table_assets
from pipeline.warehouse.tables import Table

SHOWN = 15


def _records(step: Step) -> list[Computed]:
    events = read_events(step.hour, tuple(TABLE_OF_KIND))
    projected = project(events, step.hour, known_contents=earlier_contents(step.warehouse, step.hour))
    step.log(f"{events.height} events of training records in {step.hour}")
    return [Computed(projected[table.name].frame, projected[table.name].rejected) for table in RECORDS]


def _derived(step: Step) -> list[Computed]:
    found = derive(step.warehouse, step.hour)
    return [Computed(one) for one in (found.rankings, found.strengths, found.verdicts, found.patterns)]


def _told_once(table: Table, step: Step, _: pl.DataFrame) -> Finding:
    doubled = contradicting_ids(step.warehouse, table, step.hour)
    return Finding(
        passed=not doubled,
        description=(
            f"{len(doubled)} ids stand for different records, of which the first counts: "
            + ", ".join(doubled[:5])
            if doubled
            else "every id stands for one record"
        ),
        metadata={"ids": ", ".join(doubled[:100])},
    )


def _linked(_: Step, frame: pl.DataFrame) -> Finding:
    links = frame.group_by("record", "link", "parent", maintain_order=True).agg(
        open=pl.len(), ids=pl.col("record_id").head(5).str.join(", ")
    )
    named = "; ".join(
        f"{row['open']} of {row['record']}.{row['link']}" for row in links.iter_rows(named=True)
    )
    return Finding(
        passed=frame.height == 0,
        description=(
            f"{frame.height} links lead to records that have not arrived: {named}"
            if frame.height
            else "every record's parent has arrived"
        ),
        metadata={"open_links": preview(links, SHOWN)},
    )


def _score_plots(frame: pl.DataFrame) -> Mapping[str, str]:
    """Scores of the hour, real ones only, and how they differ between evaluators."""
    scored = frame.filter(pl.col("score").is_not_null() & ~pl.col("synthetic"))
    if not scored.height:
        return {}
    judges = (
        scored.group_by("evaluator").agg(pl.col("score").mean()).sort("score", descending=True).head(SHOWN)
    )
    title = "Scores from 1 to 10"
    return {
        "scores": histogram(title, scored["score"].to_list(), bins=9, low=1, high=10),
        "mean_by_evaluator": bars(
            "Mean score by evaluator", judges["evaluator"].to_list(), judges["score"].to_list(), unit="points"
        ),
    }


def _agent_plots(frame: pl.DataFrame) -> Mapping[str, str]:
    means = (
        frame.filter(pl.col("score").is_not_null() & ~pl.col("synthetic"))
        .group_by(pl.col("agent").fill_null("not arrived"))
        .agg(pl.col("score").mean())
        .sort(["score", "agent"], descending=[True, False])
        .head(SHOWN)
    )
    if not means.height:
        return {}
    title = "Mean score by agent version"
    return {"scores_by_agent": bars(title, means["agent"].to_list(), means["score"].to_list(), unit="points")}


def _strength_plots(frame: pl.DataFrame) -> Mapping[str, str]:
    shown = frame.filter((pl.col("scope") == "agent") & ~pl.col("synthetic")).head(SHOWN)
    names = [name or competitor for name, competitor in shown.select("name", "competitor").iter_rows()]
    title = "Probability of beating the others"
    return {"strengths": bars(title, names, shown["win_probability"].to_list())} if names else {}


records = table_assets(
    outputs=[
        Output(
            table,
            plot=_score_plots if table is EVALUATIONS else None,
            checks={
                "every_id_is_one_record": Check(
                    "No id stands for two records that say different things.",
                    functools.partial(_told_once, table),
                )
            },
        )
        for table in RECORDS
    ],
    compute=_records,
    upstream=[EVENT_SEGMENTS],
    reusable=False,
)

links = table_assets(
    outputs=[
        Output(
            ORPHANS,
            checks={
                "every_parent_has_arrived": Check(
                    "Each link leads to a record of this hour or an earlier one.", _linked
                )
            },
        )
    ],
    compute=lambda step: [Computed(open_links(step.warehouse, step.hour))],
    upstream=RECORDS,
    reusable=False,
)

derived = table_assets(
    outputs=[
        Output(LINEAGE_RANKINGS, plot=_agent_plots),
        Output(STRENGTHS, plot=_strength_plots),
        Output(EVOLUTION_VERDICTS),
        Output(LEARNING_PATTERNS),
    ],
    compute=_derived,
    upstream=RECORDS,
    reusable=False,
)

ASSETS = (records, links, derived)
