"""``configs/telemetry.yaml``: how events are loaded, and what is expected of the collection.

What belongs here: the file's model, a room for each concern. What does not: loading and measuring.
"""

from __future__ import annotations

from pydantic import Field

from pipeline.settings.files import Settings, load_settings
from pipeline.settings.places import config_directory


class Loading(Settings):
    """How events become tables.

    ``lateness_hours``: an event that comes later than this after the end of its hour, when that hour was
    loaded already, is kept and reported but not loaded. ``task_horizon_hours``: how many following hours
    are searched for the later events of a task. The events of an hour's tasks are scanned again for private
    data behind privacy's door: all of them where they are at most ``audited_whole_events``, else those of
    ``audited_share`` of the tasks, drawn by a hash of their id; a share of 0 scans none. ``low_score``: below it, success is called
    inconsistent.
    """

    lateness_hours: float = Field(48, ge=0, le=24 * 366)
    task_horizon_hours: int = Field(6, ge=0, le=48)
    audited_share: float = Field(0.05, ge=0, le=1)
    audited_whole_events: int = Field(50_000, ge=0)
    low_score: float = Field(0.5, ge=0, le=1)
    high_score: float = Field(0.9, ge=0, le=1)


class TelemetrySettings(Settings):
    """The whole file."""

    loading: Loading = Loading()


def load_telemetry() -> TelemetrySettings:
    """The settings in force; raises ``ConfigurationError``."""
    return load_settings(config_directory() / "telemetry.yaml", TelemetrySettings)
