"""What the stub knows: the expected answers of declared datasets or of a file, and how to be wrong.

What belongs here: prompt in, answer of a chosen accuracy out, the same for the same seed. What does not:
faults.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from pipeline.collector.datasets import SplitReader
from pipeline.errors import InputError
from pipeline.settings.datasets import Datasets, load_datasets

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?\Z")


def drawn(*parts: object) -> float:
    """A number in [0, 1) that hangs on the parts alone."""
    text = "\0".join(map(str, parts)).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=7).digest()) / 2**56


def known_answers(datasets: Datasets, names: Iterable[str] | None = None) -> dict[str, str]:
    """Expected answers by prompt, of datasets whose files are there; ``names`` None: of all."""
    known: dict[str, str] = {}
    for name in names if names is not None else datasets.datasets:
        if name not in datasets.datasets:
            raise InputError(f"Reading the answers of {name}: no such dataset is declared; name one that is.")
        declaration = datasets.datasets[name]
        for split in declaration.splits:
            try:
                reader = SplitReader(name, split, declaration)
            except InputError:
                if names is not None:
                    raise
                continue  # a declared dataset that the user has not downloaded: nothing will ask for it
            separator = declaration.evaluator.parameters.get("separator")
            for item in reader.items():
                if item.target is not None:
                    known[item.query] = item.target.split(separator)[0] if separator else item.target
    return known


def chosen_answers(chosen: Sequence[str]) -> dict[str, str]:
    """Expected answers of datasets named, or declared in YAML files named; of all declared where none is.

    Raises ``InputError`` where a named dataset is not declared or its files are missing.
    """
    if not chosen:
        return known_answers(load_datasets())
    files = [name for name in chosen if name.endswith((".yaml", ".yml"))]
    names = [name for name in chosen if name not in files]
    known = known_answers(load_datasets(), names) if names else {}
    for file in files:
        declared = load_datasets(Path(file))
        known |= known_answers(declared, declared.datasets)
    return known


def answers_of_file(path: Path) -> dict[str, str]:
    """Expected answers of a JSONL file of ``prompt`` and ``answer``."""
    known: dict[str, str] = {}
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise InputError(
            f"Reading the answers in {path.name}: {error.strerror}; correct the path."
        ) from error
    for number, line in enumerate(lines, start=1):
        try:
            row = msgspec.json.decode(line) if line.strip() else None
            if row is not None:
                known[row["prompt"].strip()] = str(row["answer"])
        except (msgspec.MsgspecError, TypeError, KeyError, AttributeError):
            raise InputError(
                f"Reading the answers in {path.name}: row {number} has no prompt and answer; correct it."
            ) from None
    return known


def prompt_of(body: Mapping[str, Any]) -> str:
    """The last user message, the prompt or the input as text."""
    messages = body.get("messages")
    if isinstance(messages, list):
        users = [m.get("content") for m in messages if isinstance(m, dict) and m.get("role") == "user"]
        content = users[-1] if users else ""
        if isinstance(content, list):
            return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict)).strip()
        return str(content or "").strip()
    return str(body.get("prompt") or body.get("input") or "").strip()


def answer_to(prompt: str, known: Mapping[str, str], accuracy: float, *draw: object) -> str:
    """The expected answer with probability ``accuracy``, else a wrong one of the same shape."""
    target = known.get(prompt)
    if target is None:
        return f"I am a stub and know no answer. You wrote {len(prompt)} characters."
    given = target if drawn("answer", prompt, *draw) < accuracy else _wrong(target)
    if _NUMBER.match(target.replace(",", "")):
        return f"Step by step, this leads to the result.\n#### {given}"
    return given


def _wrong(target: str) -> str:
    plain = target.replace(",", "")
    if _NUMBER.match(plain):
        return str(int(float(plain)) + 1)
    if len(target) == 1 and target.isalpha():
        return "B" if target.upper() == "A" else "A"
    return "{}" if target.startswith("{") else "I do not know"
