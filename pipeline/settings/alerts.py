"""``configs/alerts.yaml``: which condition tells whom, how loudly, and what it stops.

What belongs here: the file's model. What does not: evaluating conditions (``pipeline.telemetry.alerting``).
"""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator

from pipeline.settings.files import Settings, load_settings
from pipeline.settings.places import config_directory

Severity = Literal["info", "warning", "error", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "error", "critical")

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}\Z", re.ASCII)
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,62}\Z", re.ASCII)


class Webhook(Settings):
    """Where alerts are posted: the environment variable that holds the address, and bounds."""

    address_variable: str = "PIPELINE_ALERT_WEBHOOK"
    timeout_seconds: float = Field(5, gt=0, le=60)
    least_severity: Severity = "warning"
    attempts: int = Field(8, ge=1, le=100)

    @field_validator("address_variable")
    @classmethod
    def _is_variable(cls, value: str) -> str:
        if not _VARIABLE.match(value):
            raise ValueError(f"{value[:40]!r} is no name of an environment variable (capitals, digits, _)")
        return value


class Alert(Settings):
    """One alert; see the head of the file."""

    name: str
    condition: str = Field(min_length=1, max_length=2000)
    severity: Severity
    action: str = Field(min_length=1, max_length=500)
    table: Literal["metrics", "agents"] = "metrics"
    effect: Literal["none", "halt"] = "none"
    about: Literal["real", "synthetic", "any"] = "real"
    early: bool = False
    cool_down_hours: int = Field(0, ge=0, le=24 * 30)

    @field_validator("name")
    @classmethod
    def _is_name(cls, value: str) -> str:
        if not _NAME.match(value):
            raise ValueError(f"{value[:40]!r} is no name such as low-collection-rate")
        return value


class AlertSettings(Settings):
    """The whole file."""

    webhook: Webhook = Webhook()
    alerts: tuple[Alert, ...]

    @field_validator("alerts")
    @classmethod
    def _named_once(cls, alerts: tuple[Alert, ...]) -> tuple[Alert, ...]:
        names = [alert.name for alert in alerts]
        if len(set(names)) < len(names):
            raise ValueError("two alerts have the same name")
        return alerts


def load_alerts() -> AlertSettings:
    """The settings in force; raises ``ConfigurationError``."""
    return load_settings(config_directory() / "alerts.yaml", AlertSettings)
