"""Telling somebody: alerts posted to a webhook, deliveries and acknowledgements remembered.

What belongs here: what is due, posting it within bounds, ``telemetry.alert_answers``. What does not: which
alerts fire (``alerting``). Posting happens apart from the hour, which never waits for it: a sensor, or
`pipeline alerts send`, posts what is due and tries again what failed.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from pipeline.errors import ConfigurationError, InputError
from pipeline.hours import now
from pipeline.settings.addresses import redact_url
from pipeline.settings.alerts import SEVERITIES, Webhook
from pipeline.telemetry.aggregate_tables import ALERT_ANSWERS, ALERTS
from pipeline.telemetry.halting import lift
from pipeline.warehouse.store import Warehouse

OLDEST_DAYS = 7
"""Alerts of older hours are not posted any more: a backfill of last month wakes nobody."""

WEBHOOK = "webhook"
_SHOWN = ("alert_id", "name", "subject", "severity", "action", "effect", "synthetic", "facts")

Post = Callable[[str, dict[str, Any], float], None]
"""Posts JSON to an address within seconds; raises ``InputError`` where it was not accepted."""

log = logging.getLogger(__name__)


def due(warehouse: Warehouse, webhook: Webhook, at: datetime) -> pl.DataFrame:
    """Alerts that fired, are severe enough, not too old, not delivered and not given up; oldest first."""
    answers = warehouse.read_all(ALERT_ANSWERS)
    delivered = answers.filter(pl.col("what") == "delivered")["alert_id"].unique().to_list()
    failed = answers.filter(pl.col("what") == "failed").group_by("alert_id").len()
    given_up = failed.filter(pl.col("len") >= webhook.attempts)["alert_id"].to_list()
    severe = SEVERITIES[SEVERITIES.index(webhook.least_severity) :]
    return (
        warehouse.read_all(ALERTS)
        .filter(
            (pl.col("state") == "fired")
            & pl.col("severity").is_in(severe)
            & (pl.col("hour") >= at - timedelta(days=OLDEST_DAYS))
            & ~pl.col("alert_id").is_in([*delivered, *given_up])
        )
        .sort("hour", "name", "subject")
    )


def send_due(warehouse: Warehouse, webhook: Webhook, post: Post | None = None) -> tuple[int, int]:
    """Post what is due; how many were delivered and how many failed. Nothing where no address is set."""
    address = os.environ.get(webhook.address_variable)
    if not address:
        return 0, 0
    answers = []
    for row in due(warehouse, webhook, now()).iter_rows(named=True):
        message = {"hour": row["hour"].isoformat(), **{name: row[name] for name in _SHOWN}}
        try:
            (post or post_json)(address, message, webhook.timeout_seconds)
        except InputError as error:
            log.warning("alert %s (%s) was not delivered: %s", row["alert_id"], row["name"], error)
            answers.append(_answer(row["alert_id"], "failed", WEBHOOK, str(error)))
        else:
            answers.append(_answer(row["alert_id"], "delivered", WEBHOOK, "accepted"))
    remember(warehouse, answers)
    delivered = sum(answer["what"] == "delivered" for answer in answers)
    return delivered, len(answers) - delivered


def acknowledge(warehouse: Warehouse, alert_id: str, person: str, remark: str) -> bool:
    """Remember that somebody has looked, and end the alert's halt; whether nothing is halted any more.

    Raises ``InputError`` for an alert that there is not.
    """
    if alert_id not in warehouse.read_all(ALERTS)["alert_id"].to_list():
        raise InputError(
            f"Acknowledging {alert_id[:40]!r}: there is no such alert; see `pipeline alerts list`."
        )
    remember(warehouse, [_answer(alert_id, "acknowledged", person, remark)])
    return lift(alert_id)


def acknowledged_ids(warehouse: Warehouse) -> list[str]:
    """The alerts that somebody acknowledged."""
    answers = warehouse.read_all(ALERT_ANSWERS)
    return answers.filter(pl.col("what") == "acknowledged")["alert_id"].unique().sort().to_list()


def remember(warehouse: Warehouse, answers: list[dict[str, Any]]) -> None:
    """Append rows to ``telemetry.alert_answers``."""
    if answers:
        standing = warehouse.read_all(ALERT_ANSWERS)
        rows = [{"number": number, **answer} for number, answer in enumerate(answers, standing.height)]
        warehouse.replace_all(ALERT_ANSWERS, pl.concat([standing, ALERT_ANSWERS.frame(rows)]))


def post_json(address: str, message: dict[str, Any], timeout_seconds: float) -> None:
    """One POST of JSON, no redirects; raises ``InputError`` (the address without secrets) where it fails."""
    import httpx  # slow to import, and only posting needs it

    if not address.startswith(("https://", "http://")):
        raise ConfigurationError(
            "Posting an alert: the webhook's address is no http or https address; correct the variable."
        )
    shown = redact_url(address).split("?")[0]
    shown = "/".join(shown.split("/")[:3])  # the path of a webhook is its secret
    try:
        answer = httpx.post(address, json=message, timeout=timeout_seconds, follow_redirects=False)
    except httpx.HTTPError as error:
        raise InputError(
            f"Posting to {shown}: {type(error).__name__}; it is tried again later, look whether it is up."
        ) from error
    if not answer.is_success:
        raise InputError(f"Posting to {shown}: it answered {answer.status_code}; it is tried again later.")


def _answer(alert_id: str, what: str, channel: str, detail: str) -> dict[str, Any]:
    return {"alert_id": alert_id, "what": what, "channel": channel, "happened_at": now(), "detail": detail}
