"""One export from records to a directory: streams, gate, splits, repository.

What belongs here: the order of steps. What does not: any of the steps.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from pipeline.errors import InputError, PipelineError
from pipeline.privacy.acting import Redactor
from pipeline.privacy.detect import Detector
from pipeline.privacy.policies import make_detector, make_redactor
from pipeline.settings.exports import Criteria
from pipeline.settings.privacy import load_privacy
from pipeline.telemetry.halting import refuse_if_halted
from pipeline.training.accepting import Gate
from pipeline.training.examples.conversations import Refused
from pipeline.training.examples.example import Example
from pipeline.training.examples.records import Records, Texts
from pipeline.training.kinds import Stream, streams
from pipeline.training.repository import Written, is_export, write_repository
from pipeline.training.splitting import deal
from pipeline.training.writing.rows import hash_of, line_of

CHUNK = 10_000
"""Candidates whose texts are read at once."""


class Collected(NamedTuple):
    """The examples of an export in order, and the counts on the way.

    ``counts``: artifacts, candidates, examples (made of candidates), rows; ``refused`` by reason, of
    artifacts, pairs and candidates before an example was made; ``dropped`` by reason, of examples. So
    examples = rows + the sum of ``dropped``.
    """

    examples: list[Example]
    counts: dict[str, int]
    refused: dict[str, int]
    dropped: dict[str, int]
    found: dict[str, int]


def export(records: Records, criteria: Criteria, directory: Path, *, overwrite: bool = False) -> Written:
    """Write the dataset repository; raises ``InputError`` where too few rows are left or ``directory``
    exists.
    """
    refuse_if_halted()
    _refuse_standing(directory, criteria, overwrite)
    detector, redactor = door(criteria)
    state = records.state()
    with _no_cycles_sought():
        collected = collect(records, criteria, redactor)
    if records.state() != state:
        raise PipelineError(
            f"Exporting {criteria.kind}: an hour of the training records was written meanwhile, so the rows "
            "would be of no one state; nothing was written; try again."
        )
    if len(collected.examples) < max(1, criteria.minimum_rows):
        raise InputError(too_few(criteria, collected))
    return write_repository(
        directory, criteria, collected, state=state, detector=detector, overwrite=overwrite
    )


@contextmanager
def _no_cycles_sought() -> Iterator[None]:
    """Python's search for reference cycles walks all examples again and again, a quarter of an export's time,
    and finds none: rows are trees.
    """
    seeking = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if seeking:
            gc.enable()


def _refuse_standing(directory: Path, criteria: Criteria, overwrite: bool) -> None:
    """What stands there may be replaced only where asked, and only if it is an export or empty."""
    if not directory.exists():
        return
    if not overwrite:
        raise InputError(
            f"Exporting {criteria.kind}: {directory} exists already; name another directory, "
            "or pass --overwrite."
        )
    if not directory.is_dir() or (any(directory.iterdir()) and not is_export(directory)):
        raise InputError(
            f"Exporting {criteria.kind}: {directory} is no export, and only exports and empty directories "
            "are replaced; name another directory, or remove it yourself."
        )


def door(criteria: Criteria) -> tuple[Detector, Redactor]:
    """The detector and the redactor of this kind's surface."""
    settings = load_privacy()
    detector = make_detector(settings)
    surface = f"export.{criteria.kind}"
    return detector, make_redactor(
        settings, surface=surface, recipient=criteria.privacy.recipient, detector=detector
    )


def collect(records: Records, criteria: Criteria, redactor: Redactor) -> Collected:
    """All examples that the criteria and the gate let pass, with their splits."""
    refused: Counter[str] = Counter()
    known, found = streams(records, criteria, refused)
    gates = [_filled(records, stream, criteria, redactor, refused) for stream in found]
    examples = [example for gate in gates for example in gate.accepted]
    _split(examples, criteria)
    dropped: Counter[str] = sum((gate.refused for gate in gates), Counter())
    counts = {
        "artifacts": known,
        "candidates": sum(stream.candidates.height for stream in found),
        "examples": sum(gate.offered for gate in gates),
        "rows": len(examples),
    }
    acted = sum((gate.found for gate in gates), Counter())
    return Collected(examples, counts, _listed(refused), _listed(dropped), _listed(acted))


