"""The assets of group ``capability``.

What belongs here: wiring the domain's functions to tables, checks and plots. What does not: matching,
scoring, validating, ranking or publishing themselves. (Annotations are not postponed: Dagster reads
that of ``context``.)
"""

from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from pipeline.capability import charts, tables
from pipeline.capability.calibration.probability import FILE as COEFFICIENTS
from pipeline.capability.evidence import gather_evidence
from pipeline.capability.match_changes import (
    CHANGED,
    NEW,
    VANISHED,
    conflicts,
    match_changes,
    match_reports,
    outcomes,
)
from pipeline.capability.matching import match_names
from pipeline.capability.outputs import Capability, build_documents, validated_outputs
from pipeline.capability.publishing import PublishingError, publish
from pipeline.capability.ranking import performance_metadata, rank_configurations
from pipeline.capability.scoring import score_categories
from pipeline.capability.screening import quarantined_evidence, screen_evidence
from pipeline.capability.sightings import sightings
from pipeline.capability.validating import plausible_static_models, validate_models
from pipeline.capability.weighing import Weights
from pipeline.collector.filing import as_benchmark_scores
from pipeline.collector.tables import COLLECTED_SCORES
from pipeline.errors import PipelineError
from pipeline.hours import Hour
from pipeline.settings.categories import load_categories
from pipeline.settings.matching import REVIEWED_FILE, load_matching
from pipeline.settings.places import config_directory, data_directory
from pipeline.settings.sources import load_sources
from pipeline.sources.tables import ANALYTICS_SNAPSHOTS, BENCHMARK_SCORES, STATIC_MODELS
from pipeline.warehouse.assets import (
    FRESHNESS,
    HOURS,
    POOL,
    Check,
    Computed,
    Finding,
    Output,
    Step,
    as_dagster_failure,
    asset_key,
    hours_of,
    preview,
    table_assets,
)
from pipeline.warehouse.resource import WarehouseResource

LOWEST_MATCH_SHARE = 0.25
NAMES_SHOWN = 25
PUBLISHED_TABLES = (
    tables.CATEGORY_SCORES,
    tables.RANKINGS,
    tables.VALIDATED_OUTPUTS,
    tables.QUALITY_REPORTS,
    tables.QUARANTINED_MODELS,
    tables.MATCHED_MODELS,
    STATIC_MODELS,
)


def _categories() -> Path:
    return config_directory() / "categories.yaml"


def _sources() -> Path:
    return config_directory() / "sources.yaml"


def _matching() -> Path:
    return config_directory() / "matching.yaml"


def _reviewed() -> Path:
    """What a person decided; where nothing was, the file beside it stands for both."""
    path = config_directory() / REVIEWED_FILE
    return path if path.is_file() else _matching()


def _coefficients() -> Path:
    return COEFFICIENTS


def _in_hour(frame: pl.DataFrame, hour: Hour) -> pl.DataFrame:
    start = pl.lit(hour.start, dtype=pl.Datetime("us", "UTC"))
    return frame.select(start.alias("hour"), pl.all().exclude("hour"))


def _weights(hour: Hour) -> Weights:
    sources = load_sources()
    return Weights(
        load_categories(), sources.layer_weights.model_dump(), sources.reliability.model_dump(), hour.day
    )


def _all_scores(step: Step) -> pl.DataFrame:
    """Published scores and those of our own complete, real runs."""
    published, collected = step.read(BENCHMARK_SCORES, COLLECTED_SCORES)
    return pl.concat([published, as_benchmark_scores(collected)])


def _match(step: Step) -> list[Computed]:
    analytics, catalogue = step.read(ANALYTICS_SNAPSHOTS, STATIC_MODELS)
    scores = _all_scores(step)
    matched, unmatched = match_names(sightings(scores, analytics), catalogue, load_matching())
    return [Computed(_in_hour(matched, step.hour)), Computed(_in_hour(unmatched, step.hour))]


def _screen(step: Step) -> list[Computed]:
    weights = _weights(step.hour)
    analytics, matched, static = step.read(ANALYTICS_SNAPSHOTS, tables.MATCHED_MODELS, STATIC_MODELS)
    gathered = gather_evidence(_all_scores(step), analytics, matched)
    screened = screen_evidence(
        gathered, weights.settings.validation, weights.reliability, weights.day, static
    )
    return [Computed(_in_hour(screened, step.hour))]


