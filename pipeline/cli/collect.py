"""``pipeline collect``: ask models, keep and judge their answers, know what it costs.

What belongs here: the group and what runs (info, plan, run). What does not: stored results
(``collect_results``), the cache's questions (``collect_cache``), the stub (``collect_stub``).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pipeline.cli.printing import format_options, print_frame
from pipeline.errors import PipelineError

if TYPE_CHECKING:
    from pipeline.collector.running import Outcome, Progress
    from pipeline.collector.setup import Choice

Command = TypeVar("Command", bound=Callable[..., Any])

_file = click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
_ROOMS = {
    "list": ("pipeline.cli.collect_results", "list_"),
    "clean": ("pipeline.cli.collect_results", "clean"),
    "cost": ("pipeline.cli.collect_results", "cost"),
    "why-miss": ("pipeline.cli.collect_cache", "why_miss"),
    "stub": ("pipeline.cli.collect_stub", "stub"),
}


class _Collect(click.Group):
    """Loads the other rooms' commands when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *_ROOMS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _ROOMS:
            module, name = _ROOMS[cmd_name]
            command: click.Command = getattr(__import__(module, fromlist=[name]), name)
            return command
        return super().get_command(ctx, cmd_name)


@click.group(cls=_Collect)
def collect() -> None:
    """Ask models the questions of datasets; keep, judge and cost every answer.

    FILE is a collector configuration, configs/collector.yaml by default; datasets stand in
    configs/datasets.yaml.
    """


