"""``pipeline collect list|clean|cost``: stored results and what they cost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import polars as pl

from pipeline.cli.printing import format_options, print_frame

if TYPE_CHECKING:
    from pipeline.collector.result_files import ResultFile

Command = TypeVar("Command", bound=Callable[..., Any])

_DAY = click.DateTime(formats=["%Y-%m-%d"])
_SCHEMA = {
    "model": pl.String, "dataset": pl.String, "split": pl.String,
    "performance": pl.Float64, "records": pl.Int64,
    "failed": pl.Int64, "cost": pl.Float64, "demo": pl.Boolean, "synthetic": pl.Boolean, "status": pl.String,
    "written_at": pl.String, "path": pl.String, "problem": pl.String,
}  # fmt: skip


def _filters(command: Command) -> Command:
    options = [
        click.option("--dataset", help="Results of this dataset."),
        click.option("--model", help="Results of this model, by its name or the one sent to the host."),
        click.option("--since", type=_DAY, help="Written on this day (UTC) or later."),
        click.option("--before", type=_DAY, help="Written before this day (UTC)."),
        click.option(
            "--output-dir", type=click.Path(path_type=Path, file_okay=False),
            help="Folder of results; results/ of the data folder by default.",
        ),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@click.command("list")
@_filters
@format_options
def list_(form: str | None, **chosen: Any) -> None:
    """List stored results by dataset, model and day.

    \b
    Examples:
      pipeline collect list
      pipeline collect list --dataset gsm8k --since 2026-11-01 --json
    """
    frame = _frame(_found(chosen)[1])
    if form is None:
        frame = frame.drop("status", "written_at") if frame["problem"].is_null().all() else frame
    print_frame(frame, form, title=f"{frame.height} results")


@click.command()
@_filters
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--journal",
    "also_journal",
    is_flag=True,
    help="Forget the runs' records too, so that they are collected anew.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object of what was removed; needs --yes.")
def clean(yes: bool, also_journal: bool, as_json: bool, **chosen: Any) -> None:
    """Show stored results and remove them after a yes. What was collected stays in the journal.

    Without --journal, `pipeline collect run` writes the removed files again without asking a model.

    \b
    Examples:
      pipeline collect clean --model stub-small
      pipeline collect clean --before 2026-11-01 --yes
    """
    import json

    from pipeline.collector.journal import Journal
    from pipeline.collector.result_files import remove_results

    if as_json and not yes:
        raise click.UsageError("--json asks nothing; give --yes with it.")
    folder, found = _found(chosen)
    found = [result for result in found if not result.problem]
    if not as_json:
        print_frame(
            _frame(found).select("model", "dataset", "split", "written_at", "path"),
            None,
            title=f"{len(found)} results",
        )
    if found and not yes:
        click.confirm(f"Remove these {len(found)} results?", abort=True, err=True)
    gone = remove_results(found, folder)
    runs = [str(result.head["run_id"]) for result in found if result.head.get("run_id")]
    forgotten = Journal().forget(runs) if also_journal and runs else 0
    if as_json:
        click.echo(
            json.dumps({"results": gone, "records": forgotten, "paths": [str(one.path) for one in found]})
        )
    else:
        click.echo(f"{gone} results removed, {forgotten} records forgotten", err=True)


@click.command()
@click.option(
    "--by",
    type=click.Choice(["run", "model", "dataset"]),
    default="run",
    show_default=True,
    help="What to total.",
)
@click.option("--since", type=_DAY, help="Records of this day (UTC) and later.")
@format_options
def cost(by: str, since: datetime | None, form: str | None) -> None:
    """Total what was billed, replayed from the cache and avoided, per run, model or dataset, in USD.

    billed: paid; replayed: what answers from the cache had cost when they were bought; avoided: what asking
    again would have cost on that day. A total is empty where the price of one answer is not known.

    \b
    Examples:
      pipeline collect cost
      pipeline collect cost --by model --since 2026-11-01 --json
    """
    from pipeline.collector.journal import Journal
    from pipeline.collector.totals import cost_totals

    moment = since.replace(tzinfo=UTC) if since else None
    print_frame(cost_totals(Journal(), by, moment), form, title=f"Costs by {by}, USD")


def _found(chosen: dict[str, Any]) -> tuple[Path, list[ResultFile]]:
    from pipeline.collector.result_files import list_results, results_directory

    folder = chosen.pop("output_dir") or results_directory()
    days = {name: chosen[name].date() if chosen[name] else None for name in ("since", "before")}
    return folder, list_results(folder, **{**chosen, **days})


def _frame(results: list[ResultFile]) -> pl.DataFrame:
    rows = []
    for result in results:
        head = result.head
        counts = head.get("counts") if isinstance(head.get("counts"), dict) else {}
        assert isinstance(counts, dict)
        failed = (
            counts.get("failed_infrastructure", 0) + counts.get("failed_permanent", 0) if counts else None
        )
        rows.append(
            {
                "model": head.get("model_name"),
                "dataset": head.get("dataset_name"),
                "split": head.get("split"),
                "performance": head.get("performance"),
                "records": counts.get("records"),
                "failed": failed,
                "cost": head.get("cost"),
                "demo": head.get("demo"),
                "synthetic": head.get("synthetic"),
                "status": head.get("status"),
                "written_at": head.get("written_at"),
                "path": str(result.path),
                "problem": result.problem or None,
            }
        )
    return pl.DataFrame(rows, schema=_SCHEMA)