def _score(step: Step) -> list[Computed]:
    weights = _weights(step.hour)
    evidence, static = step.read(tables.EVIDENCE, STATIC_MODELS)
    catalogue = plausible_static_models(static, weights.settings.validation)
    scores = score_categories(
        evidence, catalogue, weights.settings, weights.layers, weights.reliability, weights.day
    )
    return [Computed(_in_hour(scores, step.hour))]


def _validate(step: Step) -> list[Computed]:
    weights = _weights(step.hour)
    static, evidence, scores = step.read(STATIC_MODELS, tables.EVIDENCE, tables.CATEGORY_SCORES)
    found = validate_models(static, evidence, scores, weights.settings, weights.day)
    quarantined = pl.concat([quarantined_evidence(evidence), found.quarantined])
    valid = scores.filter(pl.col("model_id").is_in(found.valid_models))
    rankings = rank_configurations(valid, static, weights.settings)
    plausible = plausible_static_models(static, weights.settings.validation)
    performance = performance_metadata(valid, plausible, weights.settings)
    accepted = evidence.filter("accepted")
    capability = Capability(plausible, accepted, valid, rankings, performance, found.valid_models)
    documents = build_documents(capability, weights, step.hour)
    frames = [found.quality_reports, quarantined, rankings, validated_outputs(documents)]
    return [Computed(_in_hour(frame, step.hour)) for frame in frames]


def _most_names_match(step: Step, matched: pl.DataFrame) -> Finding:
    (unmatched,) = step.read(tables.UNMATCHED_MODELS)
    shares = (
        pl.concat([matched.select("source", hit=pl.lit(1)), unmatched.select("source", hit=pl.lit(0))])
        .group_by("source")
        .agg(names=pl.len(), matched=pl.col("hit").sum(), share=pl.col("hit").mean().round(3))
        .sort("share")
    )
    low = shares.filter(pl.col("share") < LOWEST_MATCH_SHARE)
    listed = ", ".join(
        f"{source} {share:.0%}" for source, share in shares.select("source", "share").iter_rows()
    )
    return Finding(low.height == 0, f"share of names matched: {listed}")


def _evidence_agrees(_: Step, quarantined: pl.DataFrame) -> Finding:
    models = quarantined.filter(pl.col("level") == "model").height
    pieces = quarantined.height - models
    return Finding(
        models == 0, f"{models} models and {pieces} pieces of evidence are quarantined, each with its reason"
    )


def _report_matches(step: Step) -> list[Computed]:
    matched, unmatched = step.read(tables.MATCHED_MODELS, tables.UNMATCHED_MODELS)
    before = step.warehouse.newest_hour(tables.MATCHED_MODELS, before=step.hour)
    earlier = None
    if before is not None:
        pair = step.warehouse.read_hours([tables.MATCHED_MODELS, tables.UNMATCHED_MODELS], before)
        earlier = outcomes(*pair)
    changes = match_changes(outcomes(matched, unmatched), earlier, before.start if before else None)
    reports = match_reports(matched, unmatched, changes)
    return [Computed(_in_hour(changes, step.hour)), Computed(_in_hour(reports, step.hour))]


def _no_match_changes(_: Step, changes: pl.DataFrame) -> Finding:
    moved = changes.filter(pl.col("change").is_in(CHANGED))
    metadata = {"names": preview(moved.drop("hour"), NAMES_SHOWN)} if moved.height else {}
    return Finding(moved.height == 0, f"{moved.height} names stand for another model than before", metadata)


def _no_name_vanishes(_: Step, changes: pl.DataFrame) -> Finding:
    gone = changes.filter(pl.col("change") == VANISHED)
    new = changes.filter(pl.col("change") == NEW)
    shown = {"vanished": gone, "new": new}
    metadata = {name: preview(part.drop("hour"), NAMES_SHOWN) for name, part in shown.items() if part.height}
    return Finding(gone.height == 0, f"{new.height} names are new, {gone.height} vanished", metadata)


def _no_name_has_two_models(_: Step, matched: pl.DataFrame) -> Finding:
    double = conflicts(matched)
    metadata = {"names": preview(double, NAMES_SHOWN)} if double.height else {}
    return Finding(double.height == 0, f"{double.height} names stand for two models of one source", metadata)


def _review_queue(_: Step, reports: pl.DataFrame) -> Finding:
    waiting, refused = int(reports["review"].sum()), int(reports["refused"].sum())
    return Finding(
        waiting == 0,
        f"{waiting} names have candidates to review (`pipeline models review`), {refused} are no model names",
        {"waiting": waiting, "refused": refused},
    )


