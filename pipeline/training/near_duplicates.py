"""Rows that say nearly the same as an earlier one, found by MinHash and locality-sensitive hashing.

What belongs here: signatures and look-ups, by ``datasketch``. What does not: what counts as a row's text
(``writing.rows.gist_of``).

A text is the set of its runs of five words (folded to lower case); texts shorter than that are one run.
Signatures have 64 permutations in 12 bands of 5, which find 97 % of pairs at similarity .75 and more than
99.9 % at .9; each find is confirmed on the runs themselves, so none is left out by chance.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

PERMUTATIONS = 64
BANDS, ROWS_PER_BAND = 12, 5
WORDS = 5
SEED = 1


class NearDuplicates:
    """Remembers the texts it was asked to add; ``similarity`` is Jaccard's, 0-1."""

    def __init__(self, similarity: float) -> None:
        from datasketch import MinHashLSH  # brings scipy: 0.8 s to import

        self.similarity = similarity
        self._index = MinHashLSH(num_perm=PERMUTATIONS, params=(BANDS, ROWS_PER_BAND))
        self._texts: list[str] = []

    def signatures(self, texts: Sequence[str]) -> list[Any]:
        """One signature per text; made for many at once, which is three times as fast."""
        from datasketch import MinHash

        runs = [list(runs_of(text)) for text in texts]
        return list(MinHash.generator(runs, num_perm=PERMUTATIONS, seed=SEED, hashfunc=zlib.crc32))

    def known(self, text: str, signature: Any) -> bool:
        """Whether an added text is at least as similar as asked."""
        own: set[bytes] | None = None
        for place in self._index.query(signature):
            own = own if own is not None else runs_of(text)
            other = runs_of(self._texts[place])
            if len(own & other) >= self.similarity * len(own | other):
                return True
        return False

    def add(self, text: str, signature: Any) -> None:
        """Remember a text."""
        self._index.insert(len(self._texts), signature, check_duplication=False)
        self._texts.append(text)


def runs_of(text: str) -> set[bytes]:
    """The runs of five words of a text."""
    words = text.casefold().split()
    if len(words) < WORDS:
        return {" ".join(words).encode("utf-8", "surrogatepass")}
    return {
        " ".join(words[place : place + WORDS]).encode("utf-8", "surrogatepass")
        for place in range(len(words) - WORDS + 1)
    }
