"""From tables to Dagster assets: one factory for every table of every domain.

What belongs here: what all assets share (hours, pool, description, column schema, preview, plots,
the blocking check of each table's model, errors as one sentence). What does not: what any one
asset computes; that is a plain function in its domain. (Annotations are not postponed: Dagster reads
that of ``context``.)
"""

import functools
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from pipeline.errors import PipelineError
from pipeline.hours import FIRST_HOUR, Hour
from pipeline.warehouse.checking import FAILURE_CASES_SHOWN
from pipeline.warehouse.resource import WarehouseResource
from pipeline.warehouse.statements import Written
from pipeline.warehouse.store import Replacement, Warehouse
from pipeline.warehouse.tables import Table

HOURS = dg.HourlyPartitionsDefinition(start_date=FIRST_HOUR, timezone="UTC", end_offset=1)
"""Hourly partitions in UTC, the running hour included."""

POOL = "warehouse"
PREVIEW_ROWS = 10
RANGE_TAGS = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
RETRIES = 3
RETRY_SECONDS = 5
MODEL_CHECK = "rows_fit_the_model"
FRESHNESS = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=3), warn_window=timedelta(hours=2))


@dataclass(frozen=True)
class Step:
    """What computing one hour may use: the hour, the warehouse, the launch configuration and a log."""

    hour: Hour
    warehouse: Warehouse
    config: Mapping[str, Any]
    log: Callable[[str], None]

    def read(self, *tables: Table) -> list[pl.DataFrame]:
        """The rows of each table at this step's hour, in the order asked."""
        return self.warehouse.read_hours(tables, self.hour)


@dataclass(frozen=True)
class Finding:
    """The outcome of one further check: its sentence and, where it failed, how badly."""

    passed: bool
    description: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.WARN


@dataclass(frozen=True)
class Check:
    """A further check of a table: its meaning, and the function that judges the hour's rows.

    Where it is ``blocking`` and fails with the severity ERROR, nothing that stands on the table is computed.
    """

    description: str
    judge: Callable[[Step, pl.DataFrame], Finding]
    blocking: bool = False


@dataclass(frozen=True)
class Computed:
    """One table's hour: its rows, and rows that never became rows (``REJECTED_SCHEMA``)."""

    frame: pl.DataFrame
    rejected: pl.DataFrame | None = None


Compute = Callable[[Step], Sequence[Computed]]
Plot = Callable[[pl.DataFrame], Mapping[str, str]]


@dataclass(frozen=True)
class Output:
    """How one table is shown: its plots (frame to title and Markdown) and further checks by name."""

    table: Table
    plot: Plot | None = None
    checks: Mapping[str, Check] = field(default_factory=dict)


def table_assets(
    *,
    outputs: Sequence[Output],
    compute: Compute,
    upstream: Sequence[Table] = (),
    after: Sequence[dg.AssetKey] = (),
    configuration: Sequence[Callable[[], Path]] = (),
    reusable: bool = True,
    config_schema: dict[str, Any] | None = None,
    kinds: frozenset[str] = frozenset({"duckdb", "polars"}),
    owners: Sequence[str] = ("team:pipeline",),
) -> dg.AssetsDefinition:
    """One multi-asset that fills ``outputs`` hour by hour.

    ``compute`` returns a ``Computed`` per output, in their order. Where ``reusable``, an hour whose upstream
    rows, configuration files, calendar day and code are those of an hour already written is copied
    from it instead of computed again. ``after`` names assets that are no tables and must be done before.
    Each table gets the blocking check of its model.
    """
    tables = [output.table for output in outputs]

    @dg.multi_asset(
        name="__".join(table.name.replace(".", "_") for table in tables),
        specs=[_spec(output, [*map(asset_key, upstream), *after], owners, kinds) for output in outputs],
        check_specs=[check for output in outputs for check in _check_specs(output)],
        partitions_def=HOURS,
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool=POOL,
        config_schema=config_schema,
    )
    def assets(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        try:
            hours = hours_of(context)
            for hour in hours:
                step = Step(
                    hour,
                    warehouse.warehouse(),
                    context.op_execution_context.op_config or {},
                    context.log.info,
                )
                base = _base(tables, hour, configuration) if reusable else None
                written = _fill(step, tables, compute, base, upstream)
        except PipelineError as error:
            context.log.warning(str(error))
            raise as_dagster_failure(error, context.op_execution_context.retry_number) from error
        for output, outcome in zip(outputs, written, strict=True):
            yield _result(output, outcome, step)

    return assets


def hours_of(context: dg.AssetExecutionContext) -> list[Hour]:
    """The hours of the run, oldest first; raises ``InvalidHourError`` for a key that is no whole hour.

    The keys as they were asked for stand in the run's tags; ``partition_keys`` has them rounded down.
    """
    for tag in ("dagster/partition", *RANGE_TAGS):
        if tag in context.run.tags:
            Hour.parse(context.run.tags[tag])
    return sorted(Hour.parse(key) for key in context.partition_keys)


def as_dagster_failure(error: PipelineError, retries_so_far: int = 0) -> Exception:
    """The error as Dagster shows it: one sentence; what may succeed later is tried again three times.

    The pauses double, from five seconds on.
    """
    if error.retryable and retries_so_far < RETRIES:
        return dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=RETRY_SECONDS * 2**retries_so_far)
    tried = f" Tried {retries_so_far + 1} times; what was to be written waits." if retries_so_far else ""
    return dg.Failure(description=f"{error}{tried}", allow_retries=False)


