"""Checking a dataset repository again from its files alone, trusting nothing that wrote it.

What belongs here: one check per promise, each a list of sentences. What does not: mending anything.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.documents import parse_json, read_bytes
from pipeline.errors import InputError
from pipeline.privacy.detect import Detector, ScanError
from pipeline.settings.exports import KINDS
from pipeline.training.repository import CARD, CHECKSUMS, MANIFEST, file_digest
from pipeline.training.splitting import SPLITS, together
from pipeline.training.writing.formats import FORMATS, Part, form_of, part_of
from pipeline.training.writing.parquet import read_shards
from pipeline.training.writing.rows import Row, hash_of, line_of, prompt_hash

LARGEST_MANIFEST = 4 * 1024**3
SENTENCES_PER_CHECK = 20
"""So many sentences of one check are kept; the rest are counted."""


class Report(NamedTuple):
    """What was checked, how many rows were read, and what is wrong by check."""

    checks: tuple[str, ...]
    rows: int
    problems: dict[str, list[str]]

    @property
    def passed(self) -> bool:
        """True where nothing is wrong."""
        return not self.problems


class _Repository(NamedTuple):
    directory: Path
    manifest: dict[str, Any]
    rows: dict[tuple[str, str], list[Row]]


def verify(directory: Path, detector: Detector, canaries: Sequence[str] = ()) -> Report:
    """Check everything in ``directory``; raises ``InputError`` where it is no repository of an export.

    ``canaries`` are texts that must stand in no file.
    """
    manifest = read_manifest(directory)
    found: dict[str, list[str]] = {"checksums": list(_checksums(directory))}
    rows: dict[tuple[str, str], list[Row]] = {}
    for part, split, facts in _files(manifest):
        try:
            rows[part.name, split] = _read(directory, manifest["kind"], facts)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            found.setdefault("files", []).append(
                f"{part.name} {split}: its Parquet files cannot be read ({str(error).splitlines()[0]})."
            )
    repository = _Repository(directory, manifest, rows)
    checks: dict[str, Callable[[], Iterator[str]]] = {
        "counts": lambda: _counts(repository),
        "row_hashes": lambda: _row_hashes(repository),
        "jsonl": lambda: _lines(repository),
        "format": lambda: _format(repository),
        "one_form": lambda: _one_form(repository),
        "prompts": lambda: _prompts(repository),
        "splits": lambda: _splits(repository),
        "budget": lambda: _budget(repository),
        "privacy": lambda: _privacy(repository, detector),
        "canaries": lambda: _canaries(directory, canaries),
    }
    for name, check in checks.items():
        found[name] = found.get(name, []) + list(check())
    problems = {name: _shortened(sentences) for name, sentences in found.items() if sentences}
    return Report(tuple(found), sum(len(part) for part in rows.values()), problems)


def read_manifest(directory: Path) -> dict[str, Any]:
    """The manifest of a repository; raises ``InputError``."""
    path = directory / MANIFEST
    if not path.is_file():
        raise InputError(
            f"Reading the export {directory}: it has no {MANIFEST}; name a directory that `pipeline "
            "export` wrote."
        )
    body = read_bytes(path, maximum=LARGEST_MANIFEST)
    try:
        manifest = json.loads(body)
    except ValueError:
        manifest = parse_json(body, path.name)  # says where it is broken
    if (
        not isinstance(manifest, dict)
        or manifest.get("kind") not in KINDS
        or not isinstance(manifest.get("rows"), list)
    ):
        raise InputError(f"Reading {path}: it is no manifest of an export; restore the directory.")
    return manifest


def _files(manifest: dict[str, Any]) -> Iterator[tuple[Part, str, dict[str, Any]]]:
    for part in FORMATS[manifest["kind"]]:
        splits = (manifest.get("parts", {}).get(part.name) or {}).get("splits", {})
        for split in SPLITS:
            if split in splits:
                yield part, split, splits[split]


def _read(directory: Path, kind: str, facts: dict[str, Any]) -> list[Row]:
    return list(read_shards([directory / name for name in facts["files"]], kind))


def _checksums(directory: Path) -> Iterator[str]:
    path = directory / CHECKSUMS
    if not path.is_file():
        yield f"{CHECKSUMS} is missing."
        return
    listed: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        digest, _, name = line.partition("  ")
        listed[name] = digest
    present = {file.relative_to(directory).as_posix() for file in directory.rglob("*") if file.is_file()}
    for name in sorted(present - set(listed) - {CHECKSUMS}):
        yield f"{name} is not in {CHECKSUMS}."
    for name, digest in listed.items():
        if name not in present:
            yield f"{name} is in {CHECKSUMS} and not there."
        elif file_digest(directory / name) != digest:
            yield f"{name} has another content than {CHECKSUMS} says."
    for name in (CARD, MANIFEST):
        if name not in present:
            yield f"{name} is missing."


def _counts(found: _Repository) -> Iterator[str]:
    manifest = found.manifest
    entries = Counter((entry["part"], entry["split"]) for entry in manifest["rows"])
    for part, split, facts in _files(manifest):
        key = (part.name, split)
        if key not in found.rows:
            continue
        figures = {facts.get("rows"), entries[key], len(found.rows[key])}
        if len(figures) > 1:
            yield (
                f"{part.name} {split}: {len(found.rows[key])} rows in Parquet, {facts.get('rows')} "
                "by the manifest's "
                f"figures, {entries[key]} in its list."
            )
    counts = manifest.get("counts", {})
    dropped = sum(counts.get("dropped", {}).values())
    if counts.get("examples") != counts.get("rows", 0) + dropped:
        yield (
            f"{counts.get('examples')} examples are not {counts.get('rows')} rows and {dropped} left out: "
            "some went without a reason."
        )
    if counts.get("rows") != len(manifest["rows"]):
        yield f"The manifest counts {counts.get('rows')} rows and lists {len(manifest['rows'])}."


def _row_hashes(found: _Repository) -> Iterator[str]:
    for entry in found.manifest["rows"]:
        row = _row(found, entry)
        if row is None:
            yield f"{_named(entry)} is in the manifest and in no Parquet file."
        elif hash_of(line_of(row)) != entry["hash"]:
            yield f"{_named(entry)} is not the row that the manifest names."


def _lines(found: _Repository) -> Iterator[str]:
    for part, split, facts in _files(found.manifest):
        path = found.directory / facts["jsonl"]
        if not path.is_file():
            yield f"{facts['jsonl']} is missing."
            continue
        rows = found.rows.get((part.name, split), [])
        with path.open("rb") as lines:
            read = 0
            for number, line in enumerate(lines):
                read += 1
                if number < len(rows) and line.rstrip(b"\n") != line_of(rows[number]):
                    yield f"{facts['jsonl']} line {number + 1} is not the row of the Parquet file."
        if read != len(rows):
            yield f"{facts['jsonl']} has {read} lines and the Parquet files {len(rows)} rows."


def _format(found: _Repository) -> Iterator[str]:
    for name, split, number, row in _all(found):
        plain = json.loads(line_of(row))
        for problem in part_of(found.manifest["kind"], name).check(plain):
            yield f"{name} {split} row {number}: {problem}."


def _one_form(found: _Repository) -> Iterator[str]:
    for (name, split), rows in found.rows.items():
        forms = {form_of(row) for row in rows}
        if len(forms) > 1:
            yield f"{name} {split} mixes prompts that are texts with prompts that are messages."


def _prompts(found: _Repository) -> Iterator[str]:
    """The prompt of each row is, byte by byte, the one that the manifest names."""
    for entry in found.manifest["rows"]:
        row = _row(found, entry)
        if row is not None and prompt_hash(row) != entry["prompt"]:
            yield f"{_named(entry)} has another prompt than the manifest says."


def _splits(found: _Repository) -> Iterator[str]:
    entries = found.manifest["rows"]
    keys = [
        [("prompt", entry["prompt"]), ("session", entry["group"])]
        + [("lineage", lineage) for lineage in entry.get("lineages", [])]
        for entry in entries
    ]
    sides: dict[int, set[str]] = {}
    for component, entry in zip(together(keys), entries, strict=True):
        sides.setdefault(component, set()).add(entry["split"])
    for component, splits in sides.items():
        if len(splits) > 1:
            yield (
                f"{_named(entries[component])} shares a prompt, session or lineage with rows of "
                f"{', '.join(sorted(splits))}."
            )
    read: dict[str, str] = {}
    for name, split, number, row in _all(found):
        standing = read.setdefault(prompt_hash(row), split)
        if standing != split:
            yield f"{name} {split} row {number}: its prompt stands in {standing} too."


def _budget(found: _Repository) -> Iterator[str]:
    budget = found.manifest.get("criteria", {}).get("token_budget", 0)
    for entry in found.manifest["rows"]:
        if entry["tokens"] > budget:
            yield f"{_named(entry)} has {entry['tokens']} tokens and {budget} are allowed."


def _privacy(found: _Repository, detector: Detector) -> Iterator[str]:
    for name, split, number, row in _all(found):
        try:
            findings = detector.scan_json(line_of(row))
        except ScanError as error:
            yield f"{name} {split} row {number} could not be scanned: {error}"
            continue
        for finding in findings:
            yield f"{name} {split} row {number}: {finding.type} in {finding.field} ({finding.rule})."
    shown = {(entry["source"], entry["agent_version"], entry["rule"]) for entry in found.manifest["rows"]}
    criteria = found.manifest.get("criteria", {}).get("description", "")
    for text in sorted({part for entry in shown for part in entry} | {str(criteria)}):
        for finding in detector.scan_text(text):
            yield f"{MANIFEST}: {finding.type} in what it says of rows ({finding.rule})."


def _canaries(directory: Path, canaries: Sequence[str]) -> Iterator[str]:
    """No planted text in any row or text file; Parquet is compressed, so rows are searched in JSONL."""
    wanted = [canary for canary in canaries if canary.strip()]
    if not wanted:
        return
    for path in sorted(directory.rglob("*")):
        if not path.is_file() or path.suffix == ".parquet":
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        for number, canary in enumerate(wanted):
            escaped = json.dumps(canary, ensure_ascii=False)[1:-1]
            if canary in text or escaped in text:
                yield f"{path.relative_to(directory)} holds the canary {number + 1}."


def _all(found: _Repository) -> Iterator[tuple[str, str, int, Row]]:
    for (name, split), rows in found.rows.items():
        for number, row in enumerate(rows):
            yield name, split, number, row


def _row(found: _Repository, entry: dict[str, Any]) -> Row | None:
    rows = found.rows.get((entry["part"], entry["split"]), [])
    return rows[entry["index"]] if 0 <= entry["index"] < len(rows) else None


def _named(entry: dict[str, Any]) -> str:
    return f"{entry['part']} {entry['split']} row {entry['index']}"


def _shortened(sentences: list[str]) -> list[str]:
    if len(sentences) <= SENTENCES_PER_CHECK:
        return sentences
    return [
        *sentences[:SENTENCES_PER_CHECK],
        f"… and {len(sentences) - SENTENCES_PER_CHECK} more of this kind.",
    ]
