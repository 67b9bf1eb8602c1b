"""``pipeline capture serve``: the OTLP/HTTP intake."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.errors import InputError

if TYPE_CHECKING:
    from pipeline.capture.otel.server import Intake
    from pipeline.capture.otel.writing import SpanWriter


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option(
    "--port", default=4318, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one."
)
@click.option("--key-variable", help="Environment variable that holds the key clients must send.")
@click.option("--spans-per-second", default=10_000.0, show_default=True, type=click.FloatRange(min=1))
@click.option(
    "--directory", type=click.Path(file_okay=False, path_type=Path), help="Spool; that of the data folder."
)
def serve(
    host: str, port: int, key_variable: str | None, spans_per_second: float, directory: Path | None
) -> None:
    """Take spans of OpenTelemetry exporters (OTLP/HTTP at /v1/traces) into the spool.

    \b
    Examples:
      pipeline capture serve
      OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 opentelemetry-instrument python agent.py
      INTAKE_KEY=… pipeline capture serve --host 0.0.0.0 --key-variable INTAKE_KEY
    """
    key = os.environ.get(key_variable) if key_variable else None
    if key_variable and not key:
        raise click.UsageError(f"--key-variable names {key_variable}, which is not set.")
    if key is None and host not in ("127.0.0.1", "localhost", "::1"):
        raise click.UsageError(f"Listening at {host} needs a key: name its variable with --key-variable.")
    writer = _writer(directory)
    intake = _intake(writer, host, port, key, spans_per_second)

    def stop(*_: object) -> None:
        threading.Thread(target=intake.shutdown, daemon=True).start()

    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, stop)
    click.echo(f"Taking spans at http://{host}:{intake.server_address[1]}/v1/traces into {writer.directory}")
    with intake:
        intake.serve_forever(poll_interval=0.1)
    try:
        writer.close()
    except OSError as error:
        raise InputError(
            f"Stopping: the last report could not be written ({error.strerror}); every answered span is in "
            "the spool."
        ) from error
    click.echo("Stopped; everything that was answered is in the spool.", err=True)


def _writer(directory: Path | None) -> SpanWriter:
    """What writes spans into the spool, behind the door that configs/privacy.yaml describes."""
    from pipeline.capture.otel.writing import SpanWriter
    from pipeline.privacy.policies import make_redactor
    from pipeline.settings.privacy import load_privacy

    try:
        return SpanWriter(directory, redactor=make_redactor(load_privacy(), surface="capture"))
    except OSError as error:
        raise InputError(
            f"Opening the spool: neither it nor its second directory can be written ({error.strerror}); free "
            "space or set PIPELINE_SPOOL_FALLBACK, then start again."
        ) from error


def _intake(writer: SpanWriter, host: str, port: int, key: str | None, spans_per_second: float) -> Intake:
    """The server, listening."""
    from pipeline.capture.otel.server import Intake, Limits

    try:
        return Intake(writer, host=host, port=port, key=key, limits=Limits(spans_per_second=spans_per_second))
    except OSError as error:
        writer.close()
        raise InputError(
            f"Listening at {host}, port {port}: {error.strerror}; end what listens there, or take another "
            "--port (0 takes a free one)."
        ) from error