def too_few(criteria: Criteria, collected: Collected) -> str:
    """The sentence that says why there is no export."""
    why = {**collected.refused, **collected.dropped}
    worst = ", ".join(
        f"{name} {count:,}" for name, count in sorted(why.items(), key=lambda item: -item[1])[:6]
    )
    return (
        f"Exporting {criteria.kind}: {collected.counts['rows']:,} rows of "
        f"{collected.counts['artifacts']:,} artifacts satisfy the criteria and at least "
        f"{max(1, criteria.minimum_rows):,} are asked for "
        f"(left out: {worst or 'nothing; there are no records yet'}); record more, or loosen the criteria."
    )


def _filled(
    records: Records, stream: Stream, criteria: Criteria, redactor: Redactor, refused: Counter[str]
) -> Gate:
    """The gate after as many candidates as the criteria need, in chunks."""
    gate = Gate(criteria, stream.part, redactor)
    texts = Texts()
    place = 0
    while place < stream.candidates.height and gate.missing > 0:
        size = min(CHUNK, max(500, gate.missing + gate.missing // 8))
        chunk = stream.candidates.slice(place, size)
        place += chunk.height
        candidates = list(_candidates(chunk, stream.sides, gate))
        refused["not_needed"] += chunk.height - len(candidates)
        if not candidates:
            continue
        records.texts(_sides(candidates), spans=stream.spans, into=texts)
        made: list[Example] = []
        for candidate in candidates:
            try:
                made += _made(candidate, texts, stream, criteria, gate)
            except Refused as reason:
                refused[str(reason)] += 1
        gate.offer(made)
    gate.balance()
    refused["not_needed"] += stream.candidates.height - place
    return gate


def _candidates(chunk: pl.DataFrame, sides: pl.DataFrame | None, gate: Gate) -> Iterator[dict[str, Any]]:
    """Candidates that still have room, pairs with both their sides."""
    if sides is None:
        for candidate in chunk.iter_rows(named=True):
            if gate.wants(candidate["complexity"] or "unknown"):
                yield candidate
        return
    chosen = sides[chunk["chosen"].to_list()].to_dicts()
    rejected = sides[chunk["rejected"].to_list()].to_dicts()
    for pair, winner, loser in zip(chunk.iter_rows(named=True), chosen, rejected, strict=True):
        if gate.wants(winner["complexity"] or "unknown"):
            yield {**pair, "events": pair["pair_events"] or [], "chosen": winner, "rejected": loser}


def _sides(candidates: list[dict[str, Any]]) -> pl.DataFrame:
    """The artifacts whose texts are to be read."""
    names = ("artifact_id", "attempt_id", "system_prompt_hash", "tools_hash")
    sides = [
        side
        for candidate in candidates
        for side in ([candidate["chosen"], candidate["rejected"]] if "chosen" in candidate else [candidate])
    ]
    return pl.DataFrame(
        {name: [side[name] for side in sides] for name in names}, schema=dict.fromkeys(names, pl.String)
    ).unique("artifact_id", maintain_order=True)


def _made(
    candidate: dict[str, Any], texts: Texts, stream: Stream, criteria: Criteria, gate: Gate
) -> list[Example]:
    """The examples of a candidate; a conversation over budget becomes one per turn where that is asked
    for.
    """
    made = list(stream.make(candidate, texts, criteria, None))
    splittable = criteria.over_budget == "split" and criteria.kind in ("sft", "reasoning", "openai-sft")
    if splittable and any(gate.tokens(example) > criteria.token_budget for example in made):
        return list(stream.make(candidate, texts, criteria, "every"))
    return made


def _split(examples: list[Example], criteria: Criteria) -> None:
    """Deal out the examples, number them within part and split, and fill in what names the split."""
    keys = [
        [
            ("prompt", example.prompt_hash),
            ("session", example.session),
            ("session", example.facts.get("rejected_session", example.session)),
            *(("lineage", lineage) for lineage in example.lineages),
        ]
        for example in examples
    ]
    numbers: Counter[tuple[str, str]] = Counter()
    for example, split in zip(examples, deal(keys, criteria.splits, criteria.seed), strict=True):
        example.split, example.index = split, numbers[example.part, split]
        numbers[example.part, split] += 1
        if criteria.kind == "verl":
            example.row["extra_info"] |= {"split": split, "index": example.index}
            example.line = line_of(example.row)
            example.row_hash = hash_of(example.line)


def _listed(counts: Counter[str]) -> dict[str, int]:
    return {name: count for name, count in sorted(counts.items()) if count}
