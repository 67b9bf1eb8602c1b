"""Private data that stands in tables although the door should have stopped it.

What belongs here: choosing an hour's texts, scanning them as the door does, finds as rows. What does not: the
door itself (``pipeline.privacy``). A find is a value on which the policy of surface ``capture`` would act.

Texts are scanned in lists: one pass of the engine clears a whole list, and only a list that announces
something is looked at text by text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import duckdb
import polars as pl

from pipeline.hours import Hour
from pipeline.privacy.acting import Redactor
from pipeline.privacy.detect import Detector, ScanError
from pipeline.privacy.policies import make_detector, make_redactor
from pipeline.privacy.tables import FINDINGS
from pipeline.settings.privacy import load_privacy
from pipeline.settings.telemetry import PrivacyScan
from pipeline.telemetry.span_tables import SPANS
from pipeline.telemetry.tables import EVENT_TABLES
from pipeline.warehouse.store import Warehouse

SURFACE = "telemetry"
"""Surface of these finds in ``privacy.findings``."""

DOOR = "capture"
"""Surface whose policy decides what should not have passed."""

LIST_CHARACTERS = 65_536
_ROWS_AT_ONCE = 20_000
_SHARES = 1_000_000


class Stored(NamedTuple):
    """A text of the hour: table and event it stands in, column, synthetic or not."""

    source: str
    column: str
    synthetic: bool
    text: str


class Door(NamedTuple):
    """What finds, and the policy that says what is acted on."""

    detector: Detector
    redactor: Redactor


@dataclass
class Scanned:
    """What a scan saw: texts looked at and not, and finds by kind of origin (synthetic or not)."""

    looked_at: dict[bool, int] = field(default_factory=lambda: {False: 0, True: 0})
    left_out: dict[bool, int] = field(default_factory=lambda: {False: 0, True: 0})
    violations: dict[bool, int] = field(default_factory=lambda: {False: 0, True: 0})
    rows: list[dict[str, object]] = field(default_factory=list)


def open_door() -> Door:
    """The door as ``configs/privacy.yaml`` makes it; raises ``ConfigurationError``."""
    settings = load_privacy()
    detector = make_detector(settings)
    return Door(detector, make_redactor(settings, surface=DOOR, detector=detector))


def scan_hour(
    connection: duckdb.DuckDBPyConnection, hour: Hour, settings: PrivacyScan, door: Door
) -> Scanned:
    """Scan the texts of the hour's events, as many as ``settings`` allows; the rest is counted."""
    scanned, waiting, held = Scanned(), [], 0
    budget = settings.maximum_megabytes * 1e6
    for stored, chosen in _texts(connection, hour, settings.share):
        if not chosen or budget < len(stored.text):
            scanned.left_out[stored.synthetic] += 1
            continue
        budget -= len(stored.text)
        waiting.append(stored)
        held += len(stored.text)
        if held >= LIST_CHARACTERS:
            _scan(waiting, door, scanned)
            waiting, held = [], 0
    _scan(waiting, door, scanned)
    return scanned


def store_scan(warehouse: Warehouse, hour: Hour, scanned: Scanned) -> None:
    """Replace the hour's finds of this surface in ``privacy.findings``; others stay."""
    standing = FINDINGS.empty()
    if warehouse.entries([FINDINGS], hour)[0] is not None:
        standing = warehouse.read_hour(FINDINGS, hour).filter(pl.col("surface") != SURFACE)
    rows = FINDINGS.frame([{"hour": hour.start, **row} for row in scanned.rows])
    warehouse.replace_hour(
        FINDINGS, hour, pl.concat([standing, rows.unique(FINDINGS.key, keep="first", maintain_order=True)])
    )


def _texts(connection: duckdb.DuckDBPyConnection, hour: Hour, share: float) -> Iterator[tuple[Stored, bool]]:
    for table in (*EVENT_TABLES, SPANS):
        for column in (column.name for column in table.columns if column.long_text):
            rows = connection.execute(
                f"SELECT event_id, synthetic, {column}, hash(task_id) % {_SHARES} < $share FROM {table.name} "
                f"WHERE hour = $hour AND length({column}) > 0 ORDER BY event_id",
                {"hour": hour.start, "share": round(share * _SHARES)},
            )
            while part := rows.fetchmany(_ROWS_AT_ONCE):
                for event_id, synthetic, text, chosen in part:
                    yield Stored(f"{table.name}:{event_id}", column, synthetic, text), chosen


def _scan(waiting: list[Stored], door: Door, scanned: Scanned) -> None:
    announced = bool(waiting) and _announces([stored.text for stored in waiting], door.detector)
    for number, stored in enumerate(waiting):
        try:
            found = door.detector.scan_record({stored.column: stored.text}) if announced else []
        except ScanError:
            scanned.left_out[stored.synthetic] += 1
            continue
        scanned.looked_at[stored.synthetic] += 1
        acted = [finding for finding in found if door.redactor.action(finding) != "keep"]
        scanned.violations[stored.synthetic] += len(acted)
        scanned.rows += [
            {
                "surface": SURFACE,
                "source": stored.source,
                "record": number,
                "field": finding.field,
                "span_start": finding.start,
                "span_end": finding.end,
                "type": finding.type,
                "rule": finding.rule,
                "action": "none",
            }
            for finding in acted
        ]


def _announces(texts: list[str], detector: Detector) -> bool:
    try:
        return bool(detector.scan_record(texts))
    except ScanError:
        return True  # too much for one pass; each text is looked at by itself
