"""The assets of group ``collector``, and the one step that collects.

What belongs here: wiring what the runner stored to tables, checks and plots; materialising never calls a
model. The step of the collection job does, and nothing else. (Annotations are not postponed: Dagster reads
that of ``context``.)
"""

import asyncio
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from pipeline.collector import charts
from pipeline.collector.filing import hour_of_records, hour_of_runs, hour_of_scores
from pipeline.collector.journal import Journal
from pipeline.collector.tables import COLLECTED_SCORES, RAW_OUTPUTS, RECORDS, REQUEST_ATTEMPTS, RUNS
from pipeline.errors import PipelineError
from pipeline.plots import bars
from pipeline.warehouse.assets import (
    Check,
    Computed,
    Finding,
    Output,
    Step,
    as_dagster_failure,
    table_assets,
)

MOST_FAILURES = 0.05


def _file(step: Step) -> list[Computed]:
    journal = Journal()
    records, outputs, attempts = hour_of_records(journal, step.hour)
    return [Computed(frame) for frame in (hour_of_runs(journal, step.hour), records, outputs, attempts)]


def _scores(step: Step) -> list[Computed]:
    return [Computed(hour_of_scores(Journal(), step.hour))]


def _few_fail(_: Step, records: pl.DataFrame) -> Finding:
    newest = records.sort("number").unique(["run_id", "position", "repetition"], keep="last")
    failed = newest.filter(pl.col("status").str.starts_with("failed")).height
    share = failed / newest.height if newest.height else 0.0
    return Finding(
        share <= MOST_FAILURES,
        f"{failed} of {newest.height} records failed; `pipeline collect run` asks them again",
        {"failed": failed, "records": newest.height},
    )


collected = table_assets(
    outputs=[
        Output(RUNS, plot=charts.runs),
        Output(
            RECORDS,
            plot=charts.records,
            checks={
                "few_records_fail": Check(
                    f"At most {MOST_FAILURES:.0%} of the hour's records stand as failed.", _few_fail
                )
            },
        ),
        Output(RAW_OUTPUTS),
        Output(REQUEST_ATTEMPTS, plot=charts.request_attempts),
    ],
    compute=_file,
    reusable=False,  # it reads the journal, which has no hour's fingerprint
)

collected_scores = table_assets(
    outputs=[Output(COLLECTED_SCORES, plot=charts.collected_scores)],
    compute=_scores,
    reusable=False,
)

_LAUNCHPAD = {
    "file": dg.Field(
        str, default_value="", description="Collector configuration; empty: configs/collector.yaml."
    ),
    "models": dg.Field([str], default_value=[], description="Only these models; empty: all."),
    "datasets": dg.Field([str], default_value=[], description="Only these datasets; empty: all."),
    "demo": dg.Field(bool, default_value=False, description="The first rows of each split only."),
    "overwrite": dg.Field(bool, default_value=False, description="Begin complete runs anew."),
    "max_cost": dg.Field(dg.Noneable(float), default_value=None, description="USD not to be exceeded."),
}


@dg.op(config_schema=_LAUNCHPAD, tags={"kind": "llm"})
def collect_runs(context: dg.OpExecutionContext) -> None:
    """Ask what is missing of a collector configuration, as `pipeline collect run` does; fails where records
    did."""
    # The client is slow to import, and only collecting needs it.
    from pipeline.collector.collecting import collect, prepare, unfinished
    from pipeline.collector.running import Progress
    from pipeline.collector.setup import Choice

    config: dict[str, Any] = context.op_config
    choice = Choice(
        models=tuple(config["models"]),
        datasets=tuple(config["datasets"]),
        demo=config["demo"] or None,
        overwrite=config["overwrite"],
        max_cost=config["max_cost"],
    )
    progress = Progress(say=context.log.info)
    try:
        collection = prepare(Path(config["file"]) if config["file"] else None, choice)
        outcomes = asyncio.run(collect(collection, progress))
    except PipelineError as error:
        raise as_dagster_failure(error) from error
    titles = [outcome.plan.title for outcome in outcomes]
    scores = [None if one.performance is None else 100 * one.performance for one in outcomes]
    metadata: dict[str, Any] = {
        "records": progress.done,
        "failed": progress.failed,
        "billed_usd": progress.billed,
        "scores": dg.MetadataValue.md(bars("Score by run", titles, scores, unit="points")),
    }
    context.add_output_metadata(metadata)
    left = unfinished(outcomes)
    if left:
        raise dg.Failure(
            f"Collecting: {len(left)} of {len(outcomes)} runs are not complete, {progress.failed} records "
            "failed; "
            "what was answered is kept, and the same job asks the rest again.",
            metadata=metadata,
            allow_retries=False,
        )


ASSETS = (collected, collected_scores)