def _spec(
    output: Output, upstream: Sequence[dg.AssetKey], owners: Sequence[str], kinds: frozenset[str]
) -> dg.AssetSpec:
    table = output.table
    return dg.AssetSpec(
        key=asset_key(table),
        deps=list(upstream),
        description=f"{table.description}\n\n{(table.model.__doc__ or '').strip()}",
        group_name=table.schema_name,
        owners=list(owners),
        kinds=set(kinds),
        freshness_policy=FRESHNESS,
        metadata={
            "dagster/column_schema": _column_schema(table),
            "dagster/table_name": f"warehouse.{table.name}",
            "key": ", ".join(table.key),
        },
    )


def asset_key(table: Table) -> dg.AssetKey:
    """The asset of a table: its schema, then its name."""
    return dg.AssetKey([table.schema_name, table.table_name])


def _column_schema(table: Table) -> dg.TableSchema:
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=str(column.dtype),
                description=column.description + (f" [{column.unit}]" if column.unit else ""),
                constraints=dg.TableColumnConstraints(nullable=column.nullable),
            )
            for column in table.columns
        ]
    )


def _check_specs(output: Output) -> list[dg.AssetCheckSpec]:
    key = asset_key(output.table)
    return [
        dg.AssetCheckSpec(
            MODEL_CHECK,
            asset=key,
            blocking=True,
            description="Every row satisfies the table's model (types, bounds, key); others are kept apart.",
        ),
        *(
            dg.AssetCheckSpec(name, asset=key, description=check.description, blocking=check.blocking)
            for name, check in output.checks.items()
        ),
    ]


def _fill(
    step: Step, tables: Sequence[Table], compute: Compute, base: str | None, upstream: Sequence[Table]
) -> list[Written]:
    fingerprint = None
    if base is not None:
        fingerprint, reused = step.warehouse.reuse(tables, step.hour, base, upstream)
        if reused is not None:
            return reused
    replacements = [
        Replacement(table, computed.frame, computed.rejected)
        for table, computed in zip(tables, compute(step), strict=True)
    ]
    return step.warehouse.replace_hours(step.hour, replacements, fingerprint=fingerprint)


def _base(tables: Sequence[Table], hour: Hour, configuration: Sequence[Callable[[], Path]]) -> str:
    """What an hour is made of beside its upstream rows: code, table names, calendar day, configuration."""
    files = [hashlib.sha256(place().read_bytes()).hexdigest() for place in configuration]
    return "\n".join([code_digest(), *(table.name for table in tables), hour.day.isoformat(), *files])


@functools.cache
def code_digest() -> str:
    """SHA-256 over the project's source files, so that a change of code never reuses an old result."""
    package = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _result(output: Output, written: Written, step: Step) -> dg.MaterializeResult[Any]:
    frame, rejected = written.frame, written.rejected
    plots = output.plot(frame) if output.plot and frame.height else {}
    return dg.MaterializeResult(
        asset_key=asset_key(output.table),
        metadata={
            "dagster/row_count": frame.height,
            "status": written.status,
            "rejected_rows": rejected.height,
            **({"reused_from": str(written.reused_from)} if written.reused_from else {}),
            **({"preview": preview(frame.drop("hour", strict=False))} if frame.height else {}),
            **({"rejected": preview(rejected)} if rejected.height else {}),
            **{title: dg.MetadataValue.md(text) for title, text in plots.items()},
        },
        check_results=[
            _model_result(output.table, written),
            *(
                _check_result(output.table, name, check.judge(step, frame))
                for name, check in output.checks.items()
            ),
        ],
    )


def _model_result(table: Table, written: Written) -> dg.AssetCheckResult:
    """Fails with a warning where rows were rejected, and with an error, which blocks, where none is left."""
    nothing_left = written.rejected.height > 0 and written.frame.height == 0
    return dg.AssetCheckResult(
        check_name=MODEL_CHECK,
        asset_key=asset_key(table),
        passed=written.rejected.height == 0,
        severity=dg.AssetCheckSeverity.ERROR if nothing_left else dg.AssetCheckSeverity.WARN,
        description=(
            f"{written.frame.height} rows written, {written.rejected.height} rejected"
            + (" and kept in ledger.rejected_rows" if written.rejected.height else "")
        ),
        metadata={
            "rows": written.frame.height,
            "rejected": written.rejected.height,
            **(
                {"failing_cases": preview(written.cases, FAILURE_CASES_SHOWN)} if written.cases.height else {}
            ),
            **(
                {"reasons": preview(written.rejected, FAILURE_CASES_SHOWN)} if written.rejected.height else {}
            ),
        },
    )


def _check_result(table: Table, name: str, finding: Finding) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=name,
        asset_key=asset_key(table),
        passed=finding.passed,
        severity=finding.severity,
        description=finding.description,
        metadata=dict(finding.metadata),
    )


def preview(frame: pl.DataFrame, rows: int = PREVIEW_ROWS) -> dg.TableMetadataValue:
    """The first rows as a table; long values are shortened."""
    shown = frame.head(rows)
    records = [
        dg.TableRecord({name: _shown(value) for name, value in row.items()})
        for row in shown.iter_rows(named=True)
    ]
    return dg.MetadataValue.table(
        records=records, schema=dg.TableSchema([dg.TableColumn(n) for n in shown.columns])
    )


def _shown(value: Any) -> str | int | float | bool | None:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = str(value)
    return text if len(text) <= 120 else text[:119] + "…"
