"""``pipeline collect why-miss``: why a question is not answered from the cache."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import click
import polars as pl

from pipeline.cli.printing import format_options, print_frame

_SCHEMA = {
    "model": pl.String,
    "dataset": pl.String,
    "split": pl.String,
    "row": pl.Int64,
    "reason": pl.String,
    "field": pl.String,
    "asked now": pl.String,
    "stored": pl.String,
}


@click.command("why-miss")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--model", "models", multiple=True, help="Only this model; may be given again.")
@click.option("--dataset", "datasets", multiple=True, help="Only this dataset; may be given again.")
@click.option(
    "--row", type=click.IntRange(min=1), default=1, show_default=True, help="Row of each split, from 1."
)
@format_options
def why_miss(
    file: Path | None, models: tuple[str, ...], datasets: tuple[str, ...], row: int, form: str | None
) -> None:
    """Name what differs between one row's request and the nearest stored answer. Sends nothing.

    \b
    Examples:
      pipeline collect why-miss
      pipeline collect why-miss --model stub-small --dataset arithmetic --row 3 --json
    """
    from pipeline.collector.collecting import prepare, why_missed
    from pipeline.collector.setup import Choice

    collection = prepare(file, Choice(models=models, datasets=datasets, demo=True, demo_limit=row))
    rows: list[dict[str, Any]] = []
    for plan, miss in asyncio.run(why_missed(collection, row)):
        named = {
            "model": plan.model.name,
            "dataset": plan.reader.name,
            "split": plan.reader.split,
            "row": row,
            "reason": miss.sentence,
        }
        differing = [
            {"field": name, "asked now": ours, "stored": theirs}
            for name, (ours, theirs) in miss.differing.items()
        ]
        rows += [{**named, **difference} for difference in differing or [{}]]
    print_frame(pl.DataFrame(rows, schema=_SCHEMA), form, title="Why these are no answers from the cache")
