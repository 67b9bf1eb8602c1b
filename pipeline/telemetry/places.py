"""Where archived events lie.

What belongs here: the archive's folders and their names. What does not: the spool's
(``pipeline.capture.spool``).
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from pipeline.hours import Hour
from pipeline.settings.places import data_directory

LOADED_MARK = "loaded"
"""An empty file in an hour's folder: the hour was loaded after it was over, so what comes now is late."""

_FOLDER = "%Y-%m-%d-%H"


def archive_directory() -> Path:
    """Folder of all archived segments, by hour."""
    return data_directory() / "raw" / "events"


def snapshot_directory() -> Path:
    """Folder of what was read of segments that are still open; made again at each reading."""
    return data_directory() / "cache" / "open_events"


def hour_folder(directory: Path, hour: Hour) -> Path:
    """The folder of ``hour`` in archive, snapshots or spool."""
    return directory / hour.start.strftime(_FOLDER)


def hour_of_folder(name: str) -> Hour | None:
    """The hour whose folder has this name; none where it is no hour's."""
    try:
        start = datetime.strptime(name, _FOLDER).replace(tzinfo=UTC)
    except ValueError:
        return None
    return Hour(start) if start.strftime(_FOLDER) == name else None
