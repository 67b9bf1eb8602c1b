"""``pipeline capture``: follow, count, check and fill the spool of recorded events."""

from __future__ import annotations

import importlib.util
import json
import time
from pathlib import Path

import click

from pipeline.capture.spool import Broken, read_segment, segments, spool_directories
from pipeline.cli.capture_serve import serve
from pipeline.errors import PipelineError


class _Commands(click.Group):
    """``redrive`` belongs to the loader and is loaded only when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *(["redrive"] if _has_redrive() else [])})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == "redrive" and _has_redrive():
            module = importlib.import_module("pipeline.cli.capture_redrive")
            command: click.Command = module.redrive
            return command
        return super().get_command(ctx, cmd_name)


def _has_redrive() -> bool:
    return importlib.util.find_spec("pipeline.cli.capture_redrive") is not None


_directory = click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="Spool; that of the data folder by default.",
)
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(cls=_Commands)
def capture() -> None:
    """What agents did, as it is recorded: follow it, count it, check it, simulate it."""


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
            for line in read_segment(segment.path, offset, first_line=number):
                seen[segment.path] = (line.offset + len(line.raw), line.number + 1)
                event = line.event
                if isinstance(event, Broken):
                    click.echo(f"{segment.path.name} line {line.number}: {event.reason}", err=True)
                elif (kind is None or event.kind == kind) and (task is None or event.subject == task):
                    click.echo(
                        line.raw[9:].decode().rstrip("\n")
                        if as_json
                        else f"{segment.hour} {event.kind:<22} {event.subject} {bytes(event.body).decode()[:160]}"  # noqa: E501
                    )
        if once:
            return
        time.sleep(0.5)


@capture.command()
@_directory
@_as_json
def stats(directory: Path | None, as_json: bool) -> None:
    """Count events and bytes by hour, process and kind.

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
        click.echo("{hour} {process} {kind:<22} {events:>9,} {bytes:>13,} B".format(**row))
    click.echo(
        f"{sum(row['events'] for row in rows):,} events, {sum(row['bytes'] for row in rows):,} bytes",
        err=True,
    )


@capture.command()
@_directory
@_as_json
def verify(directory: Path | None, as_json: bool) -> None:
    """Check every line's checksum and body, and every process's sequence; exit code 1 where something is
    wrong.

    \b
    Example:
      pipeline capture verify
    """
    from pipeline.capture.verifying import verify as check

    problems = check(spool_directories(directory))
    if as_json:
        click.echo(json.dumps(problems))
    else:
        for problem in problems:
            click.echo(f"{problem['segment']} line {problem['line']}: {problem['problem']}")
    if problems:
        raise PipelineError(
            f"Verifying the spool: {len(problems)} problem(s), as listed; events around them are sound."
        )


@capture.command()
@click.option("--tasks", type=click.IntRange(1), default=100, show_default=True, help="How many tasks.")
@click.option("--seed", type=int, default=1, show_default=True, help="Same seed, same tasks.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Tasks per second at most.")
@_directory
@_as_json
def simulate(tasks: int, seed: int, rate: float | None, directory: Path | None, as_json: bool) -> None:
    """Record simulated tasks, marked synthetic, through the real interceptors.

    \b
    Example:
      pipeline capture simulate --tasks 1000 --seed 7
    """
    from pipeline.capture.recorder import Recorder
    from pipeline.capture.simulating.arbiter import simulate as run

    with Recorder(directory, application="simulate", synthetic=True) as recorder:
        run(recorder, tasks, seed, rate=rate)
    report = {"tasks": tasks, "seed": seed, "directory": str(recorder.directories[0]), **recorder.report()}
    click.echo(
        json.dumps(report)
        if as_json
        else f"{tasks} tasks, {report['written']} events, {report['bytes_written']:,} bytes in {report['directory']}"  # noqa: E501
    )
