"""``pipeline alerts``: what fired, who has looked, what is still to be told."""

from __future__ import annotations

import getpass

import click
import polars as pl

from pipeline.cli.printing import format_options, print_frame
from pipeline.hours import now
from pipeline.settings.alerts import load_alerts
from pipeline.telemetry.aggregate_tables import ALERT_ANSWERS, ALERTS
from pipeline.telemetry.alerting import check_conditions
from pipeline.telemetry.halting import standing_halts
from pipeline.telemetry.notifying import acknowledge as acknowledge_alert
from pipeline.telemetry.notifying import send_due
from pipeline.warehouse.places import warehouse_path
from pipeline.warehouse.store import Warehouse


@click.group()
def alerts() -> None:
    """Alerts of configs/alerts.yaml: list, acknowledge, send."""


@alerts.command("list")
@click.option("--days", default=7.0, show_default=True, help="How far back.")
@click.option("--all", "everything", is_flag=True, help="Acknowledged ones and those in their cool-down too.")
@format_options
def list_alerts(days: float, everything: bool, form: str | None) -> None:
    """Print the alerts that fired and nobody has acknowledged, newest first.

    \b
    Examples:
      pipeline alerts list
      pipeline alerts list --all --json
    """
    warehouse = Warehouse(warehouse_path())
    found = warehouse.read_all(ALERTS)
    answers = warehouse.read_all(ALERT_ANSWERS)
    for what in ("acknowledged", "delivered"):
        ids = answers.filter(pl.col("what") == what)["alert_id"].unique().to_list()
        found = found.with_columns(pl.col("alert_id").is_in(ids).alias(what))
    halting = [halt.get("alert_id") for halt in standing_halts()]
    found = found.with_columns(halts=pl.col("alert_id").is_in(halting)).filter(
        pl.col("hour") >= now() - pl.duration(days=days)
    )
    if not everything:
        found = found.filter((pl.col("state") == "fired") & ~pl.col("acknowledged"))
    shown = found.sort("hour", "name", "subject", descending=[True, False, False])
    if form is None:
        columns = ["hour", "alert_id", "severity", "name", "subject", "facts", "halts", "delivered", "action"]
        shown = shown.select(columns)
    print_frame(shown, form, title=f"{shown.height} alert(s)")


@alerts.command()
@click.argument("alert_id")
@click.option("--by", "person", default=None, help="Who looked; the user of this machine by default.")
@click.option("--remark", default="", help="What was found.")
def acknowledge(alert_id: str, person: str | None, remark: str) -> None:
    """Say that somebody has looked at ALERT_ID; where it halted exports, they may run again.

    \b
    Example:
      pipeline alerts acknowledge 3f2a9c01b7de --remark "test data, removed"
    """
    free = acknowledge_alert(Warehouse(warehouse_path()), alert_id, person or getpass.getuser(), remark)
    click.echo(f"Acknowledged {alert_id}. " + ("Nothing is halted." if free else "Other alerts still halt."))


@alerts.command()
def send() -> None:
    """Post what is due to the webhook, as the sensor does every minute.

    \b
    Example:
      PIPELINE_ALERT_WEBHOOK=https://hooks.example.org/T0/B0 pipeline alerts send
    """
    delivered, failed = send_due(Warehouse(warehouse_path()), load_alerts().webhook)
    click.echo(f"{delivered} delivered, {failed} to be tried again")
    if failed:
        raise SystemExit(1)


@alerts.command()
def check() -> None:
    """Check every condition of configs/alerts.yaml.

    \b
    Example:
      pipeline alerts check
    """
    settings = load_alerts()
    check_conditions(settings.alerts)
    click.echo(f"{len(settings.alerts)} alert(s), every condition can be evaluated")
