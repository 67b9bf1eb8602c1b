"""Reading a spool back in tests."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.capture.envelope import Envelope
from pipeline.capture.spool import Broken, read_segment, segments
from pipeline.capture.verifying import PROBLEM, verify


def events(*directories: Path) -> list[Envelope]:
    """Every event of these spools; none of their lines may be broken."""
    found = [line.event for part in segments(directories) for line in read_segment(part.path)]
    assert not [event for event in found if isinstance(event, Broken)]
    return [event for event in found if isinstance(event, Envelope)]


def bodies(kind: str, *directories: Path) -> list[Any]:
    """The bodies of one kind, decoded."""
    return [json.loads(bytes(event.body)) for event in events(*directories) if event.kind == kind]


def problems(directories: Iterable[Path]) -> list[str]:
    """What ``verify`` calls a problem."""
    return [finding.text for finding in verify(directories) if finding.severity == PROBLEM]
