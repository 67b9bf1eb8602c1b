"""The assets of group ``collector``.

What belongs here: wiring what the runner stored to tables, checks and plots. What does not: collecting;
materialising never calls a model. (Annotations are not postponed, as in every module of assets.)
"""

import polars as pl

from pipeline.collector import charts
from pipeline.collector.filing import hour_of_records, hour_of_runs, hour_of_scores
from pipeline.collector.journal import Journal
from pipeline.collector.tables import COLLECTED_SCORES, RAW_OUTPUTS, RECORDS, REQUEST_ATTEMPTS, RUNS
from pipeline.warehouse.assets import Check, Computed, Finding, Output, Step, table_assets

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

ASSETS = (collected, collected_scores)
