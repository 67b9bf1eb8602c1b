"""``pipeline capture``: events in."""

from __future__ import annotations

import click

from pipeline.cli.capture_serve import serve


@click.group()
def capture() -> None:
    """Events of agents: taken in, looked at, loaded again."""


capture.add_command(serve)
