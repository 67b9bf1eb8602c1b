"""``configs/telemetry.yaml``: loading, who is expected, targets, cleaning, comparisons, keeping.

What belongs here: the file's model. What does not: alerts (``pipeline.settings.alerts``) and computing.
"""

from __future__ import annotations

from pydantic import Field, field_validator, model_validator

from pipeline.settings.files import Settings, load_settings
from pipeline.settings.places import config_directory

FILE = "telemetry.yaml"


class Loading(Settings):
    """How events become tables.

    ``lateness_hours``: an event that comes later than this after the end of its hour, when that hour was
    loaded already, is kept and reported but not loaded. ``task_horizon_hours``: how many following hours
    are searched for the later events of a task. The events of an hour's tasks are scanned again for private
    data behind privacy's door: all of them where they are at most ``audited_whole_events``, else those of
    ``audited_share`` of the tasks, drawn by a hash of their id; a share of 0 scans none.
    ``low_score``: below it, success is called inconsistent.
    """

    lateness_hours: float = Field(48, ge=0, le=24 * 366)
    task_horizon_hours: int = Field(6, ge=0, le=48)
    audited_share: float = Field(0.05, ge=0, le=1)
    audited_whole_events: int = Field(50_000, ge=0)
    low_score: float = Field(0.5, ge=0, le=1)
    high_score: float = Field(0.9, ge=0, le=1)


class ExpectedAgent(Settings):
    """An agent that should be seen, and the tasks it usually does in an hour."""

    name: str = Field(min_length=1, max_length=200)
    tasks_per_hour: float | None = Field(None, ge=0)


class Registry(Settings):
    """The agents that coverage is counted against."""

    agents: tuple[ExpectedAgent, ...] = ()

    @field_validator("agents")
    @classmethod
    def _named_once(cls, agents: tuple[ExpectedAgent, ...]) -> tuple[ExpectedAgent, ...]:
        names = [agent.name for agent in agents]
        if len(set(names)) < len(names):
            raise ValueError("an agent stands twice in the registry")
        return agents


class Targets(Settings):
    """What an hour of collecting should reach: shares from 0 to 1, latency in ms, storage in MB a day."""

    tasks_per_hour: float = Field(10, ge=0)
    validation_failure_rate: float = Field(0.05, ge=0, le=1)
    privacy_violations: int = Field(0, ge=0)
    duplicate_rate: float = Field(0.01, ge=0, le=1)
    agent_coverage: float = Field(1.0, ge=0, le=1)
    task_types: int = Field(5, ge=0)
    execution_coverage: float = Field(0.95, ge=0, le=1)
    routing_coverage: float = Field(1.0, ge=0, le=1)
    evaluation_coverage: float = Field(0.9, ge=0, le=1)
    collection_latency_ms: float = Field(50, gt=0)
    storage_megabytes_per_day: float = Field(100, gt=0)


class Cleaning(Settings):
    """When a value is called an outlier."""

    outlier_deviations: float = Field(5.0, gt=0, le=100)
    minimum_sample: int = Field(30, ge=3)


class Trends(Settings):
    """When two stretches of time are compared, and how many false alarms are borne."""

    minimum_tasks: int = Field(20, ge=2)
    false_discovery_rate: float = Field(0.05, gt=0, lt=1)


class Arms(Settings):
    """How far back a bandit's arms look."""

    window_days: int = Field(30, ge=1, le=730)


class PrivacyScan(Settings):
    """How much of an hour's text is looked at behind the door."""

    share: float = Field(1.0, ge=0, le=1)
    maximum_megabytes: float = Field(64, gt=0)


class Retention(Settings):
    """How long what is kept, in days."""

    hot_days: int = Field(7, ge=1)
    warm_days: int = Field(180, ge=1)
    aggregate_days: int = Field(730, ge=1)

    @model_validator(mode="after")
    def _in_order(self) -> Retention:
        if not self.hot_days <= self.warm_days <= self.aggregate_days:
            raise ValueError("hot_days, warm_days and aggregate_days must not fall")
        return self


class TelemetrySettings(Settings):
    """The whole file."""

    loading: Loading = Loading()
    registry: Registry = Registry()
    targets: Targets = Targets()
    cleaning: Cleaning = Cleaning()
    trends: Trends = Trends()
    arms: Arms = Arms()
    privacy_scan: PrivacyScan = PrivacyScan()
    retention: Retention = Retention()


def load_telemetry() -> TelemetrySettings:
    """The settings in force; raises ``ConfigurationError``."""
    return load_settings(config_directory() / FILE, TelemetrySettings)
