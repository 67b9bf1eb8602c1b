"""Datasets: from declared rows to prompts, targets and few-shot turns, checked before anything is spent.

What belongs here: rendering one split as a stream of items, and finding every row that cannot be used. What
does not: reading files (``rows``), the templates' bounds (``prompts``), judging answers (``evaluators``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.collector.evaluators import Evaluator, make_evaluator
from pipeline.collector.prompts import PromptTemplate
from pipeline.collector.rows import Row, content_hash, find_files, read_rows
from pipeline.errors import ConfigurationError, InputError
from pipeline.settings.datasets import Dataset

Message = dict[str, Any]

PROBLEMS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Item:
    """One row ready to be asked.

    ``index`` counts rows from 1; ``identifier`` is the row's own or a hash of its prompt; ``query`` the
    user's turn; ``messages`` everything that is sent; ``images`` addresses or files; ``target`` the expected
    answer; ``cluster`` a hash that rows with the same prompt share.
    """

    index: int
    identifier: str
    query: str
    messages: tuple[Message, ...]
    images: tuple[str, ...]
    target: str | None
    cluster: str

    @property
    def prompt(self) -> str:
        """Everything that is sent as one text, as documents and tables show it."""
        if len(self.messages) == 1:
            return self.query
        return "\n\n".join(f"{message['role']}: {message['content']}" for message in self.messages)


@dataclass(frozen=True)
class Problem:
    """What is wrong with one row; ``grave`` problems keep the row from being asked."""

    file: str
    number: int
    reason: str
    grave: bool = True

    def __str__(self) -> str:
        return f"{self.file} row {self.number}: {self.reason}"


@dataclass(frozen=True)
class Checked:
    """What a look over a whole split found: usable rows, characters of all prompts, problems (grave
    first)."""

    items: int
    characters: int
    problems: tuple[Problem, ...]
    fingerprint: str
    truncated: bool = False
    """There are more rows than the limit asked for."""

    @property
    def grave(self) -> tuple[Problem, ...]:
        """The problems that keep rows from being asked."""
        return tuple(problem for problem in self.problems if problem.grave)


class SplitReader:
    """One split of a declared dataset; raises ``InputError`` where files are missing."""

    def __init__(self, name: str, split: str, declaration: Dataset) -> None:
        if split not in declaration.splits:
            known = ", ".join(declaration.splits)
            raise ConfigurationError(
                f"Reading dataset {name}: it has no split {split!r}; it has {known}. Name one of them."
            )
        self.name, self.split, self.declaration = name, split, declaration
        self.evaluator: Evaluator = make_evaluator(
            declaration.evaluator.name, declaration.evaluator.parameters, where=f"dataset {name}"
        )
        self._prompt = PromptTemplate(declaration.prompt, f"prompt of {name}")
        self._target = PromptTemplate(declaration.target, f"target of {name}") if declaration.target else None
        self._images = [PromptTemplate(image, f"images of {name}") for image in declaration.images]
        self._before = _opening_turns(name, declaration, self._prompt)
        self.files: list[Path] = find_files(
            declaration.splits[split].files, f"dataset {name}, split {split}", declaration.source
        )

    def data_fingerprint(self) -> str:
        """SHA-256 of the files and of everything that turns their rows into prompts and targets."""
        declared = self.declaration.model_dump(
            mode="json", include={"fields", "prompt", "system", "target", "images", "identifier", "few_shot"}
        )
        text = content_hash(self.files) + json.dumps(declared, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def items(self, limit: int | None = None) -> Iterator[Item]:
        """The usable rows in order, at most ``limit``; a row with a grave problem is left out."""
        seen: set[str] = set()
        usable = (outcome for row in read_rows(self.files) if isinstance(outcome := self._item(row, 0), Item))
        index = 0
        for item in usable:
            if limit is not None and index >= limit:
                return
            if self.declaration.identifier is not None:
                if item.identifier in seen:
                    continue
                seen.add(item.identifier)
            index += 1
            yield Item(
                index, item.identifier, item.query, item.messages, item.images, item.target, item.cluster
            )

    def check(self, limit: int | None = None) -> Checked:
        """Reads the split once and tells what it holds; at most ``limit`` usable rows where given."""
        problems: list[Problem] = []
        identifiers: dict[str, int] = {}
        prompts: dict[str, int] = {}
        count = characters = 0
        truncated = False
        for row in read_rows(self.files):
            if limit is not None and count >= limit:
                truncated = True
                break
            outcome = self._item(row, count + 1)
            if isinstance(outcome, Problem):
                problems.append(outcome)
                continue
            doubled = self._doubled(outcome, row, identifiers, prompts)
            if doubled is not None:
                problems.append(doubled)
                if doubled.grave:
                    continue
            count += 1
            characters += sum(len(str(message["content"])) for message in outcome.messages)
        problems.sort(key=lambda problem: not problem.grave)
        return Checked(count, characters, tuple(problems), self.data_fingerprint(), truncated)

    def _doubled(
        self, item: Item, row: Row, identifiers: dict[str, int], prompts: dict[str, int]
    ) -> Problem | None:
        if self.declaration.identifier is not None:
            first = identifiers.setdefault(item.identifier, row.number)
            if first != row.number:
                reason = f"the identifier {item.identifier[:60]!r} stands in row {first} already"
                return Problem(row.file, row.number, reason)
        first = prompts.setdefault(item.cluster, row.number)
        if first != row.number:
            return Problem(row.file, row.number, f"the prompt repeats that of row {first}", grave=False)
        return None

    def _item(self, row: Row, index: int) -> Item | Problem:
        if row.values is None:
            return Problem(row.file, row.number, row.problem)
        try:
            values = self._fields(row)
            query = self._prompt.render(values).strip()
            target = self._target.render(values).strip() if self._target else None
            images = tuple(self._image(image.render(values).strip()) for image in self._images)
            if not query:
                raise InputError("the prompt is empty")
            if target is not None and not target:
                raise InputError("the target is empty")
            self.evaluator.check_target(target)
        except InputError as error:
            return Problem(row.file, row.number, str(error))
        messages = (*self._before, {"role": "user", "content": query})
        cluster = hashlib.blake2b("\0".join((query, *images)).encode(), digest_size=12).hexdigest()
        named = self.declaration.identifier
        identifier = str(values[named]) if named is not None else cluster
        return Item(index, identifier, query, messages, images, target, cluster)

    def _image(self, named: str) -> str:
        """An address as it stands; a file's path is relative to the folder of the split's first file."""
        if named.startswith(("http://", "https://", "data:")):
            return named
        return str(self.files[0].parent / named)

    def _fields(self, row: Row) -> Mapping[str, Any]:
        assert row.values is not None
        place = {"file_name": row.file.split(".")[0]}
        if not self.declaration.fields:
            values = {**place, **row.values}
        else:
            missing = [
                column for column in self.declaration.fields.values() if row.values.get(column) is None
            ]
            if missing:
                raise InputError(f"it has no {', '.join(missing)}")
            values = {
                **place, **{name: row.values[column] for name, column in self.declaration.fields.items()}
            }  # fmt: skip
        named = self.declaration.identifier
        if named is not None and values.get(named) in {None, ""}:
            raise InputError(f"it has no {named}")
        return values


def describe_problems(name: str, split: str, problems: tuple[Problem, ...]) -> str:
    """The first problems of a split in one sentence."""
    shown = "; ".join(str(problem) for problem in problems[:PROBLEMS_SHOWN])
    more = f"; and {len(problems) - PROBLEMS_SHOWN} more" if len(problems) > PROBLEMS_SHOWN else ""
    return f"dataset {name}, split {split}: {shown}{more}"


def _opening_turns(name: str, declaration: Dataset, prompt: PromptTemplate) -> tuple[Message, ...]:
    """The system turn and the solved examples, which are the same for every row."""
    turns: list[Message] = []
    if declaration.system is not None:
        turns.append({"role": "system", "content": declaration.system.strip()})
    if declaration.few_shot is not None:
        answer = PromptTemplate(declaration.few_shot.answer, f"few-shot answer of {name}")
        try:
            for example in declaration.few_shot.examples:
                turns.append({"role": "user", "content": prompt.render(example).strip()})
                turns.append({"role": "assistant", "content": answer.render(example).strip()})
        except InputError as error:
            raise ConfigurationError(f"Reading the few-shot examples of {name}: {error}") from error
    return tuple(turns)
