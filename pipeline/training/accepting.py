"""The way of an example into an export: door, format, budget, duplicates, quotas; each refusal counted.

What belongs here: the gate that examples pass in order of preference. What does not: making examples
(``examples``), splits and files (``exporting``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from pipeline.privacy.acting import Redactor
from pipeline.settings.exports import Criteria
from pipeline.training.budget import counter, tokens_of
from pipeline.training.examples.example import Example
from pipeline.training.examples.selecting import quotas, share_of
from pipeline.training.near_duplicates import NearDuplicates
from pipeline.training.writing.formats import part_of
from pipeline.training.writing.rows import gist_of, hash_of, line_of, prompt_hash, without_nulls

Refusals = Counter[str]


class Gate:
    """Takes the examples of one part; ``accepted`` are those that passed, ``refused`` counts the others by
    reason.

    ``found`` counts what the door acted on by type.
    """

    def __init__(self, criteria: Criteria, part: str, redactor: Redactor) -> None:
        self.accepted: list[Example] = []
        self.refused: Refusals = Counter()
        self.found: Counter[str] = Counter()
        self.offered = 0
        self._criteria = criteria
        self._check = part_of(criteria.kind, part).check
        self._redactor = redactor
        self._count = counter(criteria.tokenizer)
        self._room = quotas(criteria)
        self._prompts: Counter[str] = Counter()
        self._gists: set[str] = set()
        similarity = criteria.near_duplicate_similarity
        self._near = NearDuplicates(similarity) if similarity is not None else None
        self._shown: dict[str, str] = {}

    @property
    def missing(self) -> int:
        """How many more rows the criteria ask for."""
        return sum(self._room.values())

    def wants(self, complexity: str) -> bool:
        """Whether a row of that complexity still has room."""
        return self._room.get("*", self._room.get(complexity, 0)) > 0

    def offer(self, examples: Sequence[Example]) -> None:
        """Let examples pass in their order."""
        self.offered += len(examples)
        passed = list(self._clean(examples))
        gists = [gist_of(example.row) for example in passed]
        signatures = self._near.signatures(gists) if self._near and gists else [None] * len(gists)
        for example, gist, signature in zip(passed, gists, signatures, strict=True):
            reason = self._reason(example, gist, signature)
            if reason:
                self.refused[reason] += 1
                continue
            self._take(example, gist, signature)

    def _clean(self, examples: Sequence[Example]) -> Iterator[Example]:
        """Examples as the door lets them pass, fit for their format and within the budget."""
        for example in examples:
            problem = self._through_the_door(example) or self._problem(example)
            if problem:
                self.refused[problem] += 1
                continue
            example.source = self._show(example.source)
            example.agent_version = self._show(example.agent_version)
            yield example

    def _through_the_door(self, example: Example) -> str | None:
        """Give the example the row that the door lets pass, and its line; or say why it does not."""
        row = without_nulls(example.row)
        try:
            line = line_of(row)
        except UnicodeEncodeError:
            return "no_utf8"
        passed, outcome = self._redactor.apply_json(line)
        if outcome.status == "clean":
            example.row, example.line = row, passed
            return None
        if outcome.status == "quarantined" or not isinstance(outcome.record, dict):
            return "quarantined"
        self.found.update(finding.type for finding in outcome.findings)
        example.row, example.line = outcome.record, line_of(outcome.record)
        return None

    def _problem(self, example: Example) -> str | None:
        problem = next(self._check(example.row), None)
        if problem is not None:
            return "equal_texts_behind_the_door" if "same text" in problem else f"format: {problem}"
        example.tokens = tokens_of(example.row, self._count)
        return "over_budget" if example.tokens > self._criteria.token_budget else None

    def tokens(self, example: Example) -> int:
        """Tokens of a row before it is offered."""
        return tokens_of(example.row, self._count)

    def _reason(self, example: Example, gist: str, signature: object) -> str | None:
        if not self.wants(example.complexity):
            return "not_needed"
        example.prompt_hash = prompt_hash(example.row)
        if self._prompts[example.prompt_hash] >= self._criteria.rows_per_prompt:
            return "many_of_one_prompt"
        if self._near is None:
            return "duplicate" if hash_of(example.line) in self._gists else None
        if gist in self._gists:
            return "duplicate"
        return "near_duplicate" if self._near.known(gist, signature) else None

    def _take(self, example: Example, gist: str, signature: object) -> None:
        example.row_hash = hash_of(example.line)
        self._prompts[example.prompt_hash] += 1
        self._room["*" if "*" in self._room else example.complexity] -= 1
        self._gists.add(gist if self._near else example.row_hash)
        if self._near:
            self._near.add(gist, signature)
        self.accepted.append(example)

    def balance(self) -> None:
        """Keep the shares that ``complexity_distribution`` asks for: of what is plentiful the last go."""
        shares = self._criteria.complexity_distribution
        if shares is None:
            return
        found = Counter(example.complexity for example in self.accepted)
        whole = min(found[complexity] / share for complexity, share in shares.items() if share)
        room: dict[str, int] = {complexity: share_of(whole, share) for complexity, share in shares.items()}
        kept = []
        for example in self.accepted:
            room[example.complexity] -= 1
            if room[example.complexity] >= 0:
                kept.append(example)
        self.refused["over_its_share"] += len(self.accepted) - len(kept)
        self.accepted = kept

    def _show(self, name: str) -> str:
        """A name as the door lets it pass."""
        if name not in self._shown:
            outcome = self._redactor.apply(name)
            self._shown[name] = outcome.record if isinstance(outcome.record, str) else "withheld"
        return self._shown[name]
