"""The ``pipeline`` command: parse, call, print.

What belongs here: one module per group of commands, thin. Data goes to stdout, progress and errors
to stderr; the exit code is 0 when done, 1 when something failed, 2 when called wrongly. What does
not: computing; every command calls a function of a domain.
"""

from __future__ import annotations

import os
import sys

import click

from pipeline import __version__
from pipeline.errors import PipelineError


class _Commands(click.Group):
    """Loads a command's module when it is asked for, so that ``--help`` and small commands start fast."""

    modules = {  # noqa: RUF012 - click reads it as a plain mapping
        "run": "pipeline.cli.run",
        "ui": "pipeline.cli.run",
        "query": "pipeline.cli.query",
        "tables": "pipeline.cli.query",
        "models": "pipeline.cli.models",
        "privacy": "pipeline.cli.privacy",
        "collect": "pipeline.cli.collect",
        "telemetry": "pipeline.cli.telemetry",
        "alerts": "pipeline.cli.alerts",
        "export": "pipeline.cli.export",
        "training": "pipeline.cli.training",
        "capture": "pipeline.cli.capture",
    }

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.modules:
            return None
        module = __import__(self.modules[cmd_name], fromlist=[cmd_name])
        command: click.Command = getattr(module, cmd_name)
        return command


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="pipeline")
def pipeline() -> None:
    """Model facts, benchmark scores and live analytics in; validated category scores out.

    \b
    Examples:
      pipeline run                       materialise the main job for the running hour
      pipeline models top coding         the best models of a category
      pipeline tables                    what the warehouse holds
      pipeline query "SELECT count(*) FROM capability.rankings"
    """


def main() -> None:
    """Entry point; turns the project's errors into one sentence on stderr and exit code 1."""
    try:
        pipeline.main(standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped.", err=True)
        sys.exit(1)
    except PipelineError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
    except BrokenPipeError:
        # The reader (head, less) has seen enough; nothing failed.
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        # A full disk, a folder that cannot be written: nothing a traceback would explain better.
        place = f" ({error.filename})" if error.filename else ""
        click.echo(f"Error: {error.strerror or error}{place}; mend that and run the command again.", err=True)
        _forget_output()
        sys.exit(1)


def _forget_output() -> None:
    """Let go of what standard output could not take, or Python fails once more at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
