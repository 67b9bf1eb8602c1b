"""Records from files: text, JSON, JSONL, CSV and Parquet.

What belongs here: one record after another, in bounded memory where the format allows it. What does not:
looking at records, and writing them (``outputs``).

In a text every line is a record, numbered by line from 0; a private key block of several lines is one
record, numbered by its first. A file's ending names its format; on ``-`` and elsewhere a first line that is a
JSON object means JSONL. Bytes that are no UTF-8 are carried along as surrogates (PEP 383) and written as they
were. Compressed files and UTF-16 are refused: read as text they would hide what they hold. A line of JSON that
Python cannot read (nested too deep, an integer of thousands of digits) is a record that fails to scan.
"""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from pipeline.errors import InputError
from pipeline.privacy.detect import ScanError

FORMATS = ("text", "jsonl", "json", "csv", "parquet")
BATCH_ROWS = 1024
"""Rows of a Parquet file that are held at a time."""

LARGEST_JSON = 256_000_000
"""Largest JSON document that is read, in bytes; other formats are read piece by piece."""

BEYOND = "beyond the header"
"""Under this name a CSV record holds the fields that its row has too many."""

LONGEST_BLOCK = 400
"""Lines after which a key block without an end is given up and its lines are records again."""

_ENDINGS = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".csv": "csv", ".tsv": "csv", ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip
_BLOCK = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?!.*-----END)")


class Numbered(NamedTuple):
    """A record and its position in its source, from 0; ``ending`` is what followed it in a text."""

    number: int
    record: Any
    ending: str = ""


class Source(NamedTuple):
    """Where records come from and how they are written."""

    name: str
    format: str
    path: Path | None
    first: str = ""


def open_source(name: str, form: str | None = None) -> Source:
    """The source of that name, ``-`` for standard input; raises ``InputError`` where it cannot be read."""
    if name == "-":
        if form in ("parquet", "json"):
            raise InputError(f"Reading standard input: {form} needs a file; save it and name it.")
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(encoding="utf-8-sig", errors="surrogateescape", newline="")
        first = "" if form else sys.stdin.readline()
        return Source("-", form or _sniff(first), None, first)
    path = Path(name)
    if path.is_dir():
        raise InputError(f"Reading {path.name}: it is a folder; name a file in it.")
    if not path.exists():
        raise InputError(f"Reading {path.name}: there is no such file; check the path.")
    if not path.is_file():
        raise InputError(f"Reading {path.name}: it is no regular file; pass it on standard input, named -.")
    if form is None and path.suffix.lower() not in _ENDINGS:
        with _text(path) as file:
            form = _sniff(file.readline(1_000_000))
    return Source(path.name, form or _ENDINGS[path.suffix.lower()], path)


def read_records(source: Source) -> Iterator[Numbered]:
    """The records in order; raises ``InputError`` where one cannot be read."""
    if source.format == "parquet":
        yield from _parquet(source)
        return
    if source.format == "json":
        yield from _json(source)
        return
    if source.path is None:
        yield from _lines(source, _chain(source.first, sys.stdin))
        return
    with _text(source.path) as file:
        yield from _lines(source, file)


def _lines(source: Source, lines: Iterable[str]) -> Iterator[Numbered]:
    lines = _plain(source, lines)
    if source.format == "text":
        yield from _text_records(lines)
    elif source.format == "jsonl":
        yield from _jsonl(source, lines)
    else:
        yield from _csv(source, lines)


_PACKED = (
    (b"\x1f\x8b", "compressed with gzip; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstandard; unpack it first"),
    (b"\xfd7zXZ\x00", "compressed with xz; unpack it first"),
    (b"BZh91AY&SY", "compressed with bzip2; unpack it first"),
    (b"PK\x03\x04", "a zip archive; unpack it first"),
    (b"PAR1", "a Parquet file; pass --format parquet"),
    (b"\xff\xfe", "UTF-16; save it as UTF-8"),
    (b"\xfe\xff", "UTF-16; save it as UTF-8"),
)


def _refuse_packed(source: Source, head: bytes) -> None:
    for start, what in _PACKED:
        if head.startswith(start):
            raise InputError(f"Reading {source.name}: it is {what}.")