matching = table_assets(
    outputs=[
        Output(
            tables.MATCHED_MODELS,
            plot=charts.matched_models,
            checks={
                "most_names_match": Check(
                    f"At least {LOWEST_MATCH_SHARE:.0%} of each source's names stand for a catalogue model.",
                    _most_names_match,
                ),
                "no_name_has_two_models": Check(
                    "No name of a source stands for two models.", _no_name_has_two_models
                ),
            },
        ),
        Output(tables.UNMATCHED_MODELS, plot=charts.unmatched_models),
    ],
    compute=_match,
    upstream=[STATIC_MODELS, BENCHMARK_SCORES, COLLECTED_SCORES, ANALYTICS_SNAPSHOTS],
    configuration=[_matching, _reviewed, _coefficients],
)

match_reporting = table_assets(
    outputs=[
        Output(
            tables.MATCH_CHANGES,
            plot=charts.match_changes,
            checks={
                "no_match_changes": Check("No name changes the model it stands for.", _no_match_changes),
                "no_name_vanishes": Check("No name of the hour before is gone.", _no_name_vanishes),
            },
        ),
        Output(
            tables.MATCH_REPORTS,
            plot=charts.match_reports,
            checks={"nothing_to_review": Check("No name waits for a person.", _review_queue)},
        ),
    ],
    compute=_report_matches,
    upstream=[tables.MATCHED_MODELS, tables.UNMATCHED_MODELS],
    reusable=False,  # it depends on the hour before
)

evidence = table_assets(
    outputs=[Output(tables.EVIDENCE, plot=charts.evidence)],
    compute=_screen,
    upstream=[
        BENCHMARK_SCORES,
        COLLECTED_SCORES,
        ANALYTICS_SNAPSHOTS,
        tables.MATCHED_MODELS,
        STATIC_MODELS,
    ],
    configuration=[_categories, _sources],
)

category_scores = table_assets(
    outputs=[Output(tables.CATEGORY_SCORES, plot=charts.category_scores)],
    compute=_score,
    upstream=[tables.EVIDENCE, STATIC_MODELS],
    configuration=[_categories, _sources],
)

validation = table_assets(
    outputs=[
        Output(tables.QUALITY_REPORTS, plot=charts.quality_reports),
        Output(
            tables.QUARANTINED_MODELS,
            plot=charts.quarantined_models,
            checks={
                "no_model_is_quarantined": Check("Every catalogue model passes validation.", _evidence_agrees)
            },
        ),
        Output(tables.RANKINGS, plot=charts.rankings),
        Output(tables.VALIDATED_OUTPUTS),
    ],
    compute=_validate,
    upstream=[STATIC_MODELS, tables.EVIDENCE, tables.CATEGORY_SCORES],
    configuration=[_categories, _sources],
)


PUBLISHED_FILES = dg.AssetSpec(
    key=["capability", "published_files"],
    deps=[asset_key(table) for table in PUBLISHED_TABLES],
    group_name="capability",
    owners=["team:pipeline"],
    kinds={"json", "parquet", "duckdb"},
    freshness_policy=FRESHNESS,
    description="The newest hour as files for readers: models.json with its JSON Schema, Parquet, DuckDB. "
    "Switched over in one step; an hour older than the one published changes nothing.",
)


@dg.multi_asset(
    specs=[PUBLISHED_FILES], partitions_def=HOURS, backfill_policy=dg.BackfillPolicy.single_run(), pool=POOL
)
def published_files(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource
) -> dg.MaterializeResult[Any]:
    """Publish the newest of the run's hours."""
    store = warehouse.warehouse()
    try:
        hour = max(hours_of(context))
        read = store.read_hours(PUBLISHED_TABLES, hour)
        frames = {table.name: frame for table, frame in zip(PUBLISHED_TABLES, read, strict=True)}
        documents = frames[tables.VALIDATED_OUTPUTS.name]["output"].to_list()
        if not documents:
            raise PublishingError(
                f"Publishing {hour}: not one model is valid, so the last good publication stays; "
                "capability.quarantined_models has the reasons."
            )
        publication = publish(data_directory() / "published", documents, frames, hour)
    except PipelineError as error:
        raise as_dagster_failure(error) from error
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(documents),
            "folder": dg.MetadataValue.path(str(publication.directory)),
            "current": publication.current,
            "changed": publication.changed,
            "hour": hour.key,
        }
    )


ASSETS = (matching, match_reporting, evidence, category_scores, validation, published_files)