def _choosing(command: Command) -> Command:
    options = [
        click.option("--model", "models", multiple=True, help="Only this model; may be given again."),
        click.option("--dataset", "datasets", multiple=True, help="Only this dataset; may be given again."),
        click.option("--demo/--full",
            "demo",
            default=None,
            help="The first rows only, or all; else as in FILE."),
        click.option("--demo-limit", type=click.IntRange(min=1), help="Rows of each split in demo mode."),
        click.option(
            "--overwrite", "--force", "overwrite", is_flag=True,
            help="Begin complete runs anew (cached answers are still used).",
        ),
        click.option("--max-cost", type=click.FloatRange(min=0), help="USD that this run must not exceed."),
        click.option("--concurrency", type=click.IntRange(1, 4096), help="Requests under way at once."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@collect.command()
@_file
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def info(file: Path | None, as_json: bool) -> None:
    """Show what a configuration asks for, check every row of its data, and say what the cache merges.

    \b
    Examples:
      pipeline collect info
      pipeline collect info configs/collector.yaml --json
    """
    from pipeline.collector.describing import describe

    shown = describe(file)
    if as_json:
        click.echo(json.dumps(shown, ensure_ascii=False, indent=1, default=str))
        return
    import polars as pl

    print_frame(pl.DataFrame(shown["models"], infer_schema_length=None), None, title="Models")
    print_frame(pl.DataFrame(shown["datasets"], infer_schema_length=None), None, title="Datasets of the run")
    print_frame(
        pl.DataFrame(shown["declared"], infer_schema_length=None), None, title="Declared in datasets.yaml"
    )
    for name in ("run", "cache"):
        click.echo(f"{name}: " + ", ".join(f"{key}={value}" for key, value in shown[name].items()))
    for sentence in shown["merges"]:
        click.echo(f"cache key: {sentence}")


@collect.command()
@_file
@_choosing
@format_options
def plan(file: Path | None, form: str | None, **chosen: Any) -> None:
    """Say what a run would send, reuse, cost and take, before anything is spent. Sends nothing.

    \b
    Examples:
      pipeline collect plan
      pipeline collect plan configs/collector.yaml --demo --json
    """
    import asyncio

    import polars as pl

    from pipeline.collector.collecting import estimates, prepare
    from pipeline.collector.planning import seconds_of_all

    collection = prepare(file, _choice(chosen))
    found = asyncio.run(estimates(collection))
    rows = [
        {"model": plan.model.name, "dataset": plan.reader.name, "split": plan.reader.split, **asdict(one)}
        for plan, one in zip(collection.plans, found, strict=True)
    ]
    print_frame(
        pl.DataFrame(rows, infer_schema_length=None),
        form,
        title="Plan (tokens, USD and seconds are estimates)",
    )
    costs = [one.cost for one in found]
    known = sum(cost for cost in costs if cost is not None)
    seconds = seconds_of_all(collection.plans, found, collection.settings.run.concurrency)
    unknown = f" and {costs.count(None)} runs whose price is not known" if None in costs else ""
    click.echo(
        f"{sum(one.to_send for one in found):,} requests, about {known:.4f} USD{unknown}, "
        f"about {seconds:,.0f} s "
        f"with {collection.settings.run.concurrency} at once",
        err=True,
    )
    for model in collection.settings.models:
        if missing := model.missing_variables():
            click.echo(
                f"Before {model.name} can be asked, set {', '.join(missing)} in the environment.", err=True
            )


@collect.command()
@_file
@_choosing
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of the runs on stdout.")
@click.option("--quiet", is_flag=True, help="No progress.")
def run(file: Path | None, as_json: bool, quiet: bool, **chosen: Any) -> None:
    """Collect what is missing: the same command continues a run that was stopped, and asks failed records
    again.

    Ctrl-C finishes what is under way; a second Ctrl-C stops at once. Nothing that was kept is asked again.

    \b
    Examples:
      pipeline collect run
      pipeline collect run configs/collector.yaml --demo --max-cost 0.50
    """
    from pipeline.cli.collect_progress import run_interruptibly
    from pipeline.collector.collecting import collect as collect_all
    from pipeline.collector.collecting import prepare
    from pipeline.collector.running import Progress

    collection = prepare(file, _choice(chosen))
    progress = Progress(say=lambda sentence: click.echo(sentence, err=True))
    try:
        outcomes = run_interruptibly(collect_all(collection, progress), progress, quiet=quiet)
    except KeyboardInterrupt:
        raise PipelineError(
            "Collecting: stopped at once; what was on disk is kept, and the same command continues."
        ) from None
    _print_outcomes(outcomes, progress, as_json)
    _say_unfinished(outcomes, progress)


def _choice(chosen: dict[str, Any]) -> Choice:
    from pipeline.collector.setup import Choice

    return Choice(**chosen)


def _print_outcomes(outcomes: list[Outcome], progress: Progress, as_json: bool) -> None:
    rows = [
        {
            "model": outcome.plan.model.name,
            "dataset": outcome.plan.reader.name,
            "split": outcome.plan.reader.split,
            "status": outcome.status,
            "performance": outcome.performance,
            "failed": outcome.failed,
            "result": str(outcome.result) if outcome.result else None,
            "run_id": outcome.plan.entry.run_id,
        }
        for outcome in outcomes
    ]
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    import polars as pl

    print_frame(pl.DataFrame(rows, infer_schema_length=None).drop("run_id"), None, title="Runs")
    unpriced = f", {progress.unpriced} answers whose price is not known" if progress.unpriced else ""
    click.echo(f"{progress.done} records collected, {progress.billed:.4f} USD billed{unpriced}", err=True)


def _say_unfinished(outcomes: list[Outcome], progress: Progress) -> None:
    from pipeline.collector.collecting import unfinished

    open_runs = unfinished(outcomes)
    if not open_runs:
        return
    reasons = {
        "cost": "stopped before --max-cost was exceeded; raise it and run the same command to continue",
        "interrupted": "stopped as asked; the same command continues",
        "deadline": "stopped at the run's deadline; the same command continues",
    }
    reason = reasons.get(
        progress.stopped_by, f"{progress.failed} records failed; the same command asks them again"
    )
    raise PipelineError(f"Collecting: {len(open_runs)} of {len(outcomes)} runs are not complete: {reason}.")
