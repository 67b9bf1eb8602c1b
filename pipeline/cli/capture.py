"""``pipeline capture``: follow, count, check and fill the spool of recorded events."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click

from pipeline.capture.spool import Broken, Line, Segment, read_segment, segments, spool_directories
from pipeline.cli.capture_redrive import redrive
from pipeline.cli.capture_sampling import sampling
from pipeline.cli.capture_serve import serve
from pipeline.errors import PipelineError
from pipeline.settings.places import config_directory

_directory = click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="Spool; that of the data folder by default.",
)
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def capture() -> None:
    """What agents did, as it is recorded: follow it, count it, check it, simulate it."""


capture.add_command(redrive)
capture.add_command(sampling)
capture.add_command(serve)


@capture.command()
@_directory
@_as_json
@click.option("--kind", help="Only events of this kind.")
@click.option("--task", help="Only events of this task or session.")
@click.option("--once", is_flag=True, help="Print what is there and end.")
def tail(directory: Path | None, as_json: bool, kind: str | None, task: str | None, once: bool) -> None:
    """Print events as they are written.

    \b
    Examples:
      pipeline capture tail --kind execution_completed
      pipeline capture tail --task task-7-1 --once --json
    """
    seen: dict[Path, tuple[int, int]] = {}
    while True:
        for segment in segments(spool_directories(directory)):
            offset, number = seen.get(segment.path, (0, 1))
            if segment.size <= offset:
                continue
            try:
                for line in read_segment(segment.path, offset, first_line=number):
                    seen[segment.path] = (line.offset + len(line.raw), line.number + 1)
                    _print_line(segment, line, as_json, kind, task)
            except FileNotFoundError:  # the loader archived it between listing and reading
                continue
        if once:
            return
        time.sleep(0.5)


def _print_line(segment: Segment, line: Line, as_json: bool, kind: str | None, task: str | None) -> None:
    event = line.event
    if isinstance(event, Broken):
        click.echo(f"{segment.path.name} line {line.number}: {event.reason}", err=True)
    elif (kind is None or event.kind == kind) and (task is None or event.subject == task):
        if as_json:
            click.echo(line.raw[9:].decode().rstrip("\n"))
        else:
            body = bytes(event.body)[:640].decode(errors="ignore")[:160]
            click.echo(f"{segment.hour} {event.kind:<22} {event.subject} {body}")


@capture.command()
@_directory
@_as_json
def stats(directory: Path | None, as_json: bool) -> None:
    """Count events, bytes, rates and missing numbers by hour, process and kind.

    \b
    Example:
      pipeline capture stats --json
    """
    from pipeline.capture.verifying import stats as count

    rows = count(spool_directories(directory))
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        rate = "" if row["per_second"] is None else f"{row['per_second']:>12,.1f}/s"
        missing = f"  {row['missing']} numbers missing" if row["missing"] else ""
        line = "{hour} {process} {kind:<22} {events:>9,} {bytes:>13,} B".format(**row)
        click.echo(f"{line} {rate:>14}{missing}")
    click.echo(
        f"{sum(row['events'] for row in rows):,} events, {sum(row['bytes'] for row in rows):,} bytes",
        err=True,
    )


@capture.command()
@_directory
@_as_json
def verify(directory: Path | None, as_json: bool) -> None:
    """Check every line's checksum and body, and every process's numbers; exit code 1 where something is
    wrong.

    Notes are no faults: the last line of a killed process, numbers whose segment the loader archived.

    \b
    Example:
      pipeline capture verify
    """
    import msgspec

    from pipeline.capture.verifying import PROBLEM
    from pipeline.capture.verifying import verify as check

    found = check(spool_directories(directory))
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    else:
        for finding in found:
            where = f"{finding.segment} line {finding.line}" if finding.line else finding.segment
            click.echo(f"{finding.severity}: {where}: {finding.text}")
    problems = sum(finding.severity == PROBLEM for finding in found)
    if problems:
        raise PipelineError(
            f"Verifying the spool: {problems} problem(s), as listed; events around them are sound."
        )


@capture.command()
@click.option("--tasks", type=click.IntRange(1), default=100, show_default=True, help="How many tasks.")
@click.option("--seed", type=int, default=1, show_default=True, help="Same seed, same tasks.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Tasks per second at most.")
@_directory
@_as_json
def simulate(tasks: int, seed: int, rate: float | None, directory: Path | None, as_json: bool) -> None:
    """Record simulated tasks, marked synthetic, through the real interceptors and configs/privacy.yaml.

    \b
    Example:
      pipeline capture simulate --tasks 1000 --seed 7
    """
    from pipeline.capture.recorder import Recorder
    from pipeline.capture.simulating.arbiter import simulate as run

    policies = config_directory() / "privacy.yaml"
    with Recorder(directory, application="simulate", synthetic=True, privacy_file=policies) as recorder:
        run(recorder, tasks, seed, rate=rate)
    report = {"tasks": tasks, "seed": seed, "directory": str(recorder.directories[0]), **recorder.report()}
    click.echo(
        json.dumps(report)
        if as_json
        else f"{tasks} tasks, {report['written']} events, {report['bytes_written']:,} bytes in {report['directory']}"  # noqa: E501
    )
