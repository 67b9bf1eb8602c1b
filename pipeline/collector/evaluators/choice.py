"""Multiple choice: which letter an answer chose."""

from __future__ import annotations

import re

from pipeline.collector.evaluators.base import Evaluator, Judged, readable_end
from pipeline.errors import InputError

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Choice(Evaluator):
    """The letter that is announced last (``Answer: B``, ``\\boxed{B}``, ``(B)``), else one that stands alone.

    ``choices`` is the number of letters, A first. Where no letter is announced, the first line or the last
    line decides if it holds nothing but a letter and its text (``B``, ``B) Paris``); otherwise nothing is
    read.
    """

    name = "choice"

    def __init__(self, choices: int = 4) -> None:
        if not 2 <= choices <= len(LETTERS):
            raise ValueError(f"choices is {choices}, and must be 2-26")
        self._letters = LETTERS[:choices]
        letter = f"[{self._letters}{self._letters.lower()}]"
        capital = f"[{self._letters}]"
        self._announced = re.compile(
            rf"(?:\\boxed\{{\s*(?:\\text\{{)?\s*|(?i:\b(?:answer|option|choice)\b)(?i:\s+(?:is|would\s+be))?"
            rf"\s{{0,3}}[:=]?\s{{0,3}}(?i:option\s|choice\s)?[*_`\"'(\[]{{0,4}})({capital}(?![\w'’])"
            rf"|{letter}(?=[)\].*_`\"'}}]|\s*(?:\n|\Z)))"
        )
        self._concluded = re.compile(rf"\b(?i:is|it['’]s)\s+[*_`(\[]{{0,4}}({capital})[*_`)\].!]{{0,4}}\s*\Z")
        self._bracketed = re.compile(rf"(?<!\w)[(\[]({capital})[)\]](?!\w)")
        self._line = re.compile(
            rf"\s*[*_`\"'(\[]{{0,4}}({letter})(?:[*_`\"')\].:]{{1,4}}(?:\s.{{0,300}})?)?\s*\Z"
        )

    def judge(self, answer: str, target: str | None) -> Judged:
        """1 where the letter read is the target's."""
        letter = self._read(readable_end(answer))
        return Judged(letter, 1.0 if letter is not None and letter == (target or "").upper() else 0.0)

    def check_target(self, target: str | None) -> None:
        """The target is one of the letters."""
        super().check_target(target)
        if (target or "").upper() not in set(self._letters):
            raise InputError(
                f"the target {(target or '')[:40]!r} is none of the letters A-{self._letters[-1]}"
            )

    def _read(self, answer: str) -> str | None:
        announced = self._announced.findall(answer)
        if announced:
            return str(announced[-1]).upper()
        lines = [line for line in answer.strip().splitlines() if line.strip()]
        for line in (lines[0], lines[-1]) if lines else ():
            found = self._line.match(line[:400])
            if found:
                return found.group(1).upper()
        concluded = self._concluded.search(answer[-200:])
        if concluded:
            return concluded.group(1)
        bracketed = set(self._bracketed.findall(answer))
        return str(bracketed.pop()) if len(bracketed) == 1 else None
