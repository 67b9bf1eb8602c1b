"""``pipeline privacy``: find private data and secrets, act on them, report, and measure the detector."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.printing import format_options, print_frame
from pipeline.errors import PipelineError
from pipeline.privacy.inputs import FORMATS, Numbered, Source, open_source, read_records
from pipeline.privacy.outputs import write_records

if TYPE_CHECKING:
    from pipeline.privacy.acting import Redactor
    from pipeline.privacy.reporting import Located

_format = click.option(
    "--format", "form_in", type=click.Choice(FORMATS), help="Format of the input; by its ending otherwise."
)
_surface = click.option(
    "--surface", default="default", show_default=True, help="Where the records are about to go."
)
_store = click.option(
    "--store", is_flag=True, help="Keep the finds in privacy.findings, under the running hour."
)


@click.group()
def privacy() -> None:
    """Private data and secrets: find them, act on them, measure how well they are found.

    Names of persons, addresses and organisations are not found unless the extra `names` is installed.
    """


@privacy.command()
@click.argument("file")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a record, clean ones too.")
@click.option(
    "--names", is_flag=True, help="Look for names with Presidio and spaCy as well (slow; the extra `names`)."
)
@_format
@_surface
@_store
def scan(file: str, as_json: bool, names: bool, form_in: str | None, surface: str, store: bool) -> None:  # noqa: PLR0917
    """List what FILE (or - for standard input) holds: location, type and rule, never the value.

    \b
    Examples:
      pipeline privacy scan conversations.jsonl
      pipeline privacy scan events.parquet --json
      git log -p | pipeline privacy scan -
    """
    source = open_source(file, form_in)
    failed: list[int] = []
    found: list[Located] = []
    for number, findings in _scanned(source, failed, as_json=as_json, names=names):
        found += findings
        if as_json:
            row = {"record": number, "findings": [item.finding._asdict() for item in findings]}
            click.echo(json.dumps(row, ensure_ascii=False))
    if not as_json:
        _print_found(found)
    if store:
        _keep(found, surface, source.name)
    _fail_if(failed, source)


@privacy.command()
@click.argument("file")
@click.option("--output", default="-", help="File to write; standard output by default.")
@click.option(
    "--quarantine",
    "quarantined",
    type=click.Path(dir_okay=False),
    help="File for the numbers of quarantined records and why.",
)
@click.option("--recipient", help="Whose key pseudonyms are made with; a name from privacy.yaml.")
@_format
@_surface
@_store
def redact(  # noqa: PLR0917
    file: str,
    output: str,
    quarantined: str | None,
    recipient: str | None,
    form_in: str | None,
    surface: str,
    store: bool,
) -> None:
    """Write FILE (or -) as the policy of its surface lets it pass, in the same format.

    Quarantined records are left out and counted on stderr; --quarantine lists their numbers and reasons.

    \b
    Examples:
      pipeline privacy redact conversations.jsonl --output clean.jsonl
      pipeline privacy redact events.csv --surface export.research --recipient research
      tail -f agent.log | pipeline privacy redact -
    """
    from pipeline.privacy.policies import make_redactor
    from pipeline.settings.privacy import load_privacy

    redactor = make_redactor(load_privacy(), surface=surface, recipient=recipient)
    source = open_source(file, form_in)
    _refuse_overwriting(source, output, quarantined)
    found: list[Located] = []
    kept_apart: list[tuple[int, str]] = []
    written = write_records(
        _passed(redactor, read_records(source), found, kept_apart), source.format, output, source.name
    )
    if quarantined is not None:
        _list_quarantined(kept_apart, Path(quarantined))
    if store:
        _keep(found, surface, source.name)
    click.echo(
        f"{written} record(s) written, {len(found)} find(s) acted on, {len(kept_apart)} record(s) quarantined",
        err=True,
    )


@privacy.command()
@click.argument("file", required=False)
@click.option("--partition", "key", help="Hour of privacy.findings, YYYY-MM-DD-HH:00; the newest by default.")
@_format
@_surface
@format_options
def report(file: str | None, key: str | None, form_in: str | None, surface: str, form: str | None) -> None:
    """Count finds by type, rule and action: those of FILE (or -), or those kept in privacy.findings.

    \b
    Examples:
      pipeline privacy report conversations.jsonl
      pipeline privacy report --partition 2026-11-20-10:00 --json
    """
    from pipeline.privacy.reporting import summarise

    if file is None:
        print_frame(summarise(_stored_findings(key)), form, title="Finds in privacy.findings")
        return
    source = open_source(file, form_in)
    failed: list[int] = []
    frame = _scanned_findings(source, surface, failed)
    print_frame(summarise(frame), form, title=f"Finds in {file}")
    _fail_if(failed, source)


@privacy.command()
@click.argument("labelled")
@click.option(
    "--plot", type=click.Path(dir_okay=False), help="Write recall and precision per type as an SVG picture."
)
@format_options
def evaluate(labelled: str, plot: str | None, form: str | None) -> None:
    """Recall and precision per type on LABELLED: JSONL of {text, spans: [{type, start, end}]}.

    \b
    Examples:
      pipeline privacy evaluate labelled.jsonl
      pipeline privacy evaluate labelled.jsonl --json --plot recall.svg
    """
    from pipeline.privacy.evaluating import evaluate as compare
    from pipeline.privacy.policies import make_detector
    from pipeline.settings.privacy import load_privacy

    frame = compare(read_records(open_source(labelled, "jsonl")), make_detector(load_privacy()))
    if plot is not None:
        from pipeline.plots import grouped_bars

        shares = {"recall": frame["recall"].to_list(), "precision": frame["precision"].to_list()}
        Path(plot).write_bytes(grouped_bars("Recall and precision per type", frame["type"].to_list(), shares))
    print_frame(frame, form, title="Recall and precision per type")


def _scanned(
    source: Source, failed: list[int], *, as_json: bool = False, names: bool = False
) -> Iterator[tuple[int, list[Located]]]:
    """The finds of each record that could be scanned; the others are said at once and numbered in ``failed``."""
    from pipeline.privacy.detect import ScanError
    from pipeline.privacy.policies import make_detector
    from pipeline.privacy.reporting import Located
    from pipeline.settings.privacy import load_privacy

    settings = load_privacy()
    detector = make_detector(settings)
    people = _people(settings.detection.names_model) if names else None
    for number, record, _ in read_records(source):
        try:
            findings = detector.scan_record(record)
            findings += people.scan_record(record) if people else []
        except ScanError as error:
            failed.append(number)
            _say_failed(number, error, as_json)
            continue
        yield number, [Located(number, finding) for finding in findings]


def _fail_if(failed: list[int], source: Source) -> None:
    if failed:
        raise PipelineError(
            f"Scanning {source.name}: {len(failed)} record(s) could not be scanned, as said above; keep them apart."
        )


def _refuse_overwriting(source: Source, output: str, quarantined: str | None) -> None:
    """The same file under another name, as links make it, counts too."""
    for option, name in (("--output", output), ("--quarantine", quarantined)):
        target = Path(name) if name and name != "-" else None
        if (
            source.path is not None
            and target is not None
            and target.exists()
            and target.samefile(source.path)
        ):
            raise click.UsageError(f"{option} is the input itself; name another file.")
    if quarantined is not None and Path(quarantined).resolve() == Path(output).resolve():
        raise click.UsageError("--quarantine is the file of --output; name another file.")


def _list_quarantined(kept_apart: list[tuple[int, str]], path: Path) -> None:
    lines = [json.dumps({"record": number, "reason": reason}) + "\n" for number, reason in kept_apart]
    path.write_text("".join(lines), encoding="utf-8")


def _passed(
    redactor: Redactor, records: Iterator[Numbered], found: list[Located], kept_apart: list[tuple[int, str]]
) -> Iterator[Numbered]:
    from pipeline.privacy.reporting import Located

    for item in records:
        outcome = redactor.apply(item.record)
        if outcome.status == "quarantined":
            kept_apart.append((item.number, outcome.reason))
            continue
        found += [
            Located(item.number, finding, action)
            for finding, action in zip(outcome.findings, outcome.actions, strict=True)
        ]
        record = "" if outcome.record is None and isinstance(item.record, str) else outcome.record
        yield item._replace(record=record)


def _print_found(found: list[Located]) -> None:
    import polars as pl

    rows = [{"record": item.record, **item.finding._asdict()} for item in found]
    schema = {
        "record": pl.Int64,
        "type": pl.String,
        "field": pl.String,
        "start": pl.Int64,
        "end": pl.Int64,
        "rule": pl.String,
    }
    print_frame(pl.DataFrame(rows, schema=schema), None, title=f"{len(rows)} find(s)")


def _say_failed(number: int, error: PipelineError, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"record": number, "findings": [], "error": str(error)}))
    click.echo(f"record {number}: {error}", err=True)


def _keep(found: list[Located], surface: str, source: str) -> None:
    from pipeline.hours import Hour
    from pipeline.privacy.reporting import findings_frame, store_findings
    from pipeline.warehouse.places import warehouse_path
    from pipeline.warehouse.store import Warehouse

    hour = Hour.current()
    frame = findings_frame(found, hour=hour, surface=surface, source=source)
    store_findings(Warehouse(warehouse_path()), frame, hour=hour, surface=surface, source=source)


def _stored_findings(key: str | None) -> Any:
    from pipeline.errors import InputError
    from pipeline.hours import Hour
    from pipeline.privacy.tables import FINDINGS
    from pipeline.warehouse.places import warehouse_path
    from pipeline.warehouse.store import Warehouse

    warehouse = Warehouse(warehouse_path())
    hour = Hour.parse(key) if key else warehouse.newest_hour(FINDINGS)
    if hour is None:
        raise InputError(
            "Reading privacy.findings: nothing was stored yet; run `pipeline privacy scan FILE --store` first."
        )
    return warehouse.read_hour(FINDINGS, hour)


def _scanned_findings(source: Source, surface: str, failed: list[int]) -> Any:
    from pipeline.hours import Hour
    from pipeline.privacy.reporting import findings_frame

    found = [item for _, items in _scanned(source, failed) for item in items]
    return findings_frame(found, hour=Hour.current(), surface=surface, source=source.name)


def _people(model: str) -> Any:
    from pipeline.privacy.names import Names

    return Names(model)
