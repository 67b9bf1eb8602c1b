"""How well the detector finds what a person labelled: recall and precision by type.

What belongs here: comparing spans and counting. What does not: scanning and printing.

A label is recalled where a find of its type overlaps it; a find is precise where a label of its type overlaps
it. ``exact`` is the share of labels whose offsets a find has to the character.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import polars as pl

from pipeline.errors import InputError
from pipeline.privacy.detect import Detector, Finding, ScanError
from pipeline.privacy.inputs import Numbered

ALIASES = {
    "EMAIL": "EMAIL_ADDRESS", "PHONE": "PHONE_NUMBER", "CARD": "CREDIT_CARD", "CREDIT_CARD_NUMBER": "CREDIT_CARD", "IBAN": "IBAN_CODE",
    "IP": "IP_ADDRESS", "IPV4": "IP_ADDRESS", "IPV6": "IP_ADDRESS", "SSN": "US_SSN", "WALLET": "CRYPTO", "CRYPTO_WALLET": "CRYPTO",
    "API_KEY": "SECRET", "TOKEN": "SECRET", "PASSWORD": "SECRET", "USER_NAME": "USERNAME",
}  # fmt: skip
"""Other names of types in labelled files."""

SCHEMA: dict[str, Any] = {
    "type": pl.String, "labels": pl.Int64, "found": pl.Int64, "recall": pl.Float64, "finds": pl.Int64, "correct": pl.Int64,
    "precision": pl.Float64, "exact": pl.Float64,
}  # fmt: skip

_COUNTED = ("labels", "found", "finds", "correct", "exact")

Labels = list[tuple[str, int, int]]


def evaluate(records: Iterable[Numbered], detector: Detector) -> pl.DataFrame:
    """One row a type and one for all; raises ``InputError`` where a record has not ``text`` and ``spans``."""
    counts: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(_COUNTED, 0))
    for number, record, _ in records:
        text, labels = _labelled(number, record)
        findings = _scanned(number, text, detector)
        _count_labels(labels, findings, counts)
        for finding in findings:
            row = counts[finding.type]
            row["finds"] += 1
            row["correct"] += any(_overlap(finding, label) for label in labels if label[0] == finding.type)
    total = {name: sum(row[name] for row in counts.values()) for name in _COUNTED}
    rows = [_row(kind, row) for kind, row in sorted(counts.items())]
    return pl.DataFrame([*rows, _row("ALL", total)], schema=SCHEMA)


def _scanned(number: int, text: str, detector: Detector) -> list[Finding]:
    try:
        return detector.scan_text(text)
    except ScanError as error:
        raise ScanError(f"Evaluating record {number}: {error}") from error


def _row(kind: str, counted: dict[str, int]) -> dict[str, Any]:
    return {
        "type": kind,
        **counted,
        "recall": _share(counted["found"], counted["labels"]),
        "precision": _share(counted["correct"], counted["finds"]),
        "exact": _share(counted["exact"], counted["labels"]),
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _count_labels(labels: Labels, findings: list[Finding], counts: dict[str, dict[str, int]]) -> None:
    for label in labels:
        row = counts[label[0]]
        same = [finding for finding in findings if finding.type == label[0]]
        row["labels"] += 1
        row["found"] += any(_overlap(finding, label) for finding in same)
        row["exact"] += any((finding.start, finding.end) == label[1:] for finding in same)


def _overlap(finding: Finding, label: tuple[str, int, int]) -> bool:
    return finding.start < label[2] and label[1] < finding.end


def _labelled(number: int, record: Any) -> tuple[str, Labels]:
    if (
        not isinstance(record, dict)
        or not isinstance(record.get("text"), str)
        or not isinstance(record.get("spans"), list)
    ):
        raise InputError(
            f"Evaluating: record {number} has not the form {{text, spans: [{{type, start, end}}]}}; correct it."
        )
    labels: Labels = []
    for span in record["spans"]:
        if not isinstance(span, dict) or not isinstance(span.get("type"), str):
            raise InputError(f"Evaluating: a span of record {number} has no type; correct it.")
        start, end = span.get("start"), span.get("end")
        if (
            not isinstance(start, int)
            or not isinstance(end, int)
            or not 0 <= start < end <= len(record["text"])
        ):
            raise InputError(
                f"Evaluating: a span of record {number} does not lie in its text (offsets are code points, the end exclusive); correct it."
            )
        kind = span["type"].upper()
        labels.append((ALIASES.get(kind, kind), start, end))
    return record["text"], labels
