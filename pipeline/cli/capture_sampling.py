"""``pipeline capture sampling``: show and change what share of the tasks is recorded in depth."""

from __future__ import annotations

import json
from pathlib import Path

import click

import pipeline.capture.events
import pipeline.capture.reports  # noqa: F401 - both register kinds, whose names rates are checked against
from pipeline.capture.controls import SAMPLING_FILE, Rate, read_rates, write_rates
from pipeline.capture.spool import spool_directory


def _change(rates: dict[str, Rate], text: str) -> None:
    """Apply ``NAME=RATE`` or ``NAME:COMPLEXITY=RATE``; raises ``click.BadParameter``."""
    name, equals, number = text.partition("=")
    name, _, complexity = name.strip().partition(":")
    try:
        rate = float(number)
    except ValueError:
        equals = ""
    if not equals or not name:
        raise click.BadParameter(
            f"{text!r} is not NAME=RATE or NAME:COMPLEXITY=RATE, such as deep_analysis=0.2."
        )
    if not complexity:
        rates[name] = rate
        return
    before = rates.get(name, 1.0)
    rates[name] = {**(before if isinstance(before, dict) else {"default": before}), complexity: rate}


@click.command()
@click.option("--rate", "changes", multiple=True, help="NAME=RATE or NAME:COMPLEXITY=RATE; may be repeated.")
@click.option("--reset", is_flag=True, help="Go back to the defaults: remove the file.")
@click.option("--directory", type=click.Path(path_type=Path, file_okay=False), help="Spool; by default ours.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def sampling(changes: tuple[str, ...], reset: bool, directory: Path | None, as_json: bool) -> None:
    """Show the shares of tasks for which costly records are kept, or change them.

    Running recorders follow within a second; nothing needs a restart. A name is a kind of event, or a kind
    and one of its fields; what is not named is always recorded.

    \b
    Examples:
      pipeline capture sampling
      pipeline capture sampling --rate deep_analysis=0.2 --rate deep_analysis.conversation:complex=0.1
      pipeline capture sampling --reset
    """
    spool = directory or spool_directory()
    if reset:
        (spool / SAMPLING_FILE).unlink(missing_ok=True)
    rates = dict(read_rates(spool))
    for change in changes:
        _change(rates, change)
    if changes:
        write_rates(spool, rates)
    if as_json:
        click.echo(json.dumps(rates))
        return
    for name, rate in rates.items():
        shown = rate if isinstance(rate, dict) else {"every task": rate}
        click.echo(f"{name:<40} " + ", ".join(f"{key} {value:g}" for key, value in shown.items()))
