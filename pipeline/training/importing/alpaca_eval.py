"""AlpacaEval annotation files: {instruction, output_1, generator_1, output_2, generator_2, preference}.

An instruction is a session, a generator a lineage in it; files with other generators join the same
sessions. ``preference`` grades output 2 against output 1 from 1 (output 1 is better) to 2 (output 2 is);
within 0.05 of 1.5 is a tie. It is kept as the comparison's probability, and as a score of 1 + 9 x
(preference - 1) of output 2, which says how good it is against the reference, not in itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.capture.events import Message
from pipeline.capture.signals import ArtifactProduced, AttemptFinished, EvaluationGiven, SpanFinished
from pipeline.errors import InputError
from pipeline.training.importing.signalling import (
    Item,
    Malformed,
    Read,
    Tree,
    expect,
    identifier,
    read_json,
    short,
)

TIE = 0.05
"""Preferences this near to even are ties."""


def read(path: Path) -> Read:
    """An item per annotated pair."""
    try:
        pairs = expect(read_json(path), list, f"{path.name}: the document")
    except InputError as error:
        yield Malformed(path.name, str(error))
        return
    for position, pair in enumerate(pairs):
        where = f"{path.name}[{position}]"
        try:
            yield Item(where, _signals(pair))
        except InputError as error:
            yield Malformed(where, str(error))


def _text(pair: dict[str, Any], name: str) -> str:
    text = expect(pair.get(name), str, name)
    if not text.strip():
        raise InputError(f"{name} is empty; remove the entry or fill it in.")
    return str(text)


def _signals(pair: Any) -> list[Any]:
    pair = expect(pair, dict, "The entry")
    instruction = _text(pair, "instruction")
    graded = float(expect(pair.get("preference"), (int, float), "preference"))
    if not 1 <= graded <= 2:
        raise InputError(f"preference is {graded} and 1 to 2 is allowed; mend or remove the entry.")
    if _text(pair, "generator_1") == _text(pair, "generator_2"):
        raise InputError(
            "generator_1 and generator_2 are the same, so nothing is compared; remove the entry."
        )
    judge = short(pair.get("annotator") or "annotator")
    tree = Tree(identifier("alpaca-eval", instruction))
    tree.begin(instruction, context={"dataset": pair.get("dataset")})
    reference, candidate = (
        _output(
            tree,
            instruction,
            _text(pair, f"generator_{side}"),
            expect(pair.get(f"output_{side}"), str, f"output_{side}"),
        )
        for side in (1, 2)
    )
    tie = abs(graded - 1.5) < TIE
    better_first = [[reference], [candidate]] if graded < 1.5 else [[candidate], [reference]]
    tree.add(
        EvaluationGiven(
            evaluation_id=identifier("evaluation", reference, candidate, judge),
            artifact_id=candidate,
            cycle=1,
            score=1 + 9 * (graded - 1),
            raw_score=graded,
            raw_scale="1-2 against the reference",
            ranking=[[reference, candidate]] if tie else better_first,
            preference=None if tie else max(graded - 1, 2 - graded),
            evaluator=judge,
            evaluator_kind="model",
            cost_usd=_amount(pair.get("price_per_example")),
        )
    )
    return tree.signals


def _amount(value: Any) -> float | None:
    known = isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0
    return float(value) if known else None


def _output(tree: Tree, instruction: str, generator: str, output: str) -> str:
    """One generator's answer with all above it; returns the artifact's id."""
    lineage_id, agent_id = tree.agent(generator, model=generator)
    rollout_id = tree.rollout(lineage_id, agent_id, run=output)
    prompt = [Message(role="user", content=instruction)]
    attempt = AttemptFinished(
        attempt_id=identifier("attempt", rollout_id, 1),
        rollout_id=rollout_id,
        user_need=instruction,
        prompt=prompt,
        status="success" if output.strip() else "failure",
        error="" if output.strip() else "the answer is empty",
    )
    tree.add(
        SpanFinished(
            span_id=identifier("span", attempt.attempt_id, 0, "llm"),
            attempt_id=attempt.attempt_id,
            kind="llm",
            name="chat",
            model=short(generator),
            input_messages=prompt,
            output_messages=[Message(role="assistant", content=output)],
            status=attempt.status,
        )
    )
    tree.add(attempt)
    artifact_id = identifier("artifact", attempt.attempt_id)
    tree.add(
        ArtifactProduced(
            artifact_id=artifact_id, rollout_id=rollout_id, attempt_id=attempt.attempt_id, content=output
        )
    )
    return artifact_id
