"""``pipeline training …``: importing training records, showing a session, counting.

What belongs here: parsing and printing. What does not: importing and joining (``pipeline.training``).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.errors import InputError

if TYPE_CHECKING:
    from rich.tree import Tree

    from pipeline.training.importing.writing import Report

FORMAT_NAMES = ("tau-bench", "alpaca-eval", "swe-agent", "atif", "otel", "hh-rlhf")
SHOWN_PROBLEMS = 20


@click.group()
def training() -> None:
    """Training records: sessions, attempts, artifacts, evaluations.

    \b
    Examples:
      pipeline training import tau-bench results/*.json
      pipeline training stats
      pipeline training show tau-bench-0f3a…
    """


@training.command("import")
@click.argument("format_name", metavar="FORMAT", type=click.Choice(FORMAT_NAMES))
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--again", is_flag=True, help="Import what was imported before, too; the first records stand.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def import_(format_name: str, files: tuple[Path, ...], again: bool, as_json: bool) -> None:
    """Import FILES of FORMAT as training records: tau-bench, alpaca-eval, swe-agent, atif, otel, hh-rlhf.

    What cannot be read is reported with the reason, the rest is kept. Importing twice changes nothing.
    The events wait in the spool until their hours are materialised.

    \b
    Examples:
      pipeline training import tau-bench gpt-4o-airline.json
      pipeline training import alpaca-eval claude.json gemma.json vicuna.json
      pipeline training import swe-agent trajectories/*.traj --json
    """
    from pipeline.training.importing.recording import open_writer
    from pipeline.training.importing.writing import import_files

    with open_writer(format_name) as writer:
        settle, progress = writer.settle, _progress(format_name, len(files))
        report = import_files(format_name, files, writer.write, settle=settle, again=again, progress=progress)
    if as_json:
        document = {**_as_document(report), "redacted_events": writer.redacted}
        click.echo(json.dumps(document, ensure_ascii=False, indent=1))
    else:
        _print_report(report)
        click.echo(f"privacy's door changed {writer.redacted} events")
    if report.malformed and not (report.imported or report.known):
        raise InputError(f"Importing {format_name}: nothing could be imported; the reasons stand above.")


def _progress(format_name: str, files: int) -> Callable[[Report], None]:
    """Says how far an import is, on a terminal only: a program has no use for it."""
    if not sys.stderr.isatty():
        return lambda report: None

    def say(report: Report) -> None:
        click.echo(
            f"\r{format_name}: file {report.files} of {files}, {report.imported} imported, "
            f"{len(report.malformed)} malformed ",
            err=True,
            nl=False,
        )

    return say


def _as_document(report: Report) -> dict[str, Any]:
    return {
        "format": report.format,
        "files": report.files,
        "imported": report.imported,
        "already_imported": report.known,
        "events": report.events,
        "sessions": len(report.sessions),
        "hours": sorted(report.hours),
        "malformed": [{"where": one.where, "reason": one.reason} for one in report.malformed],
        "remarks": [{"where": one.where, "remark": one.reason} for one in report.remarks],
    }


def _print_report(report: Report) -> None:
    click.echo(
        f"{report.imported} imported, {report.known} imported before, {len(report.malformed)} malformed; "
        f"{report.events} events of {len(report.sessions)} sessions from {report.files} file(s)"
    )
    for title, problems in (("malformed", report.malformed), ("remark", report.remarks)):
        for one in problems[:SHOWN_PROBLEMS]:
            click.echo(f"{title}: {one.where}: {one.reason}", err=True)
        if len(problems) > SHOWN_PROBLEMS:
            click.echo(f"… and {len(problems) - SHOWN_PROBLEMS} more; --json lists all", err=True)
    for hour in sorted(report.hours)[-3:]:
        click.echo(
            "Next: dagster asset materialize -m pipeline.definitions "
            f"--select 'group:telemetry or group:training' --partition {hour}",
            err=True,
        )


@training.command()
@click.argument("session_id", metavar="SESSION")
@click.option("--width", default=100, show_default=True, help="Longest text shown, in characters.")
@click.option("--json", "as_json", is_flag=True, help="Print the tree as JSON, texts whole.")
def show(session_id: str, width: int, as_json: bool) -> None:
    """Draw SESSION: its lineages, agent versions, rollouts, attempts, spans, artifacts and evaluations.

    \b
    Examples:
      pipeline training show tau-bench-0f3a9b…
      pipeline training show tau-bench-0f3a9b… --json | jq .children[0]
    """
    from rich.console import Console

    from pipeline.cli.printing import plain
    from pipeline.training.showing import session_tree
    from pipeline.warehouse.places import warehouse_path
    from pipeline.warehouse.store import Warehouse

    tree = session_tree(Warehouse(warehouse_path()), session_id)
    if as_json:
        click.echo(json.dumps(plain(tree), ensure_ascii=False, indent=1))
    else:
        Console(width=max(width + 40, 80), highlight=False).print(_drawn(tree, width))


def _drawn(root: Mapping[str, Any], width: int) -> Tree:
    """The tree as rich draws it; what hangs nowhere stands at its end."""
    from rich.text import Text
    from rich.tree import Tree

    drawn = Tree(_label(root, width))
    waiting = [(root, drawn)]
    while waiting:
        node, branch = waiting.pop()
        waiting += [(child, branch.add(_label(child, width))) for child in node["children"]]
    if root["orphans"]:
        lost = drawn.add(Text(f"without a parent ({len(root['orphans'])})", style="red"))
        waiting = [(node, lost.add(_label(node, width))) for node in root["orphans"]]
        while waiting:
            node, branch = waiting.pop()
            waiting += [(child, branch.add(_label(child, width))) for child in node["children"]]
    return drawn


def _label(node: Mapping[str, Any], width: int) -> Any:
    from rich.text import Text

    from pipeline.training.labels import label

    text = Text()
    text.append(node["record"].replace("_", " "), style="bold")
    said = "".join(one if one.isprintable() else " " for one in label(node["record"], node["fields"]))
    text.append(" " + (said if len(said) <= width else said[: width - 1] + "…"))
    return text


@training.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def stats(as_json: bool) -> None:
    """Count records, scores, sources and open links, and list strengths.

    \b
    Examples:
      pipeline training stats
      pipeline training stats --json
    """
    import polars as pl

    from pipeline.cli.printing import plain, print_frame
    from pipeline.training.showing import statistics
    from pipeline.warehouse.places import warehouse_path
    from pipeline.warehouse.store import Warehouse

    found = statistics(Warehouse(warehouse_path()))
    if as_json:
        click.echo(json.dumps(plain(found), ensure_ascii=False, indent=1))
        return
    rows = [{"table": name, **numbers} for name, numbers in found["records"].items()]
    print_frame(pl.DataFrame(rows), None, title="Training records")
    scores = found["scores"]
    mean = "" if scores["mean"] is None else f", mean {scores['mean']:.2f}"
    click.echo(f"Scores: {scores['scored']}{mean}; {scores['compared']} comparisons")
    if scores["distribution"]:
        shares = pl.DataFrame([{"score": int(one), "number": n} for one, n in scores["distribution"].items()])
        print_frame(shares, None, title="Scores, rounded")
    if found["strengths"]:
        print_frame(pl.DataFrame(found["strengths"]).drop("competitor"), None, title="Strengths")
    click.echo(f"Open links: {found['orphans']['open']}")
    for one in found["orphans"]["by_link"]:
        click.echo(f"  {one['open']} of {one['record']}.{one['link']}")
