"""``pipeline capture redrive``: rejected events that can be loaded now are loaded again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from pipeline.cli.parameters import HOUR
from pipeline.cli.printing import print_frame
from pipeline.errors import InputError
from pipeline.hours import Hour

if TYPE_CHECKING:
    import polars as pl

    from pipeline.telemetry.redriving import Redriven


@click.command()
@click.option("--hour", type=HOUR, help="Hour to look at, YYYY-MM-DD-HH:00; every archived hour by default.")
@click.option(
    "--reason", help="Only lines rejected for this reason, for example unknown_kind, bad_body or late."
)
@click.option("--yes", "write", is_flag=True, help="Do it; without, only say what would be done.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def redrive(hour: Hour | None, reason: str | None, write: bool, as_json: bool) -> None:
    """Judge rejected events again and load those that are valid now, say after an update of this library.

    \b
    Examples:
      pipeline capture redrive
      pipeline capture redrive --hour 2026-11-20-10:00 --reason unknown_kind --yes
      pipeline capture redrive --reason late --yes
    """
    import polars as pl

    from pipeline.telemetry.archive import default_archive
    from pipeline.telemetry.archiving import archived_hours
    from pipeline.telemetry.redriving import redrive as judge_again

    archive = default_archive()
    hours = archived_hours(archive.directory)
    if hour is not None and hour not in hours:
        raise InputError(
            f"Redriving {hour}: no event was archived in that hour; `pipeline tables` shows the newest hour."
        )
    outcomes = [judge_again(archive, one, reason=reason, write=write) for one in ([hour] if hour else hours)]
    frames = [
        outcome.lines.with_columns(hour=pl.lit(outcome.hour.key))
        for outcome in outcomes
        if outcome.lines.height
    ]
    _say(pl.concat(frames) if frames else None, outcomes, write=write, as_json=as_json)


def _say(lines: pl.DataFrame | None, outcomes: Sequence[Redriven], *, write: bool, as_json: bool) -> None:
    """What was judged again, for a program or for a person."""
    valid = 0 if lines is None else int(lines["valid"].sum())
    rejected = 0 if lines is None else lines.height
    to_load = sorted({own.key for outcome in outcomes for own in outcome.hours})
    if as_json:
        summary = [] if lines is None else _summary(lines).to_dicts()
        click.echo(
            json.dumps(
                {"rejected": rejected, "valid": valid, "written": write, "hours": to_load, "lines": summary}
            )
        )
        return
    if lines is not None:
        print_frame(_summary(lines), None, title="Rejected lines")
    done = "will be loaded" if write else "could be loaded; add --yes to do it"
    click.echo(f"{valid} of {rejected} rejected line(s) {done}.")
    for key in to_load if write else ():
        click.echo(
            f"dagster asset materialize -m pipeline.definitions --select 'group:telemetry' --partition {key}"
        )


def _summary(lines: pl.DataFrame) -> pl.DataFrame:
    """Lines by hour, reason and whether they are valid now, with one message of those that are not."""
    import polars as pl

    return (
        lines.group_by("hour", "reason", "valid")
        .agg(lines=pl.len(), still=pl.col("message").drop_nulls().first())
        .sort("hour", "reason", "valid")
    )
