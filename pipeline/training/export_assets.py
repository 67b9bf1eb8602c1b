"""The exports among the assets of group ``training``: one per kind, and the table of what became of them.

What belongs here: wiring ``hourly_exports`` to assets, plots and checks. What does not: exporting.
(Annotations are not postponed: Dagster reads that of ``context``.)
"""

from typing import Any

import dagster as dg
import polars as pl

from pipeline.errors import PipelineError
from pipeline.settings.exports import KINDS, Kind
from pipeline.training.export_charts import distributions
from pipeline.training.export_tables import EXPORTS
from pipeline.training.hourly_exports import export_hour, manifest_of, receipts
from pipeline.training.tables import RECORDS
from pipeline.warehouse.assets import (
    FRESHNESS,
    HOURS,
    Check,
    Computed,
    Finding,
    Output,
    Step,
    as_dagster_failure,
    asset_key,
    hours_of,
    table_assets,
)
from pipeline.warehouse.resource import WarehouseResource


def export_key(kind: Kind) -> dg.AssetKey:
    """The asset of a kind."""
    return dg.AssetKey(["training", f"export_{kind.replace('-', '_')}"])


def _export_asset(kind: Kind) -> dg.AssetsDefinition:
    spec = dg.AssetSpec(
        export_key(kind),
        deps=[asset_key(table) for table in RECORDS],
        group_name="training",
        description=f"A dataset repository of kind {kind}, by configs/exports/{kind}.yaml, from all records "
        "up to the hour's end.",
        owners=["team:pipeline"],
        kinds={"huggingface", "parquet"},
        freshness_policy=FRESHNESS,
    )

    @dg.multi_asset(
        name=f"training_export_{kind.replace('-', '_')}",
        specs=[spec],
        partitions_def=HOURS,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def export_asset(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource
    ) -> dg.MaterializeResult[Any]:
        try:
            for hour in hours_of(context):
                receipt = export_hour(kind, hour, warehouse.warehouse())
        except PipelineError as error:
            raise as_dagster_failure(error, context.op_execution_context.retry_number) from error
        manifest = manifest_of(receipt)
        plots = distributions(manifest) if manifest else {}
        return dg.MaterializeResult(
            asset_key=export_key(kind),
            metadata={
                "dagster/row_count": receipt.get("rows", 0),
                **{name: value for name, value in receipt.items() if value is not None and name != "rows"},
                **{title: dg.MetadataValue.md(text) for title, text in plots.items()},
            },
        )

    return export_asset


def _receipts(step: Step) -> list[Computed]:
    return [Computed(receipts(step.hour))]


def _none_is_halted(_: Step, frame: pl.DataFrame) -> Finding:
    halted = frame.filter(pl.col("status") == "halted")["kind"].to_list()
    return Finding(
        passed=not halted,
        description=f"halted by an alert: {', '.join(halted)}" if halted else "no export is halted",
    )


def _every_kind_has_rows(_: Step, frame: pl.DataFrame) -> Finding:
    empty = frame.filter(pl.col("status") == "refused")
    return Finding(
        passed=not empty.height,
        description="; ".join(f"{row['kind']}: {row['reason']}" for row in empty.head(5).to_dicts())
        or "every kind has rows",
    )


KIND_ASSETS = tuple(_export_asset(kind) for kind in KINDS)

exports = table_assets(
    outputs=[
        Output(
            EXPORTS,
            checks={
                "none_is_halted": Check("No alert halts exports.", _none_is_halted),
                "every_kind_has_rows": Check(
                    "Each kind has enough rows to be exported.", _every_kind_has_rows
                ),
            },
        )
    ],
    compute=_receipts,
    after=[export_key(kind) for kind in KINDS],
    reusable=False,
)

EXPORT_ASSETS = (*KIND_ASSETS, exports)
