"""The conservation law: emitted = loaded + duplicates + rejected + waiting, per process, from sequence
numbers.

What belongs here: counting what an hour's segments hold against what their processes numbered, and naming
what is missing. What does not: alerting.
"""

from __future__ import annotations

import duckdb
import polars as pl

from pipeline.hours import Hour
from pipeline.telemetry.archive import REDRIVEN, Archive
from pipeline.telemetry.archiving import archived_hours
from pipeline.telemetry.gaps import BrokenLines, Explained, Gap, explained, listed, without
from pipeline.telemetry.places import hour_folder, hour_of_folder
from pipeline.telemetry.tables import RECORDER_PROCESSES
from pipeline.warehouse.tables import UTC_DATETIME

_ULID_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

_WRITER = "coalesce(process, regexp_extract(segment, '^([0-7][0-9A-HJKMNP-TV-Z]{25})-', 1))"
_STANDING = (
    "SELECT * FROM judged WHERE reason IS NULL OR (segment_hash, byte_offset) NOT IN "
    "(SELECT (segment_hash, byte_offset) FROM judged WHERE redriven)"
)
"""Lines but for those that were rejected once and are loaded now."""

_COUNTS = f"""
SELECT {_WRITER} AS process, min(host) AS host, min(application) AS application,
       coalesce(bool_or(synthetic), false) AS synthetic,
       min(sequence) AS first_sequence, max(sequence) AS last_sequence,
       count(DISTINCT event_id) FILTER (reason IS NULL AND NOT too_late) AS loaded,
       count(*) FILTER (reason IS NULL AND NOT too_late) AS good_lines,
       count(*) FILTER (reason IS NOT NULL AND sequence IS NULL) AS broken_lines,
       coalesce(bool_or(kind = 'recorder_stopped' AND reason IS NULL), false) AS stopped
FROM ({_STANDING}) GROUP BY 1 ORDER BY 1
"""

_NUMBERS = f"""
SELECT process, sequence, bool_or(reason IS NULL AND NOT too_late) AS good, bool_or(too_late) AS late,
       count(DISTINCT event_id) FILTER (reason IS NULL) AS events
FROM ({_STANDING}) WHERE sequence > 0 GROUP BY 1, 2
"""

_BROKEN = f"""
WITH marked AS (
    SELECT {_WRITER} AS writer, segment, segment_hash, byte_offset,
           CASE WHEN sequence > 0 THEN sequence END AS number
    FROM ({_STANDING}) WHERE sequence IS NULL OR sequence > 0
), placed AS (
    SELECT writer, number, last_value(number IGNORE NULLS) OVER (further ROWS UNBOUNDED PRECEDING) AS before,
           first_value(number IGNORE NULLS) OVER (further ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)
           AS after
    FROM marked WHERE writer IN (SELECT writer FROM marked WHERE number IS NULL)
    WINDOW further AS (PARTITION BY writer ORDER BY segment, segment_hash, byte_offset)
)
SELECT writer, before, after, count(*) FROM placed WHERE number IS NULL GROUP BY ALL ORDER BY ALL
"""
"""Broken lines by the numbers before and after them; a process's segments are numbered in their order."""


def processes(archive: Archive, hour: Hour) -> pl.DataFrame:
    """``telemetry.recorder_processes`` of ``hour``: one row per process, its gap named.

    A number that is missing here counts as there when any other hour has it (a clock that was set back); what
    lies before a process's first number here is missing unless earlier hours have it. A process that was
    killed emitted what its highest number says.
    """
    with archive.reading(hour) as connection:
        if connection is None:
            return RECORDER_PROCESSES.empty()
        counts = connection.execute(_COUNTS).pl()
        numbers = connection.execute(_NUMBERS).pl()
        broken = [BrokenLines(*row) for row in connection.execute(_BROKEN).fetchall()]
    gaps = _elsewhere_subtracted(archive, hour, _missing(numbers, _bases(archive, hour, counts)))
    matched = {
        process: explained(
            [gap for gap in gaps if gap.process == process],
            [lines for lines in broken if lines.process == process],
        )
        for process in dict.fromkeys(gap.process for gap in gaps)
    }
    return _as_rows(counts, numbers, matched, hour)


def _missing(numbers: pl.DataFrame, bases: dict[str, int]) -> list[Gap]:
    """Stretches of numbers that the hour has not, from the end of the earlier hours on."""
    based = numbers.select("process", "sequence").sort("process", "sequence")
    before = pl.col("sequence").shift(1).over("process")
    base = pl.col("process").replace_strict(bases, default=0, return_dtype=pl.Int64)
    steps = based.with_columns(before=pl.coalesce(before, pl.min_horizontal(base, pl.col("sequence") - 1)))
    holes = steps.filter(pl.col("sequence") - pl.col("before") > 1)
    return [Gap(process, before + 1, after - 1) for process, after, before in holes.iter_rows()]


def _bases(archive: Archive, hour: Hour, counts: pl.DataFrame) -> dict[str, int]:
    """Per process the highest number of the nearest earlier hour that has events of it; 0 where none has."""
    bases = {}
    for process, first in counts.select("process", "first_sequence").iter_rows():
        earlier = [other for other in _hours_of(archive, process) if other < hour]
        if first is not None and first > 1 and earlier:
            bases[process] = max(_numbers_of(archive, process, [max(earlier)]), default=0)
    return bases


