"""A dataset repository on disk: shards, JSONL, card, manifest, checksums; a whole one or none.

What belongs here: the layout. What does not: what rows say, and how a directory gets its name (``placing``).

```
README.md      card: YAML for `datasets`, and honest text
data/          <split>-0000N-of-0000M.parquet; rewards has scores/ beside it
jsonl/         the same rows, one canonical line each; scores-<split>.jsonl beside them
manifest.json  criteria, seed, versions, counts in and out by reason, and every row's hash and source events
SHA256SUMS     of all other files
```
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
from collections import defaultdict
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.errors import PipelineError
from pipeline.privacy.detect import Detector
from pipeline.settings.exports import Criteria
from pipeline.training.examples.example import Example
from pipeline.training.placing import building_place, put_in_place
from pipeline.training.splitting import SPLITS
from pipeline.training.writing.card import card
from pipeline.training.writing.formats import FORMATS, Part, form_of
from pipeline.training.writing.parquet import features_of, schema_of, write_shards

if TYPE_CHECKING:
    from pipeline.training.exporting import Collected

MANIFEST = "manifest.json"
CHECKSUMS = "SHA256SUMS"
CARD = "README.md"
MANIFEST_VERSION = 1


class Written(NamedTuple):
    """A repository: where it lies, its manifest, and the SHA-256 of its SHA256SUMS, which stands for all of
    it.
    """

    directory: Path
    manifest: dict[str, Any]
    digest: str


class MixedPromptsError(PipelineError):
    """A file would mix prompts that are texts with prompts that are messages."""


def write_repository(
    directory: Path,
    criteria: Criteria,
    collected: Collected,
    *,
    state: str,
    detector: Detector,
    overwrite: bool = False,
) -> Written:
    """Write everything beside ``directory`` and put it in place in one instant; ``overwrite`` replaces what
    stands there.
    """
    directory = directory.resolve()
    building = building_place(directory)
    try:
        parts = {
            part.name: _write_part(building, part, criteria, collected.examples)
            for part in FORMATS[criteria.kind]
        }
        manifest = _manifest(criteria, collected, parts, state, detector)
        (building / MANIFEST).write_text(_manifest_text(manifest), encoding="utf-8")
        (building / CARD).write_text(card(criteria, manifest), encoding="utf-8")
        digest = _write_checksums(building)
        put_in_place(building, directory, replace=overwrite)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    return Written(directory, manifest, digest)


def is_export(directory: Path) -> bool:
    """Whether the directory was written by an export: its checksums name its manifest and its card."""
    checksums = directory / CHECKSUMS
    if not checksums.is_file() or not (directory / MANIFEST).is_file():
        return False
    named = {
        line.partition("  ")[2]
        for line in checksums.read_text(encoding="utf-8", errors="replace").splitlines()
    }
    return {MANIFEST, CARD} <= named


def _write_part(building: Path, part: Part, criteria: Criteria, examples: list[Example]) -> dict[str, Any]:
    """The shards and JSONL of one part; returns its features and its splits as the manifest has them."""
    by_split: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        if example.part == part.name:
            by_split[example.split].append(example)
    rows = [example.row for split in SPLITS for example in by_split[split]]
    if len({form_of(row) for row in rows}) > 1:
        raise MixedPromptsError(
            f"Exporting {criteria.kind}: rows of {part.name} mix prompts that are texts with prompts "
            "that are "
            "messages, which trainers accept and train wrongly; nothing was written. This is a "
            "defect; please "
            "report it."
        )
    schema = schema_of(criteria.kind, rows)
    splits: dict[str, Any] = {}
    for split in SPLITS:
        if not by_split[split]:
            continue
        chosen = by_split[split]
        paths = write_shards(
            building / part.folder,
            split,
            criteria.kind,
            [example.row for example in chosen],
            schema=schema,
            shard_rows=criteria.shard_rows,
        )
        lines = (
            building / "jsonl" / (f"{split}.jsonl" if part.folder == "data" else f"{part.name}-{split}.jsonl")
        )
        lines.parent.mkdir(exist_ok=True)
        lines.write_bytes(b"".join(example.line + b"\n" for example in chosen))
        splits[split] = {
            "rows": len(chosen),
            "bytes": lines.stat().st_size,
            "files": [path.relative_to(building).as_posix() for path in paths],
            "jsonl": lines.relative_to(building).as_posix(),
        }
    return {"trainer": part.trainer, "features": features_of(schema), "splits": splits}


def _manifest(
    criteria: Criteria, collected: Collected, parts: dict[str, Any], state: str, detector: Detector
) -> dict[str, Any]:
    examples = collected.examples
    return {
        "manifest_version": MANIFEST_VERSION,
        "kind": criteria.kind,
        "criteria": criteria.model_dump(mode="json"),
        "seed": criteria.seed,
        "code": {"digest": code_digest(), "versions": _versions()},
        "data": {
            "state": state,
            "oldest": _instant(min(example.at for example in examples)),
            "newest": _instant(max(example.at for example in examples)),
        },
        "detectors": sorted({rule.name for rule in detector.rules}),
        "privacy": {"surface": f"export.{criteria.kind}", "acted_on": collected.found},
        "counts": {**collected.counts, "refused": collected.refused, "dropped": collected.dropped},
        "parts": parts,
        "rows": [_row_entry(example) for example in _in_file_order(examples, criteria)],
    }


def _row_entry(example: Example) -> dict[str, Any]:
    entry = {
        "part": example.part,
        "split": example.split,
        "index": example.index,
        "hash": example.row_hash,
        "prompt": example.prompt_hash,
        "group": _group(example.session),
        "lineages": [_group(lineage) for lineage in example.lineages],
        "rule": example.rule,
        "tokens": example.tokens,
        "score": None if example.score is None else round(example.score, 6),
        "margin": None if example.margin is None else round(example.margin, 6),
        "source": example.source,
        "agent_version": example.agent_version,
        "events": list(example.events),
    }
    return {name: value for name, value in entry.items() if value is not None}


def _group(name: str) -> str:
    """A session's or lineage's id, which an application may have made of a person's name, as a hash."""
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def _in_file_order(examples: list[Example], criteria: Criteria) -> list[Example]:
    parts = [part.name for part in FORMATS[criteria.kind]]
    return sorted(
        examples, key=lambda example: (parts.index(example.part), SPLITS.index(example.split), example.index)
    )


def _manifest_text(manifest: dict[str, Any]) -> str:
    """Readable, but each row on a line of its own."""
    head = json.dumps({**manifest, "rows": []}, ensure_ascii=False, indent=1)
    rows = ",\n".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in manifest["rows"])
    return head.removesuffix("[]\n}") + "[\n" + rows + "\n]}\n"


def _instant(instant: datetime) -> str:
    return instant.isoformat()


@cache
def code_digest() -> str:
    """SHA-256 over the project's source files."""
    package = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _versions() -> dict[str, str]:
    """Versions of what decides the bytes."""
    versions = {"python": platform.python_version()}
    for name in ("model-pipeline", "pyarrow", "polars", "duckdb", "datasketch", "msgspec", "atif"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed as a package"
    return versions


def _write_checksums(building: Path) -> str:
    paths = sorted(path for path in building.rglob("*") if path.is_file())
    lines = [f"{file_digest(path)}  {path.relative_to(building).as_posix()}\n" for path in paths]
    body = "".join(lines).encode()
    (building / CHECKSUMS).write_bytes(body)
    return hashlib.sha256(body).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