def _plain(source: Source, lines: Iterable[str]) -> Iterator[str]:
    """The lines, once the first has shown that they are text."""
    rest = iter(lines)
    for first in rest:
        _refuse_packed(source, first[:16].encode("utf-8", "surrogateescape"))
        yield first
        yield from rest


def _text(path: Path) -> IO[str]:
    try:
        return path.open(encoding="utf-8-sig", newline="", errors="surrogateescape")
    except OSError as error:
        raise InputError(f"Reading {path.name}: {error.strerror}; check that it can be read.") from error


def _chain(first: str, rest: Iterable[str]) -> Iterator[str]:
    if first:
        yield first
    yield from rest


def _sniff(line: str) -> str:
    if line.lstrip()[:1] != "{":
        return "text"
    try:
        return "jsonl" if isinstance(json.loads(line), dict) else "text"
    except (ValueError, RecursionError):
        return "text"


def _text_records(lines: Iterable[str]) -> Iterator[Numbered]:
    block: list[str] = []
    begun = 0
    for number, line in enumerate(lines):
        if not block and not _BLOCK.search(line):
            yield _numbered(number, line)
            continue
        if not block:
            begun = number
        block.append(line)
        if "-----END" in line or len(block) >= LONGEST_BLOCK:
            yield _numbered(begun, "".join(block))
            block = []
    if block:
        yield _numbered(begun, "".join(block))


def _numbered(number: int, line: str) -> Numbered:
    text = line.rstrip("\r\n")
    return Numbered(number, text, line[len(text) :])


def _jsonl(source: Source, lines: Iterable[str]) -> Iterator[Numbered]:
    number = 0
    for place, line in enumerate(lines):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(
                f"Reading {source.name}: line {place + 1} is no JSON (at its character {error.pos + 1}); mend it, or pass --format text."
            ) from error
        except (ValueError, RecursionError) as error:
            record = ScanError(f"Scanning a record: line {place + 1} {_unreadable(error)}; keep it apart.")
        yield Numbered(number, record)
        number += 1


def _unreadable(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "is nested too deep to be read"
    if isinstance(error, json.JSONDecodeError):
        return f"is no JSON (at its character {error.pos + 1})"
    return "holds an integer of more digits than Python reads"


def _json(source: Source) -> Iterator[Numbered]:
    assert source.path is not None
    size = source.path.stat().st_size
    if size > LARGEST_JSON:
        raise InputError(
            f"Reading {source.name}: it holds {size:,} bytes, and a JSON document is read whole up to {LARGEST_JSON:,}; "
            "write it as JSONL, a record a line, or pass --format text."
        )
    with _text(source.path) as file:
        text = file.read()
    _refuse_packed(source, text[:16].encode("utf-8", "surrogateescape"))
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"Reading {source.name}: it {_unreadable(error)}; mend it, or pass --format text."
        ) from error
    records = document if isinstance(document, list) else [document]
    yield from (Numbered(number, record) for number, record in enumerate(records))


def _csv(source: Source, lines: Iterable[str]) -> Iterator[Numbered]:
    csv.field_size_limit(16_000_000)
    try:
        rows = csv.DictReader(lines, restkey=BEYOND, delimiter=_delimiter(source))
        names = rows.fieldnames or []
        if len(set(names)) < len(names):
            raise InputError(f"Reading {source.name}: two of its columns have the same name; rename one.")
        for number, row in enumerate(rows):
            yield Numbered(number, row)
    except csv.Error as error:
        raise InputError(
            f"Reading {source.name}: it is no CSV ({error}); mend it, or pass --format text."
        ) from error


def _delimiter(source: Source) -> str:
    return "\t" if source.name.lower().endswith(".tsv") else ","


def _parquet(source: Source) -> Iterator[Numbered]:
    import polars as pl
    import pyarrow
    import pyarrow.parquet

    number = 0
    try:
        with pyarrow.parquet.ParquetFile(str(source.path)) as file:
            for batch in file.iter_batches(BATCH_ROWS):
                frame = pl.DataFrame(pl.from_arrow(batch))
                for row in frame.iter_rows(named=True):
                    yield Numbered(number, row)
                    number += 1
    except (pyarrow.ArrowException, pl.exceptions.PolarsError, OSError) as error:
        raise InputError(
            f"Reading {source.name}: from record {number} on it is no Parquet file ({type(error).__name__}); check it."
        ) from error
