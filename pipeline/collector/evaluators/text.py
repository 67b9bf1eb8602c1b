"""Short texts: exact match and token F1, normalised as SQuAD's evaluation does.

The normalisation (lower case, no punctuation, no English articles, single spaces) is that of Rajpurkar et al.
2016, "SQuAD: 100,000+ Questions for Machine Comprehension of Text"; F1 is over the multiset of tokens.
"""

from __future__ import annotations

import re
import unicodedata
from abc import abstractmethod
from collections import Counter

from pipeline.collector.evaluators.base import Evaluator, Judged, readable_end

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_ANNOUNCED = re.compile(r"(?im)^[ \t*_]{0,8}(?:final )?answer[ \t*_]{0,4}[:=][ \t*_]{0,4}(\S[^\n]{0,2000})$")


def normalise(text: str) -> str:
    """Lower case, compatibility forms, without punctuation, articles and doubled spaces."""
    lowered = unicodedata.normalize("NFKC", text).casefold()
    letters = "".join(" " if unicodedata.category(sign)[0] in "PS" else sign for sign in lowered)
    return " ".join(_ARTICLES.sub(" ", letters).split())


class _Short(Evaluator):
    """``separator`` splits a target into several accepted answers; the best counts."""

    def __init__(self, separator: str = "") -> None:
        self._separator = separator

    def judge(self, answer: str, target: str | None) -> Judged:
        """The best score over the accepted answers; what follows a last "Answer:" is the prediction."""
        text = readable_end(answer)
        announced = _ANNOUNCED.findall(text)
        prediction = (announced[-1] if announced else text).strip().strip("*_`")
        if not normalise(prediction):
            return Judged(None, 0.0)
        accepted = (target or "").split(self._separator) if self._separator else [target or ""]
        return Judged(prediction, max(self._compare(prediction, one) for one in accepted))

    @abstractmethod
    def _compare(self, prediction: str, accepted: str) -> float:
        """How well a normalised answer meets one accepted text, 0 to 1."""


class Exact(_Short):
    """1 where the normalised texts are equal."""

    name = "exact"

    def _compare(self, prediction: str, accepted: str) -> float:
        return 1.0 if normalise(prediction) == normalise(accepted) else 0.0


class TokenF1(_Short):
    """Harmonic mean of precision and recall over normalised tokens, 0-1."""

    name = "f1"
    binary = False

    def _compare(self, prediction: str, accepted: str) -> float:
        found, wanted = normalise(prediction).split(), normalise(accepted).split()
        if not found or not wanted:
            return float(found == wanted)
        common = sum((Counter(found) & Counter(wanted)).values())
        return 2 * common / (len(found) + len(wanted))
