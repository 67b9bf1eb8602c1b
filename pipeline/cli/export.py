"""``pipeline export``: training data out, checked, traced and shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.printing import plain
from pipeline.errors import InputError, PipelineError
from pipeline.settings.exports import KINDS, default_criteria, load_criteria

if TYPE_CHECKING:
    from pipeline.settings.exports import Kind
    from pipeline.training.repository import Written
    from pipeline.training.tracing import Trace

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def export() -> None:
    """Training data as dataset repositories that trainers load unchanged; verify, trace and preview them.

    \b
    Examples:
      pipeline export sft --out data/exports/sft
      pipeline export preferences --criteria configs/exports/mine.yaml --out pairs
      pipeline export verify pairs
      pipeline export trace pairs train:0
      pipeline export preview kto
    """


def _kind_command(kind: Kind) -> click.Command:
    @click.command(name=kind, help=_HELP[kind])
    @click.option(
        "--criteria",
        "file",
        type=click.Path(dir_okay=False, path_type=Path),
        help=f"Criteria; configs/exports/{kind}.yaml by default.",
    )
    @click.option(
        "--out",
        "directory",
        required=True,
        type=click.Path(file_okay=False, path_type=Path),
        help="Directory to write; it must not exist.",
    )
    @click.option("--overwrite", is_flag=True, help="Replace the directory once the new one is whole.")
    @click.option("--include-synthetic", is_flag=True, help="Take rows of simulators and stubs too.")
    @_json
    def command(
        file: Path | None, directory: Path, overwrite: bool, include_synthetic: bool, as_json: bool
    ) -> None:
        from pipeline.training.examples.records import Records
        from pipeline.training.exporting import export as write
        from pipeline.warehouse.places import warehouse_path
        from pipeline.warehouse.store import Warehouse

        criteria = load_criteria(file or default_criteria(kind), kind)
        if include_synthetic:
            criteria = criteria.model_copy(update={"include_synthetic": True})
        written = write(Records(Warehouse(warehouse_path())), criteria, directory, overwrite=overwrite)
        _say_written(written, as_json)

    return command


_HELP = {
    "sft": "Prompts and completions of highly scored artifacts, for TRL's SFTTrainer.",
    "preferences": "Pairs of a chosen and a rejected completion, for TRL's DPOTrainer.",
    "rewards": "Margin pairs for TRL's RewardTrainer, and scalar scores beside them.",
    "kto": "Completions labelled good or bad, for TRL's KTOTrainer.",
    "reasoning": "Completions with the reasoning recorded in spans, for TRL's SFTTrainer.",
    "grpo": "Prompts with what is known of their answers, for TRL's GRPOTrainer.",
    "verl": "Prompts with ground truth, for verl.",
    "openai-sft": "Conversations for OpenAI's supervised fine-tuning.",
    "openai-dpo": "Pairs for OpenAI's preference fine-tuning.",
    "atif": "Whole runs as ATIF trajectories.",
}

for _kind in KINDS:
    export.add_command(_kind_command(_kind))


@export.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--canaries",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Texts, one a line, that must stand in no file.",
)
@_json
def verify(directory: Path, canaries: Path | None, as_json: bool) -> None:
    """Check an export again from its files alone: checksums, hashes, format, prompts, splits, privacy,
    counts.

    \b
    Examples:
      pipeline export verify pairs
      pipeline export verify pairs --canaries planted.txt --json
    """
    from pipeline.privacy.policies import make_detector
    from pipeline.settings.privacy import load_privacy
    from pipeline.training.verifying import verify as check

    planted = canaries.read_text(encoding="utf-8").splitlines() if canaries else []
    report = check(directory, make_detector(load_privacy()), planted)
    if as_json:
        click.echo(
            json.dumps(
                {
                    "passed": report.passed,
                    "rows": report.rows,
                    "checks": report.checks,
                    "problems": report.problems,
                },
                ensure_ascii=False,
                indent=1,
            )
        )
    else:
        for name in report.checks:
            sentences = report.problems.get(name, [])
            click.echo(f"{name}: {'passed' if not sentences else f'{len(sentences)} problem(s)'}")
            for sentence in sentences:
                click.echo(f"  {sentence}")
    if not report.passed:
        raise PipelineError(
            f"Verifying {directory.name}: {len(report.problems)} of {len(report.checks)} checks "
            "failed, as said above; "
            "do not train on it, export it again."
        )
    if not as_json:
        click.echo(f"{report.rows:,} rows, {len(report.checks)} checks passed.", err=True)


@export.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("row")
@_json
def trace(directory: Path, row: str, as_json: bool) -> None:
    """Lead ROW of an export (split:index, part:split:index or a hash) back to its records and raw events.

    \b
    Examples:
      pipeline export trace pairs train:0
      pipeline export trace rewards scores:test:3 --json
    """
    from pipeline.training.tracing import trace as lead_back
    from pipeline.warehouse.places import warehouse_path
    from pipeline.warehouse.store import Warehouse

    found = lead_back(directory, row, Warehouse(warehouse_path()))
    if as_json:
        origins = [plain(origin._asdict()) for origin in found.origins]
        click.echo(
            json.dumps(
                {"entry": found.entry, "row": found.row, "origins": origins}, ensure_ascii=False, indent=1
            )
        )
    else:
        _print_trace(found)
    if not any(origin.table or origin.raw for origin in found.origins):
        raise InputError(
            f"Tracing {row}: none of its {len(found.origins)} events is in this warehouse or spool; "
            "run this where the data are (PIPELINE_DATA_DIR)."
        )


@export.command()
@click.argument("what")
@click.option(
    "--rows", default=3, show_default=True, type=click.IntRange(1, 100), help="How many rows to show."
)
@click.option(
    "--split", default="train", show_default=True, type=click.Choice(["train", "validation", "test"])
)
@click.option("--part", default="default", show_default=True, help="Configuration of the repository.")
@_json
def preview(what: str, rows: int, split: str, part: str, as_json: bool) -> None:
    """Show rows as a person reads them: of an exported DIR, or of a KIND as it would be exported now.

    \b
    Examples:
      pipeline export preview data/exports/sft --rows 5
      pipeline export preview preferences
    """
    shown = _of_kind(what, rows, part) if what in KINDS else _of_directory(Path(what), rows, split, part)
    if as_json:
        click.echo(json.dumps(shown, ensure_ascii=False, indent=1))
        return
    from pipeline.cli.export_reading import print_row

    for number, (entry, row) in enumerate(shown):
        print_row(entry, row, title=f"{what} {part} row {number}")


def _of_directory(directory: Path, rows: int, split: str, part: str) -> list[tuple[dict[str, Any], Any]]:
    from pipeline.training.tracing import read_row
    from pipeline.training.verifying import read_manifest

    if not directory.is_dir():
        raise click.UsageError(f"{directory} is neither a directory nor a kind ({', '.join(KINDS)}).")
    manifest = read_manifest(directory)
    entries = [entry for entry in manifest["rows"] if (entry["part"], entry["split"]) == (part, split)]
    return [(entry, read_row(directory, manifest, entry)) for entry in entries[:rows]]


def _of_kind(kind: Any, rows: int, part: str) -> list[tuple[dict[str, Any], Any]]:
    from pipeline.training.examples.records import Records
    from pipeline.training.exporting import collect, door, too_few
    from pipeline.warehouse.places import warehouse_path
    from pipeline.warehouse.store import Warehouse

    criteria = load_criteria(default_criteria(kind), kind).model_copy(update={"maximum_rows": rows})
    collected = collect(Records(Warehouse(warehouse_path())), criteria, door(criteria)[1])
    if not collected.examples:
        raise InputError(too_few(criteria, collected))
    return [
        (
            {
                "rule": example.rule,
                "score": example.score,
                "margin": example.margin,
                "tokens": example.tokens,
                "source": example.source,
                "agent_version": example.agent_version,
            },
            example.row,
        )
        for example in collected.examples
        if example.part == part
    ][:rows]


def _say_written(written: Written, as_json: bool) -> None:
    counts = written.manifest["counts"]
    if as_json:
        summary = {
            "directory": str(written.directory),
            "digest": written.digest,
            "counts": counts,
            "splits": {
                name: {split: facts["rows"] for split, facts in part["splits"].items()}
                for name, part in written.manifest["parts"].items()
            },
        }
        click.echo(json.dumps(summary, ensure_ascii=False, indent=1))
        return
    click.echo(f"{counts['rows']:,} rows of {counts['artifacts']:,} artifacts in {written.directory}")
    for name, part in written.manifest["parts"].items():
        for split, facts in part["splits"].items():
            click.echo(f"  {name} {split}: {facts['rows']:,}")
    for what in ("refused", "dropped"):
        for reason, count in counts[what].items():
            click.echo(f"  left out, {reason}: {count:,}", err=True)


def _print_trace(found: Trace) -> None:
    from pipeline.cli.export_reading import print_row

    print_row(found.entry, found.row, title="Row")
    for origin in found.origins:
        record = origin.record
        click.echo(
            f"{origin.event_id}  {origin.table or 'in no table'}  session {record.get('session_id', '?')}"
        )
        if record:
            click.echo(
                f"  happened {record['happened_at']:%Y-%m-%d %H:%M:%S} UTC, recorded by {record['source']}"
            )
        click.echo(f"  raw: {origin.raw_file or 'neither archived nor in the spool'}")
