"""The halt: recorders drop text fields and exports refuse, until somebody has acknowledged the alert.

What belongs here: the file ``halt.json`` in the spool folder. What does not: which alerts halt
(``alerting``), how recorders obey (``pipeline.capture.controls``). The file lists the alerts that stand;
without it nothing is halted.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from pipeline.capture.spool import spool_directory
from pipeline.documents import parse_json, read_bytes
from pipeline.errors import PipelineError
from pipeline.hours import now

FILE = "halt.json"


class HaltedError(PipelineError):
    """An alert with the effect ``halt`` stands and was not acknowledged."""


def standing_halts(directory: Path | None = None) -> list[dict[str, Any]]:
    """The halts that stand: ``alert_id, name, hour, since`` each. A file nobody can read counts as a halt."""
    place = (directory or spool_directory()) / FILE
    if not place.exists():
        return []
    try:
        document = parse_json(read_bytes(place), FILE)
    except PipelineError as error:
        return [{"alert_id": "unreadable", "name": str(error), "hour": "", "since": ""}]
    halts = document.get("halts") if isinstance(document, dict) else None
    if not isinstance(halts, list):
        return [{"alert_id": "unreadable", "name": f"{FILE} has no list of halts", "hour": "", "since": ""}]
    return [halt for halt in halts if isinstance(halt, dict)]


def halt(alert_id: str, name: str, hour: str, directory: Path | None = None) -> None:
    """Let recorders drop text and exports refuse because of this alert; the same alert again changes
    nothing.
    """
    halts = standing_halts(directory)
    if all(standing.get("alert_id") != alert_id for standing in halts):
        since = now().isoformat()
        _write([*halts, {"alert_id": alert_id, "name": name, "hour": hour, "since": since}], directory)


def lift(alert_id: str, directory: Path | None = None) -> bool:
    """End the halt of this alert; whether nothing is halted any more."""
    left = [halt for halt in standing_halts(directory) if halt.get("alert_id") != alert_id]
    _write(left, directory)
    return not left


def refuse_if_halted(directory: Path | None = None) -> None:
    """For exports, before they read anything: raises ``HaltedError`` while a halt stands."""
    halts = standing_halts(directory)
    if halts:
        first = halts[0]
        raise HaltedError(
            f"Exporting is halted by {len(halts)} alert(s), first {first.get('name')} "
            f"({first.get('alert_id')}, hour {first.get('hour')}); look into it, then run "
            f"`pipeline alerts acknowledge {first.get('alert_id')}`. Trying again before does not help."
        )


def _write(halts: list[dict[str, Any]], directory: Path | None) -> None:
    """Replace the file at once, so that no recorder reads half of it; without halts there is no file."""
    place = (directory or spool_directory()) / FILE
    if not halts:
        place.unlink(missing_ok=True)
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=".halt-", dir=place.parent)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"drop_text": True, "halts": halts}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    Path(name).chmod(0o644)
    Path(name).replace(place)