def _elsewhere_subtracted(archive: Archive, hour: Hour, gaps: list[Gap]) -> list[Gap]:
    """The gaps without the numbers that other hours have."""
    left: list[Gap] = []
    for process in dict.fromkeys(gap.process for gap in gaps):
        others = [other for other in _hours_of(archive, process) if other != hour]
        known = sorted(_numbers_of(archive, process, others))
        for gap in gaps:
            if gap.process == process:
                left += without(gap, known)
    return left


def _hours_of(archive: Archive, process: str) -> list[Hour]:
    folders = {
        place.parent.name
        for directory in (archive.directory, archive.snapshots)
        for pattern in (f"*/{process}-*.parquet", f"*/{REDRIVEN}*.parquet")
        for place in directory.glob(pattern)
    }
    return sorted(hour for name in folders if (hour := hour_of_folder(name)) is not None)


def _numbers_of(archive: Archive, process: str, hours: list[Hour]) -> set[int]:
    files = [
        str(place)
        for hour in hours
        for place in archive.files(hour)
        if place.name.startswith((process, REDRIVEN))
    ]
    if not files:
        return set()
    with duckdb.connect() as connection:
        rows = connection.execute(
            "SELECT DISTINCT sequence FROM read_parquet($files) WHERE process = $process AND sequence > 0",
            {"files": files, "process": process},
        ).fetchall()
    return {number for (number,) in rows}


def _as_rows(
    counts: pl.DataFrame, numbers: pl.DataFrame, matched: dict[str, Explained], hour: Hour
) -> pl.DataFrame:
    tallied = numbers.group_by("process").agg(
        numbered=pl.len(),
        waiting=(~pl.col("good") & pl.col("late")).sum().cast(pl.Int64),
        rejected=(~pl.col("good") & ~pl.col("late")).sum().cast(pl.Int64),
        clashes=(pl.col("events") > 1).sum().cast(pl.Int64),
        further=(pl.col("events") - 1).clip(0).sum().cast(pl.Int64),
    )
    missing = pl.DataFrame(
        [_row_of(process, one) for process, one in matched.items()],
        schema={
            "process": pl.String,
            "explained": pl.Int64,
            "gap": pl.Int64,
            "gap_ranges": pl.String,
            "broken_ranges": pl.String,
            "broken_some": pl.Int64,
        },
    )
    joined = counts.join(tallied, on="process", how="left").join(missing, on="process", how="left")
    zero = ("numbered", "waiting", "rejected", "clashes", "further", "explained", "gap", "broken_some")
    rows = joined.with_columns(pl.col(*zero).fill_null(0)).with_columns(
        hour=pl.lit(hour.start, dtype=UTC_DATETIME),
        duplicates=pl.col("good_lines") - pl.col("loaded"),
        started_at=pl.col("process").map_elements(_born, return_dtype=pl.Int64).cast(UTC_DATETIME),
    )
    # Numbers and, where two events share one, the further events; then the copies.
    emitted = pl.col("numbered") + pl.col("further") + pl.col("duplicates")
    shown = rows.with_columns(
        emitted=emitted + pl.col("explained") + pl.col("gap"),
        rejected=pl.col("rejected") + pl.col("explained"),
    )
    return shown.select(pl.col(name).cast(dtype) for name, dtype in RECORDER_PROCESSES.polars_schema.items())


def _row_of(process: str, matched: Explained) -> dict[str, str | int | None]:
    return {
        "process": process,
        "explained": sum(gap.count for gap in matched.placed) + matched.some,
        "gap": sum(gap.count for gap in matched.open) - matched.some,
        "gap_ranges": listed(matched.open),
        "broken_ranges": listed(matched.placed),
        "broken_some": matched.some,
    }


def _born(process: str) -> int | None:
    """Microseconds since 1970 at which a ULID was drawn; none for a text that is none."""
    if len(process) != 26 or any(character not in _ULID_ALPHABET for character in process):
        return None
    milliseconds = 0
    for character in process[:10]:
        milliseconds = milliseconds * 32 + _ULID_ALPHABET.index(character)
    return milliseconds * 1000


def sentence(rows: pl.DataFrame, hour: Hour) -> str:
    """What the law says of an hour's rows (``telemetry.recorder_processes``), gaps first."""
    broken = rows.filter(pl.col("gap") > 0)
    total = {
        name: int(rows[name].sum())
        for name in ("emitted", "loaded", "duplicates", "rejected", "waiting", "gap")
    }
    law = (
        f"{hour}: {total['emitted']} emitted = {total['loaded']} loaded + {total['duplicates']} duplicates + "
        f"{total['rejected']} rejected + {total['waiting']} waiting"
    )
    if not broken.height:
        return law + f", of {rows.height} process(es); nothing is missing."
    named = "; ".join(
        f"process {row['process']} on {row['host'] or 'an unknown host'} lacks {row['gap']} event(s), "
        f"sequence {row['gap_ranges']}"
        + (
            f" (some of these numbers, {row['broken_some']}, were on broken lines)"
            if row["broken_some"]
            else ""
        )
        for row in broken.head(5).iter_rows(named=True)
    )
    return law + f" + {total['gap']} missing: {named}."


def hours_known(archive: Archive) -> list[Hour]:
    """Every hour that has archived or open segments, oldest first."""
    opened = [
        hour
        for hour in archived_hours(archive.snapshots)
        if any(hour_folder(archive.snapshots, hour).iterdir())
    ]
    return sorted({*archived_hours(archive.directory), *opened})
