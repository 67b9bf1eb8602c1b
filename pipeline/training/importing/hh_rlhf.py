"""hh-rlhf files: JSONL of {chosen, rejected}, two dialogues that share their beginning.

A dialogue is a text of turns (``Human: …``, ``Assistant: …``) or a list of chat messages. The turns both
begin with are the prompt, what follows the two artifacts; the chosen one beats the other.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pipeline.capture.events import Message
from pipeline.capture.signals import ArtifactProduced, AttemptFinished, EvaluationGiven, SpanFinished
from pipeline.errors import InputError
from pipeline.training.importing.conversations import as_message
from pipeline.training.importing.signalling import (
    Item,
    Malformed,
    Read,
    Tree,
    conversation_text,
    expect,
    identifier,
    read_lines,
)

_TURN = re.compile(r"(?:\A|\n\n)(Human|Assistant): ?")
_ROLES = {"Human": "user", "Assistant": "assistant"}


def read(path: Path) -> Read:
    """An item per line."""
    try:
        for number, row in read_lines(path):
            where = f"{path.name}:{number}"
            try:
                if isinstance(row, InputError):
                    raise row
                yield Item(where, _signals(row))
            except InputError as error:
                yield Malformed(where, str(error))
    except InputError as error:
        yield Malformed(path.name, str(error))


def _dialogue(raw: Any, prompt: Any, name: str) -> list[Message]:
    """A dialogue as messages; a separate prompt stands before it."""
    if isinstance(raw, list):
        before = [] if prompt is None else _dialogue(prompt, None, "prompt")
        return before + [as_message(message, f"{name}[{i}]") for i, message in enumerate(raw)]
    text = expect(raw, str, name)
    if isinstance(prompt, str) and not text.startswith(prompt):
        text = prompt + text
    parts = _TURN.split(text)
    if len(parts) < 3 or parts[0].strip():
        if isinstance(prompt, str) and parts[0]:
            return [
                Message(role="user", content=prompt),
                Message(role="assistant", content=text[len(prompt) :]),
            ]
        raise InputError(
            f'{name} has no turns such as "\\n\\nHuman: …\\n\\nAssistant: …"; mend or remove the line.'
        )
    return [
        Message(role=_ROLES[speaker], content=said.strip())
        for speaker, said in zip(parts[1::2], parts[2::2], strict=True)
    ]


def _signals(row: Any) -> list[Any]:
    row = expect(row, dict, "The line")
    chosen, rejected = (_dialogue(row.get(name), row.get("prompt"), name) for name in ("chosen", "rejected"))
    shared = 0
    while shared < min(len(chosen), len(rejected)) and chosen[shared] == rejected[shared]:
        shared += 1
    prompt, better, worse = chosen[:shared], chosen[shared:], rejected[shared:]
    if not prompt:
        raise InputError(
            "chosen and rejected begin differently, so they answer no common prompt; remove the line."
        )
    if not better or not worse:
        raise InputError("chosen and rejected say the same as far as one of them goes; remove the line.")
    if better[0].role != "assistant" or worse[0].role != "assistant":
        raise InputError(
            "chosen and rejected part at a turn of the human, not of the assistant; remove the line."
        )
    tree = Tree(identifier("hh-rlhf", conversation_text(prompt)))
    tree.begin(prompt[-1].content)
    ids = [
        _answer(tree, prompt, label, answer) for label, answer in (("chosen", better), ("rejected", worse))
    ]
    tree.add(
        EvaluationGiven(
            evaluation_id=identifier("evaluation", *ids),
            cycle=1,
            ranking=[[artifact_id] for artifact_id in ids],
            evaluator="hh-rlhf",
            evaluator_kind="person",
        )
    )
    return tree.signals


def _answer(tree: Tree, prompt: list[Message], label: str, answer: list[Message]) -> str:
    lineage_id, agent_id = tree.agent(label)
    text = conversation_text(answer)
    rollout_id = tree.rollout(lineage_id, agent_id, run=text)
    attempt_id = identifier("attempt", rollout_id, 1)
    tree.add(
        SpanFinished(
            span_id=identifier("span", attempt_id, 0, "llm"),
            attempt_id=attempt_id,
            kind="llm",
            name="chat",
            input_messages=prompt,
            output_messages=answer,
            status="success",
        )
    )
    tree.add(
        AttemptFinished(
            attempt_id=attempt_id,
            rollout_id=rollout_id,
            user_need=prompt[-1].content,
            prompt=prompt,
            status="success",
        )
    )
    single = len(answer) == 1
    artifact_id = identifier("artifact", attempt_id)
    tree.add(
        ArtifactProduced(
            artifact_id=artifact_id,
            rollout_id=rollout_id,
            attempt_id=attempt_id,
            content=answer[0].content if single else text,
            content_format="text" if single else "messages",
        )
    )
    return artifact_id
